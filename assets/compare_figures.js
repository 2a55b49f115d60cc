// Gradio runs this once a component, with `element`, `props` and `watch` in scope.

const list = element.querySelector(".figures");
const note = element.querySelector(".figures-note");

function show() {
  const { figures = [], sentence = "" } = props.value || {};
  list.hidden = !figures.length;
  list.replaceChildren(
    ...figures.map(({ what, value, color }) => {
      const [figure, name, number] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      figure.className = "figure";
      figure.style.setProperty("--color", color || "transparent");
      name.textContent = what;
      number.textContent = value;
      figure.append(name, number);
      return figure;
    }),
  );
  note.textContent = sentence;
  note.hidden = !sentence;
}

watch("value", show);
show();
