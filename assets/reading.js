// Gradio runs this once a component, with `element`, `props` and `watch` in scope.
// Lines are what a model read in somebody's picture: they enter the page as textContent only.

const MAX_LINES = 1000;

const { tell, hear } = joinWorkspace(element);
const root = element.querySelector(".reading");
const part = (name) => root.querySelector(`.reading-${name}`);
const [list, said, template] = [part("lines"), part("said"), root.querySelector("template")];

let rows = []; // one for each line shown: {line, button}
let hidden = new Set(); // ids of boxes
let shown = "";

function receive() {
  const lines = props.value?.lines || [];
  if (JSON.stringify(lines) === shown) return; // the line that has the focus keeps it
  shown = JSON.stringify(lines);
  hidden = new Set();
  root.hidden = !lines.length;
  said.textContent = lines.length > MAX_LINES ? `The first ${MAX_LINES} of ${lines.length} lines; all are copied.` : "";
  rows = lines.slice(0, MAX_LINES).map(makeRow);
  list.replaceChildren(...rows.map(({ row }) => row));
  if (rows.length) rows[0].button.tabIndex = 0;
}

function makeRow(line) {
  const row = template.content.firstElementChild.cloneNode(true);
  const button = row.querySelector("button");
  row.classList.toggle("is-first", Boolean(line.is_first));
  row.querySelector(".reading-text").textContent = line.text;
  row.querySelector(".reading-turn").textContent = line.turn || "";
  for (const name of ["pointerenter", "focusin"]) row.addEventListener(name, () => light(line));
  for (const name of ["pointerleave", "focusout"]) row.addEventListener(name, () => tell("stage:light", null));
  button.addEventListener("click", () => {
    light(line);
    copy(line.text, "Copied the line.");
  });
  button.addEventListener("keydown", step);
  return { line, row, button };
}

const light = ({ ids }) => tell("stage:light", ids.length > 1 ? ids : ids[0]);

/** The picture or the table lit a box: its line is lit too, and comes into view without moving the page. */
function follow(lit) {
  const ids = [lit].flat();
  for (const { line, row } of rows) row.classList.toggle("is-lit", line.ids.some((id) => ids.includes(id)));
  const row = rows.find(({ row }) => row.classList.contains("is-lit"))?.row;
  if (!row || row.matches(":hover, :focus-within")) return;
  list.scrollTop = Math.max(Math.min(list.scrollTop, row.offsetTop), row.offsetTop + row.offsetHeight - list.clientHeight);
}

function hide(ids) {
  hidden = new Set(ids);
  for (const { line, row } of rows) row.classList.toggle("is-hidden", isHidden(line));
}

const isHidden = ({ ids }) => ids.every((id) => hidden.has(id));

/** A box is being corrected: a line that is one box says at once what that says. */
function correct(boxes) {
  const labels = new Map(boxes.map(({ id, label }) => [id, label]));
  for (const { line, row } of rows) {
    if (line.ids.length > 1) continue;
    if (labels.has(line.ids[0])) line.text = labels.get(line.ids[0]);
    row.hidden = !labels.has(line.ids[0]);
    row.querySelector(".reading-text").textContent = line.text;
  }
}

function copyAll() {
  const lines = (props.value?.lines || []).filter((line) => !isHidden(line));
  const parts = lines.map((line, index) => (line.is_first && index ? `\n${line.text}` : line.text));
  copy(parts.join("\n"), `Copied ${lines.length} lines.`);
}

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text); // only there where the page came by https or from this machine
    said.textContent = done;
  } catch {
    said.textContent = copyByHand(text) ? done : "The browser lets nothing be copied here. Save it as TXT.";
  }
}

function copyByHand(text) {
  const area = document.createElement("textarea");
  const before = document.activeElement;
  area.value = text;
  element.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  before?.focus({ preventScroll: true });
  return isDone;
}

function step(event) {
  stepThrough(rows, rows.findIndex(({ button }) => button === event.target), event);
}

part("copy").addEventListener("click", copyAll);
hear("stage:light", follow);
hear("stage:hide", hide);
hear("stage:boxes", correct);
watch("value", receive);
receive();
