// What Gradio's own markup lacks for those who use a keyboard or a screen reader. `assets/page.css` has the rest.

/** A row of examples is buttons with nothing but a picture: call each after the file of its picture. */
function nameExamples() {
  for (const picture of document.querySelectorAll("#examples button:not([aria-label]) img")) {
    const name = decodeURIComponent(picture.src.split("/").at(-1)).replace(/\.\w+$/, "").replaceAll("-", ", ");
    picture.closest("button").setAttribute("aria-label", `Drawn scene: ${name}`);
  }
}

/** A button that is disabled while it has the focus loses it: give it to Run, once another question can be asked. */
function keepFocus() {
  const BUTTONS = "#run, #stop";
  let last = null;
  document.addEventListener("focusin", ({ target }) => (last = target));
  new MutationObserver(([{ target }]) => {
    const isLost = document.activeElement === document.body && last?.matches(BUTTONS);
    const run = document.querySelector("#run");
    if (target.matches(BUTTONS) && isLost && run && !run.disabled) run.focus({ preventScroll: true });
  }).observe(document, { subtree: true, attributeFilter: ["disabled"] });
}

/** An open list scrolls, and so takes the focus from its field; it closes for that, and nothing has the focus. */
function passLists({ key }) {
  if (key !== "Tab") return;
  for (const list of document.querySelectorAll("[role=listbox]")) list.tabIndex = -1;
}

document.addEventListener("keydown", passLists, true);
new MutationObserver(nameExamples).observe(document, { subtree: true, childList: true });
keepFocus();
