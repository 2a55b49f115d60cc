// Gradio runs this once a component, with `element`, `props` and `watch` in scope.
// The text may quote a model or a user: it enters the page as textContent only.

const root = element.querySelector(".lines");

let shown = "";

function show() {
  const lines = (props.value?.lines || []).filter(({ text }) => text);
  if (JSON.stringify(lines) === shown) return; // what was opened stays open
  shown = JSON.stringify(lines);
  root.hidden = !lines.length;
  root.replaceChildren(
    ...lines.map(({ text, tone, details }) => {
      const line = document.createElement("p");
      line.className = `line line-${tone}`;
      line.textContent = text;
      return details ? withDetails(line, details) : line;
    }),
  );
}

function withDetails(line, details) {
  const [whole, summary, more] = ["details", "summary", "p"].map((name) => document.createElement(name));
  whole.className = "line-whole";
  more.className = "line-more";
  more.textContent = details;
  summary.append(line);
  whole.append(summary, more);
  return whole;
}

watch("value", show);
show();
