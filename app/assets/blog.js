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

// Leaving the editor with unsaved text asks first.
const editor = document.querySelector("form.editor");
if (editor) {
  let dirty = false;
  editor.addEventListener("input", () => { dirty = true; });
  editor.addEventListener("submit", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
}
