// Gradio runs this once a component, with `element`, `props` and `watch` in scope.

const root = element.querySelector(".over");
const [left, right] = root.querySelectorAll("img");
const edge = root.querySelector("input");

function show() {
  const { left: first, right: second, w, h } = props.value || {};
  root.hidden = !(first && second);
  left.src = first?.url ?? "";
  right.src = second?.url ?? "";
  root.style.setProperty("--ratio", w / h || 1);
}

edge.addEventListener("input", () => root.style.setProperty("--edge", `${edge.value}%`));
watch("value", show);
show();
