// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// Labels are what a model read in somebody's picture: they enter the page as textContent only.

const MAX_TAGS = 25; // with more boxes a label shows on hover only

const { tell, hear } = joinWorkspace(element);
const root = element.firstElementChild;
const [frame, picture, covers, shapes, tags, truth, truthTags, litShape, litTag, reveal] =
  ["frame", "picture", "covers", "shapes", "tags", "truth", "truth-tags", "lit-shape", "lit-tag", "reveal"].map((name) =>
    root.querySelector(`.stage-${name}`));

const [overview, closer] = ["overview", "closeup"].map((name) => root.querySelector(`.stage-${name}`));

let value = {};
let isDrawing = false; // whether regions can be drawn
let pictureKey = ""; // regions and hidden boxes belong to this picture
let pictureUrl = "";
let drawn = []; // what is on the stage for each box: {key, id, box, nodes}
let hidden = new Set(); // ids of boxes
let lit = null; // id of a box, or ids of several

const saveRegions = (regions) => {
  props.value = { ...props.value, regions };
};
const regionLayer = createRegions({
  root,
  save: saveRegions,
  report: (regions) => {
    saveRegions(regions);
    trigger("region", { regions });
  },
});

const MILLISECONDS_OF_REST = 200; // Gradio takes the time of several frames to send something: not between two steps
let resting = 0;

function sayCorrected() {
  clearTimeout(resting);
  resting = 0;
  trigger("corrected", {});
}

const edits = createEdits({
  report: (corrected, boxes, isOver) => {
    props.value = { ...props.value, edits: corrected };
    tell("stage:boxes", boxes);
    clearTimeout(resting);
    resting = setTimeout(sayCorrected, isOver ? 0 : MILLISECONDS_OF_REST);
  },
  isGoingOn: () => correcting.isOn() || points.isOn(),
});
const correcting = createCorrecting({
  root,
  edits,
  show: showEdits,
  changeMode: () => showMode(null),
  isHidden: (id) => hidden.has(id),
});

let wanted = null; // of regions; an event that is on its way finds it whatever Python writes meanwhile
const want = (what, ids, more) => {
  wanted = { answer: edits.isOf(), what, ids, ...more };
  props.value = { ...props.value, ask: wanted };
};
const askAbout = (what, ids, more) => {
  want(what, ids, more);
  trigger("ask", {});
};
const points = createPoints({
  root,
  edits,
  ask: (id, prompt) => askAbout("sharpen", [id], prompt),
  changeMode: () => {
    showMode(null);
    showEdits();
    light(points.of());
  },
});
if (!element.closest(".can-sharpen")) root.querySelector("[data-ask=sharpen]")?.remove();
const menu = createMenu({
  root,
  nameOf: (id) => edits.boxes().find((box) => box.id === id)?.label || "Region",
  ask: (what, ids) => (what === "sharpen" && ids.length === 1 ? points.start(ids[0]) : askAbout(what, ids)),
  acts: {
    cut: (ids) => {
      want("", ids);
      trigger("cut", {});
    },
    cover: (ids) => correcting.cover(ids, "cover"),
    blur: (ids) => correcting.cover(ids, "blur"),
    uncover: (ids) => correcting.cover(ids, ""),
    rename: correcting.rename,
    delete: correcting.remove,
  },
  suits: (act, ids, isAll) => {
    const covers = edits.boxes().filter(({ id }) => ids.includes(id)).map(({ cover }) => cover ?? "");
    if (act === "uncover") return covers.some(Boolean);
    return act === "cover" || act === "blur" ? covers.some((cover) => cover !== act) : !isAll;
  },
});

const zoom = createZoom({
  root,
  canPan: () => !isDrawing && !correcting.isOn(),
  pinch: () => [correcting, regionLayer].forEach(({ giveUp }) => giveUp()),
  changed: zoomed,
});

/** Stages that belong together show the same part of their pictures. */
function zoomed(at) {
  tell("stage:zoom", at);
  seeCloser();
}

// ---- from Python

function receive() {
  const given = props.value || {};
  isDrawing = given.draw ?? isDrawing;
  const isAnswer = !given.keep;
  if (given.keep) props.value = { ...value, regions: given.regions, hidden: null };
  if (given.closeup?.image) showCloseup(given.closeup);
  value = props.value || {};
  const hasPicture = Boolean(value.image && value.w && value.h);
  const key = `${value.image?.url} ${value.w} ${value.h}`;
  const isSame = key === pictureKey;
  pictureKey = key;
  if (value.hidden || !isSame) hidden = new Set(value.hidden);
  showPicture(hasPicture);
  if (!isSame) zoom.reset(hasPicture ? value.w : 0);
  if (isAnswer) edits.take(value.edits, hasPicture ? value.boxes : []);
  if (value.edits) props.value = { ...props.value, edits: edits.wire(), ask: wanted };
  if (edits.late().length) props.value = { ...props.value, late: edits.late() };
  if (edits.tellLate()) sayCorrected();
  if (given.found) edits.find(given.found);
  correcting.take(hasPicture ? [value.w, value.h] : [0, 0], Boolean(value.edits));
  points.take(hasPicture ? [value.w, value.h] : [0, 0], Boolean(value.edits), given.found);
  showBoxes(edits.boxes());
  showTruth((hasPicture && value.truth) || { text: "", boxes: [] });
  showMode(value.regions || (isSame ? null : []));
}

/** Whether regions are drawn on the picture, or an answer is corrected, or neither. */
function showMode(regions) {
  const hasPicture = !picture.hidden;
  regionLayer.take([value.w, value.h], hasPicture && isDrawing && !correcting.isOn() && !points.isOn(), regions);
  frame.classList.toggle("is-correcting", correcting.isOn());
  dressFrame(points.label() || correcting.label() || regionLayer.label());
  if (hasPicture) showLook();
}

/** With keys of its own, the frame is an application to a screen reader. It keeps the focus that it has. */
function dressFrame(label) {
  if (label === (frame.getAttribute("aria-label") ?? "")) return;
  for (const [name, text] of Object.entries({ role: "application", tabindex: 0, "aria-label": label })) {
    if (label) frame.setAttribute(name, text);
    else frame.removeAttribute(name);
  }
}

function showEdits() {
  showBoxes(edits.boxes());
  points.draw();
  showLook();
}

/** What was corrected is on no picture yet: the page draws it. */
function showLook() {
  const annotated = correcting.isOn() || points.isOn() || edits.isStale() ? null : value.annotated;
  showSource((annotated || value.image).url, Boolean(annotated));
}

function showPicture(hasPicture) {
  root.classList.toggle("is-empty", !hasPicture);
  root.classList.toggle("is-busy", Boolean(value.busy));
  frame.setAttribute("aria-busy", Boolean(value.busy));
  root.style.setProperty("--label-size", value.label_size ?? 1);
  tags.hidden = value.label_size === 0;
  root.style.setProperty("--ratio", hasPicture ? value.w / value.h : 1.6);
  for (const svg of [shapes, litShape, truth]) svg.setAttribute("viewBox", `0 0 ${value.w || 1} ${value.h || 1}`);
  picture.hidden = !hasPicture;
  picture.alt = value.alt || "Your picture";
  overview.style.backgroundImage = hasPicture ? `url(${JSON.stringify(value.image.url)})` : "";
  if (!hasPicture) showSource("", false);
}

async function showSource(url, isAnnotated) {
  if (url === pictureUrl) return;
  pictureUrl = url;
  if (isAnnotated) {
    const ahead = new Image();
    ahead.src = url;
    await ahead.decode().catch(() => {}); // the boxes stay until the picture that holds them can be painted
    if (url !== pictureUrl) return;
  }
  picture.src = url;
  hideCloseup(true);
  seeCloser();
  root.classList.toggle("is-annotated", isAnnotated);
}

// ---- a part of it, as sharp as the file is

const MILLISECONDS_TO_SETTLE = 250; // after the last move
const SHARP = 1.25; // screen pixels for one of what is shown
const CLOSE = 0.6; // of the picture's width: a close-up of more than that would have no more pixels than the picture
let closeup = { of: "", xyxy: [] }; // what is shown, or on its way
let settling = 0;

function seeCloser() {
  clearTimeout(settling);
  settling = setTimeout(askForCloseup, MILLISECONDS_TO_SETTLE);
}

/** What is shown now: a close-up of another picture, or of another look at it, is none. */
const shownNow = () => pictureUrl;

function askForCloseup() {
  const xyxy = zoom.inView(value.w, value.h).map(Math.round);
  const covers = ([x0, y0, x1, y1]) => x0 <= xyxy[0] && y0 <= xyxy[1] && x1 >= xyxy[2] && y1 >= xyxy[3];
  const isFar = xyxy[2] - xyxy[0] > CLOSE * value.w;
  const isSharp = isFar || frame.clientWidth * devicePixelRatio <= picture.naturalWidth * SHARP;
  const hasMore = value.w > picture.naturalWidth || pictureUrl !== value.image?.url;
  if (isSharp || !hasMore || value.busy || !picture.naturalWidth) return hideCloseup(isSharp);
  const isEnough = closeup.of === shownNow() && covers(closeup.xyxy) && closeup.xyxy[2] - closeup.xyxy[0] < 3 * (xyxy[2] - xyxy[0]);
  if (isEnough) return;
  closeup = { of: shownNow(), xyxy };
  props.value = { ...props.value, closeup };
  trigger("closer", {});
}

function hideCloseup(isForgotten) {
  if (!isForgotten) return;
  closeup = { of: "", xyxy: [] };
  closer.hidden = true;
}

async function showCloseup({ of, xyxy, image }) {
  const ahead = new Image();
  ahead.src = image.url;
  await ahead.decode().catch(() => {}); // what is there stays until this can be painted
  if (of !== shownNow() || closeup.of !== of) return;
  closeup = { of, xyxy };
  const [x0, y0, x1, y1] = xyxy;
  Object.assign(closer.style, {
    left: `${(100 * x0) / value.w}%`,
    top: `${(100 * y0) / value.h}%`,
    width: `${(100 * (x1 - x0)) / value.w}%`,
    height: `${(100 * (y1 - y0)) / value.h}%`,
    backgroundImage: `url(${JSON.stringify(image.url)})`,
  });
  closer.hidden = false;
}

// ---- boxes

function showBoxes(boxes) {
  drawn.splice(boxes.length).forEach((entry) => entry.nodes.forEach((node) => node.remove()));
  boxes.forEach((box, index) => {
    const key = JSON.stringify([box, value.w, value.h]);
    if (drawn[index]?.key !== key) put(index, { key, box, id: box.id, nodes: [shapeOf(box), tagOf(box)] });
  });
  tags.classList.toggle("is-crowded", boxes.length > MAX_TAGS);
  showHidden();
}

function put(index, entry) {
  const old = drawn[index];
  [shapes, tags].forEach((parent, which) => {
    const node = entry.nodes[which];
    if (!old) node.classList.add("is-new");
    if (old) old.nodes[which].replaceWith(node);
    else parent.append(node);
  });
  drawn[index] = entry;
}

function shapeOf(box) {
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("class", "stage-shape");
  shape.setAttribute("d", pathOf(box));
  shape.style.color = box.color;
  return shape;
}

/** What hides a box until the server has drawn it so: as far as Python's cover goes. */
function coverOf({ cover, xyxy: [x0, y0, x1, y1] }) {
  const MARGIN = 0.05;
  const node = document.createElement("div");
  const [mx, my] = [MARGIN * (x1 - x0), MARGIN * (y1 - y0)];
  const edges = [x0 - mx, y0 - my, x1 + mx, y1 + my].map((at, i) => within(at, 0, i % 2 ? value.h : value.w));
  const [left, top, right, bottom] = edges.map((at, i) => (100 * at) / (i % 2 ? value.h : value.w));
  node.className = `is-${cover}`;
  Object.assign(node.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  return node;
}

function tagOf({ label, color, ink, score_text: scoreText, source, xyxy }) {
  const tag = document.createElement("div");
  const text = tag.appendChild(document.createElement("span"));
  tag.className = "stage-tag";
  tag.hidden = !label;
  tag.style.setProperty("--x", `${(100 * xyxy[0]) / value.w}%`);
  tag.style.setProperty("--y", `${(100 * xyxy[1]) / value.h}%`);
  text.className = "stage-label";
  text.textContent = label;
  text.style.backgroundColor = color;
  text.style.color = ink;
  text.classList.toggle("is-corrected", Boolean(source) && source !== "model");
  if (scoreText) text.appendChild(document.createElement("small")).textContent = scoreText;
  return tag;
}

// ---- what is right: shown while the user keeps it open

function showTruth({ text, boxes }) {
  reveal.hidden = !text;
  reveal.querySelector("p").textContent = text;
  for (const path of truth.children) path.setAttribute("d", boxes.map(pathOf).join("")); // dashes, and their edge
  const atTheFoot = ({ xyxy: [x0, , , y1], ...box }) => ({ ...box, xyxy: [x0, y1] }); // the answer's label is above
  truthTags.replaceChildren(...boxes.map((box) => tagOf(atTheFoot(box))));
}

// ---- lighting and hiding

function showHidden() {
  covers.replaceChildren(...drawn.filter(({ id, box }) => box.cover && !hidden.has(id)).map(({ box }) => coverOf(box)));
  drawn.forEach(({ id, nodes }) => nodes.forEach((node) => node.classList.toggle("is-hidden", hidden.has(id))));
  showLit();
}

/** A copy of a lit box stands above the others, which dim as one layer: it costs the same for 3 boxes and for 300. */
function showLit() {
  const ids = [lit].flat();
  const copies = drawn
    .filter(({ id }) => ids.includes(id) && !hidden.has(id))
    .map(({ nodes }) => nodes.map((node) => node.cloneNode(true)));
  litShape.replaceChildren(...copies.map(([shape]) => shape));
  litTag.replaceChildren(...copies.map(([, tag]) => tag));
  copies.flat().forEach((node) => node.classList.remove("is-new"));
  root.classList.toggle("is-lighting", copies.length > 0);
}

function light(wanted) {
  const id = points.isOn() ? points.of() : wanted; // the one whose outline is said more of
  if (id === lit) return;
  lit = id;
  showLit();
  tell("stage:light", id);
}

/** The smallest box under the pointer, so that a box inside another can be reached. */
function boxUnder(event) {
  const { left, top, width, height } = frame.getBoundingClientRect();
  const [x, y] = [((event.clientX - left) / width) * value.w, ((event.clientY - top) / height) * value.h];
  const areaOf = ({ box: { xyxy: [x0, y0, x1, y1] } }) => (x1 - x0) * (y1 - y0);
  const under = drawn.filter(({ id, box: { xyxy: [x0, y0, x1, y1] } }) =>
    !hidden.has(id) && x0 <= x && x <= x1 && y0 <= y && y <= y1);
  return under.length ? under.reduce((best, entry) => (areaOf(entry) < areaOf(best) ? entry : best)).id : null;
}

const isMouse = (event) => event.pointerType === "mouse";
frame.addEventListener("pointerdown", (event) => isMouse(event) || correcting.isOn() || points.isOn() || light(boxUnder(event)));
frame.addEventListener("pointermove", (event) => isMouse(event) && !regionLayer.isBusy() && !zoom.isMoving() && !correcting.isOn() && !points.isOn() && light(boxUnder(event)));
frame.addEventListener("pointerleave", (event) => isMouse(event) && !points.isOn() && light(null));
hear("stage:light", light);
hear("stage:zoom", zoom.follow);
hear("stage:hide", (ids) => {
  hidden = new Set(ids);
  showHidden();
});

// ---- what can be done with a region

let pressed = null; // where, in the window

const asksHere = Boolean(element.closest(".can-ask")); // whether the page answers
const canAsk = () => Boolean(value.edits) && !isDrawing && !correcting.isOn() && !points.isOn();

function openMenu(event) {
  const id = asksHere && value.edits && !points.isOn() ? boxUnder(event) : null;
  if (id === null || event.target.closest("button, input")) return;
  event.preventDefault();
  menu.open([id], { x: event.clientX, y: event.clientY });
}

frame.addEventListener("pointerdown", ({ clientX, clientY }) => (pressed = [clientX, clientY]));
frame.addEventListener("contextmenu", openMenu);
frame.addEventListener("click", (event) => {
  const apart = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]);
  if (canAsk() && event.detail === 1 && apart < 4) openMenu(event);
});
hear("stage:menu", ({ ids, ...place }) => value.edits && !points.isOn() && menu.open(ids ?? edits.boxes().map(({ id }) => id).filter((id) => !hidden.has(id)), place));
hear("keydown", (_, event) => correcting.pressUndo(event));
addEventListener("pagehide", edits.leave);
watch("value", receive);
receive();
