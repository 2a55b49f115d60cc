// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// Names and texts come from people and models: they are set as text, never as markup.

const root = element.querySelector(".teach");
const [hint, curve, pictures] = ["hint", "curve", "pictures"].map((name) => root.querySelector(`.teach-${name}`));
const [svg, caption] = [curve.querySelector("svg"), curve.querySelector("figcaption")];
const [WIDTH, HEIGHT, EDGE] = [640, 200, 6];

const made = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  Object.assign(node, attributes);
  node.append(...children);
  return node;
};
const drawn = (name, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};

const widthOf = (label) => [...label].reduce((sum, sign) => sum + (sign === sign.toLowerCase() ? 0.57 : 0.74), 0); // in ems

function line(points, read, most, name) {
  const steps = Math.max(1, points.at(-1)?.step ?? 1);
  const places = points
    .filter((point) => read(point) !== null)
    .map((point) => [
      EDGE + ((WIDTH - 2 * EDGE) * point.step) / steps,
      HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * Math.min(1, read(point) / most)),
    ]);
  if (!places.length) return [];
  const path = drawn("polyline", { points: places.map((place) => place.join(",")).join(" "), class: `teach-${name}` });
  if (places.length > 1) return [path];
  path.setAttribute("points", `${places[0]} ${places[0]}`); // a line from a point to itself is a dot
  path.style.strokeWidth = 8;
  return [path];
}

function drawCurve({ points, quality_name: quality }) {
  curve.hidden = !points.length;
  const losses = points.map(({ loss }) => loss).filter((loss) => loss !== null);
  const last = points.at(-1);
  svg.replaceChildren(
    ...line(points, (point) => point.loss, Math.max(...losses, 1e-6), "loss"),
    ...line(points, (point) => point.quality, 1, "quality"),
  );
  const told = [];
  if (last?.quality != null) told.push([`${quality} ${last.quality.toFixed(2)}`, "quality"]);
  if (losses.length) told.push([`loss ${losses.at(-1).toFixed(3)}`, "loss"]);
  caption.replaceChildren(...told.map(([text, name]) => made("span", { className: `teach-key-${name}`, textContent: text })));
  const first = points[0]?.quality;
  const from = first != null ? `, from ${first.toFixed(2)} at the start` : "";
  svg.setAttribute("aria-label", told.length ? `After step ${last.step}: ${told.map(([text]) => text).join(", ")}${from}.` : "Nothing is measured yet.");
}

function panel(title, picture, answer) {
  const view = drawn("svg", { viewBox: `0 0 ${picture.w} ${picture.h}`, role: "img" });
  const size = picture.w / 26;
  for (const { xyxy: [x, y, right, below] } of picture.right.boxes) {
    view.append(drawn("rect", { x, y, width: right - x, height: below - y, class: "teach-right" }));
  }
  for (const { xyxy: [x, y, right, below], label, color, ink } of answer?.boxes ?? []) {
    view.append(drawn("rect", { x, y, width: right - x, height: below - y, class: "teach-box", stroke: color }));
    const at = Math.max(size * 1.2, y);
    const name = drawn("text", { x: x + size / 4, y: at - size / 3, fill: ink, "font-size": size });
    name.textContent = label;
    const back = drawn("rect", { x, y: at - size * 1.2, width: (widthOf(label) + 0.5) * size, height: size * 1.2, fill: color });
    if (label) view.append(back, name);
  }
  const names = (answer?.boxes ?? []).map(({ label }) => label).filter(Boolean);
  const said = answer ? answer.text || names.join(", ") || "nothing" : "not asked yet";
  view.setAttribute("aria-label", `${picture.name}, ${title.toLowerCase()}: ${said}`);
  const frame = made("div", { className: "teach-frame" }, made("img", { src: picture.image, alt: "" }), view);
  const parts = [made("figcaption", { textContent: title }), frame];
  if (answer?.text && !answer.boxes.length) parts.push(made("p", { textContent: answer.text }));
  return made("figure", {}, ...parts);
}

function drawPictures({ pictures: rows }) {
  const articles = rows.map((picture) => {
    const sides = made("div", { className: "teach-sides" }, panel("Before", picture, picture.before), panel("Now", picture, picture.now));
    const right = picture.right.text ? [made("p", { textContent: `Right: ${picture.right.text}` })] : [];
    return made("article", {}, made("h2", { textContent: picture.name }), sides, ...right);
  });
  pictures.replaceChildren(...articles);
}

function draw() {
  hint.hidden = props.value.points.length + props.value.pictures.length > 0;
  drawCurve(props.value);
  drawPictures(props.value);
}

watch("value", draw);
draw();
