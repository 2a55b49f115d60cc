// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// Labels are what a model wrote: they enter the page as textContent only.

const root = element.querySelector(".limits");
const list = element.querySelector(".limits-rows");
const template = element.querySelector("template");

let made = "";

function show() {
  const rows = props.value?.rows || [];
  root.hidden = !rows.length;
  const labels = JSON.stringify(rows.map(({ label, color, scores }) => [label, color, scores]));
  if (labels !== made) list.replaceChildren(...rows.map(makeRow));
  made = labels;
  rows.forEach((row, index) => {
    const input = list.children[index].querySelector("input");
    if (input !== document.activeElement || !input.matches(":active")) input.value = row.value ?? props.value.others;
    count(list.children[index], row);
  });
}

function makeRow({ label, color }) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.querySelector(".limits-swatch").style.backgroundColor = color;
  row.querySelector(".limits-label").textContent = label || "(no label)";
  row.querySelector("input").addEventListener("input", ({ target }) => change(row, Number(target.value)));
  return row;
}

function count(row, { scores }) {
  const least = Number(row.querySelector("input").value);
  const kept = scores.filter((score) => score >= least).length;
  row.querySelector("input").ariaValueText = `${least.toFixed(2)}, ${kept} of ${scores.length} are shown`;
  row.querySelector(".limits-count").textContent = `${least.toFixed(2)} · ${kept}/${scores.length}`;
}

function change(row, value) {
  const place = [...list.children].indexOf(row);
  const rows = props.value.rows.map((one, index) => (index === place ? { ...one, value } : one));
  props.value = { ...props.value, rows };
  count(row, rows[place]);
  trigger("limit");
}

watch("value", show);
show();
