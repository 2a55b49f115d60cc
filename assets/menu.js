// What can be done with a region of an answer, or with all of them: a menu at the pointer, or at a row of the table.
// `stage.js` follows in the same script and calls `createMenu` once.

/**
 * `acts` are functions of ids by the `data-act` of the items that have no `data-ask`; `ask(what, ids)` asks the model.
 * `suits(act, ids, isAll)` says whether an act is offered for them.
 */
function createMenu({ root, ask, acts, suits, nameOf }) {
  const MARGIN = 8; // screen pixels to the edge of the window
  const menu = root.querySelector(".stage-menu");
  const heading = menu.querySelector(".stage-menu-name");
  const items = [...menu.querySelectorAll("[role=menuitem]")];
  let ids = [];
  let before = null; // what had the focus

  function open(chosen, { x, y, isAll = false }) {
    if (!chosen.length) return;
    ids = chosen;
    before = document.activeElement;
    heading.textContent = isAll ? `All ${ids.length} regions` : nameOf(ids[0]);
    menu.setAttribute("aria-label", heading.textContent);
    for (const item of items.filter(({ dataset }) => dataset.all)) item.textContent = isAll ? item.dataset.all : item.dataset.one;
    for (const item of items) item.hidden = Boolean(item.dataset.act) && !suits(item.dataset.act, ids, isAll);
    menu.showPopover();
    const { width, height } = menu.getBoundingClientRect();
    menu.style.left = `${Math.max(MARGIN, Math.min(x, innerWidth - width - MARGIN))}px`;
    menu.style.top = `${Math.max(MARGIN, Math.min(y, innerHeight - height - MARGIN))}px`;
    shown()[0].focus({ preventScroll: true });
  }

  const shown = () => items.filter(({ hidden }) => !hidden);

  function close() {
    menu.hidePopover();
    before?.focus?.({ preventScroll: true });
  }

  function choose({ target }) {
    const item = target.closest("[role=menuitem]");
    if (!item) return;
    close();
    if (item.dataset.ask) ask(item.dataset.ask, ids);
    else acts[item.dataset.act](ids);
  }

  menu.addEventListener("click", choose);
  menu.addEventListener("keydown", (event) => {
    const at = items.indexOf(event.target);
    const all = shown();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const to = step ? all.at((all.indexOf(items[at]) + step) % all.length) : { Home: all[0], End: all.at(-1) }[event.key];
    event.stopPropagation();
    if (event.key === "Tab" || event.key === "Escape") close();
    if (to) to.focus();
    if (to || event.key === "Escape") event.preventDefault();
  });
  return { open, isOpen: () => menu.matches(":popover-open") };
}
