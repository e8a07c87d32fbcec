// Everything works without this file. It only makes a few things more comfortable.
"use strict";

// "/" moves to the search field, as on most sites for developers.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = document.getElementById("q");
  if (field) {
    event.preventDefault();
    field.focus();
  }
});

// The editor: live preview, keeping what is typed, and asking before unsaved text is left.
const editor = document.querySelector("form.editor[data-post]");
if (editor) {
  const body = editor.elements.namedItem("body");
  const pane = editor.querySelector(".live");
  const note = document.getElementById("autosave-note");
  const fields = (more) => new URLSearchParams({
    title: editor.elements.namedItem("title").value,
    body: body.value,
    post: editor.dataset.post,
    version: editor.elements.namedItem("version").value,
    ...more,
  });
  let dirty = false;
  let keepTimer = 0;
  let showTimer = 0;

  const keep = async () => {
    try {
      const answer = await fetch("/desk/autosave", { method: "POST", body: fields({}) });
      note.textContent = answer.ok ? note.dataset.kept : note.dataset.failed;
    } catch {
      note.textContent = note.dataset.failed;
    }
  };
  const show = async () => {
    if (pane.hidden) return;
    const answer = await fetch("/desk/preview", { method: "POST", body: fields({ fragment: "1" }) });
    // The server sends the same sanitised HTML that readers will get.
    if (answer.ok) pane.innerHTML = await answer.text();
  };

  editor.querySelector("[data-toggle-preview]").addEventListener("click", (event) => {
    event.preventDefault();
    pane.hidden = !pane.hidden;
    show();
  });
  editor.addEventListener("input", () => {
    dirty = true;
    clearTimeout(keepTimer);
    clearTimeout(showTimer);
    keepTimer = setTimeout(keep, 2000);
    showTimer = setTimeout(show, 400);
  });

  // Pictures that are chosen, dropped or pasted are uploaded, and their Markdown goes where the cursor is.
  const chooser = editor.querySelector("[data-upload]");
  const file = chooser.querySelector("input");
  const insert = async (files) => {
    const form = new FormData();
    for (const one of files) form.append("picture", one, one.name || "picture");
    note.textContent = file.dataset.sending;
    try {
      const answer = await fetch("/desk/pictures", { method: "POST", body: form, headers: { Accept: "application/json" } });
      const said = await answer.json();
      note.textContent = answer.ok ? "" : said.title;
      if (!answer.ok) return;
      body.setRangeText(said.map((one) => one.markdown).join("\n\n"), body.selectionStart, body.selectionEnd, "end");
      body.dispatchEvent(new Event("input", { bubbles: true }));
    } catch {
      note.textContent = note.dataset.failed;
    }
  };
  const pictures = (list) => [...list].filter((one) => one.type.startsWith("image/"));
  chooser.hidden = false;
  file.addEventListener("change", () => { insert(file.files); file.value = ""; });
  for (const [name, from] of [["drop", "dataTransfer"], ["paste", "clipboardData"]]) {
    body.addEventListener(name, (event) => {
      const found = pictures(event[from].files);
      if (!found.length) return;
      event.preventDefault();
      insert(found);
    });
  }
  editor.addEventListener("submit", () => { dirty = false; clearTimeout(keepTimer); });
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
}
