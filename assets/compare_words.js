// Gradio runs this once a component, with `element`, `props` and `watch` in scope.
// The words are what a model wrote: they enter the page as textContent only.

const root = element.querySelector(".words");

function show() {
  const { pieces = [], empty = "" } = props.value || {};
  root.classList.toggle("is-empty", !pieces.length);
  root.replaceChildren(
    ...pieces.map(({ text, only }) => {
      const piece = document.createElement(only ? "mark" : "span");
      piece.textContent = text;
      return piece;
    }),
    ...(pieces.length ? [] : [empty]),
  );
}

watch("value", show);
show();
