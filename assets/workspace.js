// How components that belong together talk: through the element of class `workspace` that is around them.
// This comes first in the script of each of them.

/** A component hears those of its own workspace only; one without a workspace hears nobody but itself. */
function joinWorkspace(element) {
  const workspace = element.closest(".workspace") ?? element;
  return {
    tell: (name, detail) => workspace.dispatchEvent(new CustomEvent(name, { detail })),

    /** Gradio takes a component off the page and makes a new one without saying so: the old one stops listening. */
    hear(name, act) {
      workspace.addEventListener(name, function listener(event) {
        if (element.isConnected) act(event.detail, event);
        else workspace.removeEventListener(name, listener);
      });
    },
  };
}

/** The arrow keys go from row to row of `{button}`; one of them at a time is in the order of Tab. */
function stepThrough(rows, from, event) {
  const to = rows[from + { ArrowDown: 1, ArrowUp: -1 }[event.key]];
  if (!to) return;
  rows[from].button.tabIndex = -1;
  to.button.tabIndex = 0;
  to.button.focus();
  event.preventDefault();
}
