// The methods paragraph in three forms, and buttons that copy it or the BibTeX.
(() => {
  const form = document.getElementById("methods-form");
  if (!form) return;
  const text = document.getElementById("methods-text");
  const said = document.getElementById("methods-copied");
  const forms = { plain: text.textContent };
  for (const name of ["latex", "markdown"]) {
    forms[name] = document.getElementById(`methods-${name}`).content.textContent;
  }
  form.addEventListener("change", () => {
    text.textContent = forms[form.value];
    text.classList.toggle("source-text", form.value !== "plain");
  });

  async function copy(button) {
    const source = document.getElementById(button.dataset.copies);
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent);
      said.textContent = "Copied.";
    } catch {
      // Pages from disk may not be let near the clipboard: what is selected, Ctrl+C copies.
      getSelection().selectAllChildren(source);
      said.textContent = document.execCommand("copy") ? "Copied." : "Selected; press Ctrl+C to copy.";
    }
    button.textContent = said.textContent;
    setTimeout(() => { button.textContent = label; }, 2000);
  }

  document.querySelectorAll("[data-copies]").forEach((button) => {
    button.addEventListener("click", () => copy(button));
  });
})();
