// The list of tasks is a dropdown of Gradio, which finds a task by its title only, appends what is typed to the title
// that stands there, and does not open again after Escape. This script does the finding: it keeps what is typed from
// Gradio, whose list stays whole, and hides the options that do not match. `ui/task_list.py` gives it the words.

/** `words` maps the title of a task to the everyday words by which it is found too. */
function startTaskList(words) {
  const FIELD = "#task input";
  const OPTION = "#task [role=option]";
  const KEYS = { ArrowDown: 1, ArrowUp: -1 };
  const GRADIOS_KEYS = ["ArrowDown", "ArrowUp", "Home", "End", "Enter", "Escape"];
  const field = () => document.querySelector(FIELD);
  const options = () => [...document.querySelectorAll(OPTION)];
  const found = () => options().filter((option) => !option.hidden);
  const isOpen = () => field().getAttribute("aria-expanded") === "true";

  let title = ""; // what stands in the field while nobody types
  let isTyping = false;
  let chosen = null; // the option that Enter takes

  function filter() {
    const terms = field().value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const option of options()) {
      const text = `${option.ariaLabel} ${words[option.ariaLabel] ?? ""}`.toLowerCase();
      option.hidden = !terms.every((term) => text.includes(term));
    }
    document.querySelector("#task [role=listbox]")?.classList.toggle("is-empty", !found().length);
    choose(found()[0]);
  }

  function choose(option) {
    chosen?.classList.remove("is-chosen");
    chosen = option ?? null;
    chosen?.classList.add("is-chosen");
    chosen?.scrollIntoView({ block: "nearest" });
    if (chosen) field().setAttribute("aria-activedescendant", chosen.id);
  }

  /** Undo what typing did: the field says again what Gradio believes that it says. */
  function rest() {
    if (!isTyping) return;
    isTyping = false;
    field().value = title;
    for (const option of options()) option.hidden = false;
    choose(null);
    document.querySelector("#task [role=listbox]")?.classList.remove("is-empty");
  }

  function step(direction) {
    const left = found();
    choose(left[(left.indexOf(chosen) + direction + left.length) % left.length]);
  }

  const open = () => field().dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));

  async function type() {
    isTyping = isOpen();
    if (!isTyping) {
      open();
      await new Promise(requestAnimationFrame);
      isTyping = true;
    }
    filter();
  }

  /** Of a key that is text, Gradio would look for its own idea of the field; it is told of the others while it has one. */
  function pressKey(event) {
    if (event.isComposing) return;
    if (!isTyping) {
      if (!GRADIOS_KEYS.includes(event.key)) event.stopImmediatePropagation();
      return;
    }
    if (event.key === "Escape") return rest();
    event.stopImmediatePropagation();
    const act = KEYS[event.key] ? () => step(KEYS[event.key]) : event.key === "Enter" ? take : null;
    if (!act) return;
    event.preventDefault();
    act();
  }

  function take() {
    chosen?.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, cancelable: true }));
  }

  const on = (name, selector, act) =>
    document.addEventListener(name, (event) => event.target.closest?.(selector) && act(event), true);

  on("focusin", FIELD, () => {
    title = field().value;
    field().select();
  });
  /** Gradio opens the list with what is chosen on top; what stands above it, a model's own tasks, is to be seen too. */
  function showFromTop() {
    const list = document.querySelector("#task [role=listbox]");
    if (!list || isTyping) return;
    list.scrollTop = 0;
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  on("click", FIELD, () => {
    if (!isOpen()) open();
    if (!isTyping) field().select();
    requestAnimationFrame(() => requestAnimationFrame(showFromTop));
  });
  on("input", FIELD, (event) => {
    event.stopImmediatePropagation();
    type();
  });
  on("keydown", FIELD, pressKey);
  on("focusout", FIELD, rest);
  on("mousedown", OPTION, rest);
}
