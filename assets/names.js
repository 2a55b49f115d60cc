// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// Names are what a user typed or a model wrote: they enter the page as textContent only.

const MOST = 40; // that are kept: a reload brings back so much and no more

const { hear } = joinWorkspace(element);
const root = element.querySelector(".names");
const [hint, head, list, single] = ["hint", "head", "rows", "single"].map((name) => root.querySelector(`.names-${name}`));
const oneByOne = single.querySelector("input");
const template = element.querySelector("template");

let phrase = element.closest(".workspace")?.dataset.phrase ?? "";
let kind = ""; // how the task takes names; "" where it takes none
let called = new Map(); // what is called otherwise, by what is asked for
let limits = new Map(); // lowest scores of their own, by what is the same for a name in capitals or its plural
let found = []; // labels of the answer with their scores
let others = 0; // the lowest score of the rest
let shown = "";

const plain = (name) => name.trim().replace(/\s+/g, " ");
const asked = () => (kind ? [...new Set(phrase.replaceAll("<and>", ",").split(/[,\n]/).map(plain).filter(Boolean))] : []);
const same = (name) => plain(name).toLowerCase().replace(/([^s])s$/, "$1");
const labelOf = (name) => called.get(name) || name;
const foundAs = (name) => found.find(({ label }) => same(label) === same(labelOf(name))) ?? found.find(({ label }) => same(label) === same(name));

function receive() {
  const given = props.value || {};
  kind = given.kind ?? kind;
  found = given.found ?? found;
  if (given.found || !found.length) others = given.others ?? others; // without an answer, that of the next one
  if (given.names) called = new Map(given.names.map((row) => [plain(row.asked), plain(row.called)]));
  if (given.limits) limits = new Map(Object.entries(given.limits).map(([name, score]) => [same(name), score]));
  if (given.one_by_one != null) oneByOne.checked = given.one_by_one;
  save();
  show();
  if (given.names || given.limits) setTimeout(() => trigger("named", {})); // the browser keeps it for a reload
}

/** Put what is the user's into the component's value, where the next event finds it as its input. */
function save() {
  const names = [...called].slice(-MOST).map(([asked, called]) => ({ asked, called }));
  const least = Object.fromEntries([...limits].slice(-MOST));
  props.value = { kind, others, names, limits: least, one_by_one: oneByOne.checked };
}

// ---- rows: the names of the phrase, then what the answer calls otherwise

function show() {
  const names = asked();
  const known = names.map(foundAs);
  const rest = found.filter((row) => !known.includes(row)).map(({ label }) => label);
  const rows = JSON.stringify([names, rest]);
  if (rows !== shown) list.replaceChildren(...names.map((name) => makeRow(name, true)), ...rest.map((label) => makeRow(label, false)));
  shown = rows;
  hint.hidden = list.children.length > 0;
  head.hidden = !names.length;
  single.hidden = kind !== "classes";
  root.hidden = !kind && !rest.length;
  for (const row of list.children) fill(row);
}

function makeRow(name, isAsked) {
  const row = template.content.firstElementChild.cloneNode(true);
  const [field, slider] = row.querySelectorAll("input");
  row.dataset.name = name;
  row.setAttribute("aria-label", name || "(no label)");
  row.querySelector(".names-label").textContent = name || "(no label)";
  field.hidden = !isAsked;
  field.setAttribute("aria-label", `What “${name}” is called`);
  slider.setAttribute("aria-label", `Lowest score of “${name}”`);
  return row;
}

function fill(row) {
  const { name } = row.dataset;
  const [field, slider] = row.querySelectorAll("input");
  const { color = "", scores = null, label = labelOf(name) } = foundAs(name) ?? {};
  Object.assign(row.querySelector(".names-swatch").style, { backgroundColor: color, visibility: color ? "" : "hidden" });
  if (field !== document.activeElement) field.value = called.get(name) ?? "";
  if (!slider.matches(":active")) slider.value = limits.get(same(label)) ?? others;
  const least = Number(slider.value);
  const kept = scores?.filter((score) => score >= least).length;
  row.querySelector(".names-count").textContent = scores ? `${least.toFixed(2)} · ${kept}/${scores.length}` : least.toFixed(2);
  slider.ariaValueText = scores ? `${least.toFixed(2)}, ${kept} of ${scores.length} are shown` : least.toFixed(2);
}

// ---- what the user changes

list.addEventListener("input", ({ target }) => {
  const { name } = target.closest(".names-row").dataset;
  if (target.type === "range") limits.set(same(foundAs(name)?.label ?? labelOf(name)), Number(target.value));
  else if (plain(target.value)) called.set(name, plain(target.value));
  else called.delete(name);
  save();
  for (const row of list.children) fill(row); // two that are called the same have one lowest score
  trigger("named", {});
  if (target.type === "range" && found.length) trigger("limit", {});
});
list.addEventListener("focusout", ({ target }) => fill(target.closest(".names-row")));
oneByOne.addEventListener("change", () => {
  save();
  trigger("named", {});
});

hear("phrase", (typed) => {
  phrase = typed;
  show();
});
watch("value", receive);
receive();
