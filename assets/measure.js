// Gradio runs this once a component, with `element`, `props` and `watch` in scope.
// The report quotes a data set: it enters a frame that may run nothing.

const frame = element.querySelector("iframe");

function show() {
  frame.srcdoc = props.value?.page || "";
}

watch("value", show);
show();
