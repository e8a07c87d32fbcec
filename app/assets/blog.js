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
  editor.addEventListener("submit", () => { dirty = false; clearTimeout(keepTimer); });
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
}
