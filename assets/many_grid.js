// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// Only tiles that are in view are on the page, and rows come in windows: it is the same for 10 pictures and for 10,000.
// Names and answers are what somebody wrote or a model read: they enter the page as textContent only.

const root = element.querySelector(".many-grid");
const find = (selector) => root.querySelector(selector);
const [progress, bar, told] = [".many-progress", ".many-progress progress", ".many-progress p"].map(find);
const [chips, histogram, svg, caption] = [".many-chips", ".many-histogram", "svg", "figcaption"].map(find);
const [tiles, shape, output] = [".many-tiles", "template", "output"].map(find);
const inputs = Object.fromEntries([...root.querySelectorAll("[data-wanted]")].map((node) => [node.dataset.wanted, node]));

const ORDERS = ["as given", "least sure", "most found"];
const KINDS = ["all", "found", "not found", "errors", "not looked at", "approved", "skipped", "corrected"];
const MILLISECONDS_TO_SETTLE = 80;
const MOST_THUMBNAILS = 3000;
const GAP = 8;

let value = {};
let revision = "";
let rows = new Map(); // by place among the wanted
let thumbnails = new Map(); // by what names the answer
let shown = new Map(); // tiles by place
let settling = 0;

const duration = (seconds) => {
  const [minutes, rest] = [Math.floor(seconds / 60), Math.round(seconds % 60)];
  return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : minutes ? `${minutes} min ${rest} s` : `${rest} s`;
};

// ---- from Python

function receive() {
  value = props.value || {};
  if (value.revision !== revision) rows = new Map();
  revision = value.revision;
  (value.rows ?? []).forEach((row, index) => {
    rows.set(value.first + index, row);
    if (row.thumb) keepThumbnail(row.id, row.thumb);
  });
  showProgress(value.job ?? {});
  showTally();
  showFilters();
  showTiles();
}

function keepThumbnail(id, url) {
  thumbnails.delete(id);
  thumbnails.set(id, url);
  if (thumbnails.size > MOST_THUMBNAILS) thumbnails.delete(thumbnails.keys().next().value);
}

function showProgress({ state, pictures, wanted, answered = 0, failed = 0, a_minute: pace, seconds_left: left }) {
  const total = wanted ?? pictures;
  const isWorking = state === "working";
  progress.hidden = !isWorking && !failed;
  bar.hidden = !isWorking;
  if (total) [bar.max, bar.value] = [total, Math.min(total, answered + failed)];
  else bar.removeAttribute("value");
  const parts = [
    isWorking && total && `${answered + failed} of ${total}`,
    isWorking && pace && `${Math.round(pace)} a minute`,
    isWorking && left != null && `${duration(left)} left`,
    failed && `${failed} ${failed > 1 ? "errors" : "error"}`,
  ];
  told.textContent = parts.filter(Boolean).join(" · ");
}

function showTally() {
  const labels = value.labels ?? [];
  const chosen = value.wanted?.label ?? "";
  const key = JSON.stringify([labels, chosen, value.histogram, value.threshold]);
  if (chips.dataset.key === key) return;
  chips.dataset.key = key;
  chips.replaceChildren(
    ...labels.slice(0, 30).map(([name, count, pictures, color]) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.setAttribute("aria-pressed", name === chosen);
      chip.title = `${count} in ${pictures} ${pictures > 1 ? "pictures" : "picture"}`;
      chip.append(Object.assign(document.createElement("i"), { style: `background:${color}` }), name);
      chip.append(Object.assign(document.createElement("small"), { textContent: `${count} in ${pictures}` }));
      chip.addEventListener("click", () => want({ label: name === chosen ? "" : name }));
      return chip;
    }),
  );
  showHistogram();
}

function showHistogram() {
  const bins = value.histogram ?? [];
  const most = Math.max(0, ...bins);
  histogram.hidden = !most;
  const node = (kind, attributes) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", kind);
    Object.entries(attributes).forEach(([name, said]) => one.setAttribute(name, said));
    return one;
  };
  const width = 200 / (bins.length || 1);
  const bars = bins.map((count, index) => {
    const height = count ? Math.max(2, (52 * count) / most) : 0;
    const isOut = (index + 1) / bins.length <= value.threshold;
    return node("rect", { x: index * width + 1, y: 56 - height, width: width - 2, height, class: isOut ? "is-out" : "" });
  });
  const at = 200 * value.threshold;
  svg.replaceChildren(...bars, node("line", { x1: at, x2: at, y1: 0, y2: 56 }));
  const whose = value.wanted?.label ? `of ${value.wanted.label} ` : "";
  caption.textContent = `Scores ${whose}from 0 to 1; from ${value.threshold.toFixed(2)} on they count. Click to change that.`;
}

svg.addEventListener("click", (event) => {
  const { left, width } = svg.getBoundingClientRect();
  const threshold = Math.round((100 * (event.clientX - left)) / width) / 100;
  send("hold", { threshold: Math.min(1, Math.max(0, threshold)) });
});

// ---- which pictures

function fill(select, options, chosen) {
  const key = JSON.stringify(options);
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...options.map(([said, text]) => new Option(text, said)));
  }
  if (document.activeElement !== select) select.value = chosen;
}

function showFilters() {
  const { kinds = {}, labels = [], wanted = {} } = value;
  fill(inputs.kind, KINDS.map((kind) => [kind, `${kind} (${kinds[kind] ?? 0})`]), wanted.kind ?? "all");
  fill(inputs.label, [["", "anything"], ...labels.map(([name]) => [name, name])], wanted.label ?? "");
  fill(inputs.order, ORDERS.map((order) => [order, order]), wanted.order ?? ORDERS[0]);
  output.textContent = `${value.total ?? 0} ${value.total === 1 ? "picture" : "pictures"}`;
}

for (const [name, input] of Object.entries(inputs)) {
  input.addEventListener("change", () => want({ [name]: input.type === "number" ? Number(input.value) : input.value }));
}

function want(changes) {
  rows = new Map();
  send("window", { ...windowInView(), first: 0, ...changes });
}

function send(event, changes) {
  const wanted = { ...value.wanted, ...windowInView(), have: [...thumbnails.keys()].slice(-1000), picture: "", threshold: -1, ...changes };
  props.value = { ...value, rows: [], wanted };
  value = { ...value, wanted };
  trigger(event, {});
}

// ---- tiles: those in view

function measure() {
  const width = tiles.clientWidth || 1;
  const least = width < 500 ? 104 : 148;
  const columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  const side = (width - GAP * (columns - 1)) / columns;
  return { columns, side, height: side * 0.75 + 62 };
}

function windowInView(extra = 1) {
  const { columns, height } = measure();
  const { top } = tiles.getBoundingClientRect();
  const from = Math.floor((-top - extra * innerHeight * 0.5) / (height + GAP));
  const until = Math.ceil((innerHeight - top + extra * innerHeight * 0.5) / (height + GAP));
  const first = Math.max(0, from) * columns;
  return { first, count: Math.min(240, Math.max(columns, Math.max(1, until) * columns - first)) };
}

function showTiles() {
  const { columns, side, height } = measure();
  const total = value.total ?? 0;
  tiles.style.height = `${Math.max(0, Math.ceil(total / columns) * (height + GAP) - GAP)}px`;
  const { first, count } = windowInView();
  const last = Math.min(total, first + count);
  for (const [place, tile] of shown) {
    if (place >= first && place < last) continue;
    tile.remove();
    shown.delete(place);
  }
  let isMissing = false;
  for (let place = first; place < last; place += 1) {
    let tile = shown.get(place);
    if (!tile) {
      tile = shape.content.firstElementChild.cloneNode(true);
      shown.set(place, tile);
      const after = [...shown.keys()].filter((other) => other > place).sort((one, other) => one - other)[0];
      tiles.insertBefore(tile, shown.get(after) ?? null);
    }
    const [x, y] = [(place % columns) * (side + GAP), Math.floor(place / columns) * (height + GAP)];
    tile.style.cssText = `transform: translate(${x}px, ${y}px); width: ${side}px; height: ${height}px`;
    const row = rows.get(place);
    if (row) fillTile(tile, row);
    else isMissing = true;
  }
  if (isMissing) askSoon();
}

function fillTile(tile, row) {
  const thumb = thumbnails.get(row.id) ?? "";
  const key = JSON.stringify([row, thumb.length, value.opened === row.id]);
  if (tile.dataset.key === key) return;
  tile.dataset.key = key;
  const [button, image] = [tile.querySelector("button"), tile.querySelector("img")];
  const state = row.error ? "error" : row.verdict || (row.corrected ? "corrected" : "");
  const marks = { error: "!", approved: "✓", skipped: "–", corrected: "✎" };
  const states = [row.error && "error", row.verdict, row.corrected && "corrected"].filter(Boolean);
  tile.dataset.state = state;
  button.dataset.picture = row.id;
  button.setAttribute("aria-current", value.opened === row.id);
  if (thumb) image.src = thumb;
  else image.removeAttribute("src");
  image.hidden = !thumb;
  tile.querySelector(".many-mark").textContent = marks[state] ? `${marks[state]} ${states.join(", ")}` : "";
  tile.querySelector("b").textContent = row.name;
  const sure = row.least === null || row.least === undefined ? "" : ` · ${Math.round(100 * row.least)} %`;
  tile.querySelector(".many-says").textContent = row.error || `${row.says}${sure}`;
  button.title = row.error || `${row.name}: ${row.says}`;
}

tiles.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.dataset.picture) send("pick", { picture: button.dataset.picture });
});

// ---- rows that are not here yet

function askSoon() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    if (!element.isConnected) return;
    const { first, count } = windowInView();
    const last = Math.min(value.total ?? 0, first + count);
    let isMissing = false;
    for (let place = first; place < last; place += 1) isMissing ||= !rows.has(place);
    if (isMissing) send("window", { first, count });
  }, MILLISECONDS_TO_SETTLE);
}

let isDue = false;
function moved() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    if (element.isConnected) showTiles();
  });
}

addEventListener("scroll", moved, { passive: true, capture: true });
new ResizeObserver(moved).observe(tiles);
watch("value", receive);
receive();
