// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// Labels are what a model read in somebody's picture: they enter the page as textContent only.

const MAX_ROWS = 300;
const COVERED = { cover: "covered", blur: "blurred", pixelate: "pixelated" };

const { tell, hear } = joinWorkspace(element);
const part = (name) => element.querySelector(`.region-table-${name}`);
const [scroll, more, all, empty, body] = [...["scroll", "more", "all", "empty"].map(part), element.querySelector("tbody")];
const template = element.querySelector("template");

let rows = []; // one for each box shown: {key, id, row, button}
let hidden = new Set(); // ids of boxes
let lit = null; // id of a box, or ids of several

const grouped = (number) => Math.round(number).toLocaleString("en-US");

function receive() {
  const value = props.value || {};
  const boxes = value.boxes || [];
  if (value.hidden) hidden = new Set(value.hidden);
  else if (hidden.size) save(); // Python said nothing about it: what was hidden meanwhile stays
  showAll(boxes);
  empty.textContent = value.empty || "";
}

function showAll(boxes) {
  showRows(boxes.slice(0, MAX_ROWS));
  scroll.hidden = !boxes.length;
  more.hidden = boxes.length <= MAX_ROWS;
  more.textContent = `and ${grouped(boxes.length - MAX_ROWS)} more`;
  all.hidden = !boxes.length || !props.value?.asks;
  empty.hidden = Boolean(boxes.length) || !props.value?.empty;
}

function showRows(boxes) {
  rows.splice(boxes.length).forEach(({ row }) => row.remove());
  boxes.forEach((box, index) => {
    const key = JSON.stringify([box, Boolean(props.value?.asks)]);
    if (rows[index]?.key === key) return;
    const entry = { key, ...makeRow(box) };
    if (rows[index]) replace(rows[index].row, entry.row);
    else body.append(entry.row);
    rows[index] = entry;
  });
  if (rows.length && !rows.some(({ button }) => button.tabIndex === 0)) rows[0].button.tabIndex = 0;
  showHidden();
  showLit();
}

/** What has the focus in a row has it in the one that takes its place. */
function replace(row, next) {
  const focused = row.contains(document.activeElement) && document.activeElement.className;
  row.replaceWith(next);
  if (focused) next.querySelector(`.${focused}`)?.focus({ preventScroll: true });
}

function makeRow(box) {
  const { id } = box;
  const [x0, y0, x1, y1] = box.xyxy;
  const row = template.content.firstElementChild.cloneNode(true);
  const cell = (name) => row.querySelector(`.region-table-${name}`);
  cell("swatch").style.backgroundColor = box.color;
  cell("label").textContent = box.label || "(no label)";
  cell("text").textContent = [COVERED[box.cover], box.text].filter(Boolean).join(" · ");
  cell("menu").hidden = !props.value?.asks;
  cell("menu").setAttribute("aria-label", `What to do with ${box.label || "the region"}`);
  cell("menu").addEventListener("click", (event) => openMenu(event, [id]));
  row.addEventListener("contextmenu", (event) => openMenu(event, [id]));
  cell("edited").hidden = !box.source || box.source === "model";
  cell("score").textContent = box.score_text || "–";
  cell("bar").hidden = box.score == null;
  cell("bar").style.setProperty("--score", `${100 * box.score}%`);
  cell("box").textContent = `${Math.round(x0)}, ${Math.round(y0)}, ${Math.round(x1 - x0)} × ${Math.round(y1 - y0)}`;
  cell("area").textContent = grouped(box.area);
  for (const name of ["pointerenter", "focusin"]) row.addEventListener(name, () => light(id));
  for (const name of ["pointerleave", "focusout"]) row.addEventListener(name, () => light(null));
  row.addEventListener("click", () => toggle(id));
  row.addEventListener("keydown", step);
  return { id, row, button: cell("toggle") };
}

function openMenu(event, ids) {
  if (!props.value?.asks) return;
  event.preventDefault();
  event.stopPropagation(); // a click on a row hides its box
  const { left, bottom } = event.target.getBoundingClientRect();
  tell("stage:menu", { ids, x: event.clientX || left, y: event.clientY || bottom, isAll: !ids });
}

function showHidden() {
  for (const { id, row, button } of rows) {
    row.classList.toggle("is-hidden", hidden.has(id));
    button.setAttribute("aria-pressed", hidden.has(id));
    button.title = hidden.has(id) ? "Show on the picture" : "Hide on the picture";
  }
}

function showLit() {
  const ids = [lit].flat();
  rows.forEach(({ id, row }) => row.classList.toggle("is-lit", ids.includes(id)));
}

function light(id) {
  if (id === lit) return;
  lit = id;
  showLit();
  tell("stage:light", id);
}

/** The picture lit a box: bring its row into view, scrolling the table and never the page. */
function follow(id) {
  if (id === lit) return;
  light(id);
  const row = rows.find((entry) => entry.id === [id].flat()[0])?.row;
  if (!row) return;
  const head = element.querySelector("thead").offsetHeight;
  const [top, bottom] = [row.offsetTop - head, row.offsetTop + row.offsetHeight - scroll.clientHeight];
  scroll.scrollTop = Math.max(Math.min(scroll.scrollTop, top), bottom);
}

function toggle(id) {
  if (!hidden.delete(id)) hidden.add(id);
  showHidden();
  save();
  tell("stage:hide", [...hidden]);
  trigger("hide", { hidden: [...hidden] });
}

/** Put the hidden boxes into the component's value, where the next event finds them as its input. */
function save() {
  props.value = { ...props.value, hidden: [...hidden] };
}

function step(event) {
  const sideways = { ArrowRight: "menu", ArrowLeft: "toggle" }[event.key];
  event.currentTarget.querySelector(`.region-table-${sideways}`)?.focus();
  stepThrough(rows, rows.findIndex(({ row }) => row.contains(event.target)), event);
}

all.addEventListener("click", openMenu);
hear("stage:light", follow);
hear("stage:boxes", showAll);
watch("value", receive);
receive();
