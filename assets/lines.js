// Gradio runs this once a component, with `element`, `props` and `watch` in scope.
// The text may quote a model or a user: it enters the page as textContent only.

const root = element.querySelector(".lines");

function show() {
  const lines = (props.value?.lines || []).filter(({ text }) => text);
  root.hidden = !lines.length;
  root.replaceChildren(
    ...lines.map(({ text, tone }) => {
      const line = document.createElement("p");
      line.className = `line line-${tone}`;
      line.textContent = text;
      return line;
    }),
  );
}

watch("value", show);
show();
