// The part of the stage where a person marks regions, with mouse, finger or keyboard. `stage.js` follows in the same
// script; it owns the picture and calls `createRegions` once.

/**
 * Regions are xyxy in pixels of the upright original. `save(regions)` keeps them for the next event that Python reads,
 * `report(regions)` also says so to Python, once at the end of a gesture.
 */
function createRegions({ root, save, report }) {
  const MIN_SIDE = 6; // screen pixels
  const LABEL = "Picture. Enter adds a region, arrow keys move it, Alt and arrow keys resize it, Delete removes it.";
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const [frame, layer, tools, clear, says] = ["frame", "regions", "tools", "clear", "says"].map((name) =>
    root.querySelector(`.stage-${name}`));
  const parts = root.querySelector("template").content;

  let [w, h, isDrawing] = [0, 0, false];
  let regions = [];
  let nodes = []; // what is on the stage for each region: {body, tag}
  let selected = -1;
  let gesture = null; // {pointer, index, grip, from, base, before}
  let nudged = ""; // what the arrow keys did since the last report, as a sentence

  const percent = (pixels, extent) => `${(100 * pixels) / extent}%`;
  const clamp = (number, low, high) => Math.min(Math.max(number, low), high);
  const copy = () => regions.map((xyxy) => [...xyxy]);
  const rounded = () => regions.map((xyxy) => xyxy.map((number) => Math.round(number * 10) / 10));
  const areaOf = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
  const focus = (node) => node.focus({ preventScroll: true });

  // ---- on the page

  /** Take what Python says; `replacement` is null where it leaves the regions to the user. */
  function take(size, draws, replacement) {
    if (!draws) giveUp();
    [w, h, isDrawing] = [...size, draws];
    if (replacement) {
      [regions, selected, gesture, nudged] = [replacement.map((xyxy) => [...xyxy]), -1, null, ""];
    } else if (regions.length) {
      save(rounded());
    }
    showMode();
    show();
  }

  function showMode() {
    frame.classList.toggle("is-drawing", isDrawing);
    tools.hidden = !isDrawing;
  }

  function show() {
    const shown = isDrawing ? regions : [];
    nodes.splice(shown.length).forEach(({ body, tag }) => [body, tag].forEach((node) => node.remove()));
    while (nodes.length < shown.length) nodes.push(make(nodes.length));
    shown.forEach((xyxy, index) => place(nodes[index], xyxy, index));
    clear.disabled = !regions.length;
  }

  function make(index) {
    const [body, tag] = parts.cloneNode(true).children;
    const button = tag.querySelector("button");
    tag.querySelector("b").textContent = index + 1;
    button.setAttribute("aria-label", `Remove region ${index + 1}`);
    button.addEventListener("click", () => remove(index));
    body.addEventListener("focus", () => select(index));
    layer.append(body, tag);
    return { body, tag };
  }

  function place({ body, tag }, xyxy, index) {
    const [x0, y0, x1, y1] = xyxy;
    const [left, top] = [percent(x0, w), percent(y0, h)];
    Object.assign(body.style, { left, top, width: percent(x1 - x0, w), height: percent(y1 - y0, h) });
    body.style.zIndex = regions.filter((other) => areaOf(other) > areaOf(xyxy)).length; // a small one stays reachable
    body.classList.toggle("is-selected", index === selected);
    const [x, y, width, height] = [x0, y0, x1 - x0, y1 - y0].map(Math.round);
    body.setAttribute("aria-label", `Region ${index + 1}: ${width} by ${height} pixels at ${x}, ${y}`);
    tag.style.setProperty("--x", percent(w - x1, w)); // from the right: the label of an answer is at the left
    tag.style.setProperty("--y", top);
  }

  // ---- changes

  function finish(sentence) {
    nudged = "";
    regions = rounded();
    show();
    says.textContent = sentence;
    report(copy());
  }

  function select(index) {
    if (nudged) finish(nudged);
    selected = index;
    show();
  }

  function add() {
    regions.push([0.35 * w, 0.35 * h, 0.65 * w, 0.65 * h]);
    finish(`Region ${regions.length} added`);
    focus(nodes.at(-1).body);
  }

  function remove(index) {
    regions.splice(index, 1);
    selected = -1;
    finish(`Region ${index + 1} removed`);
    focus(nodes[Math.min(index, nodes.length - 1)]?.body ?? frame);
  }

  function removeAll() {
    [regions, selected] = [[], -1];
    finish("All regions cleared");
    focus(frame);
  }

  /** Move a region, or the two sides that a corner names, by (dx, dy) within the picture. */
  function dragged([x0, y0, x1, y1], grip, dx, dy) {
    if (grip === "move") {
      const [mx, my] = [clamp(dx, -x0, w - x1), clamp(dy, -y0, h - y1)];
      return [x0 + mx, y0 + my, x1 + mx, y1 + my];
    }
    const xs = grip.includes("w") ? [x0 + dx, x1] : [x0, x1 + dx];
    const ys = grip.includes("n") ? [y0 + dy, y1] : [y0, y1 + dy];
    const [left, right] = xs.map((x) => clamp(x, 0, w)).sort((a, b) => a - b);
    const [top, bottom] = ys.map((y) => clamp(y, 0, h)).sort((a, b) => a - b);
    return [left, top, right, bottom];
  }

  const isTooSmall = ([x0, y0, x1, y1]) => Math.min(x1 - x0, y1 - y0) * (frame.clientWidth / w) < MIN_SIDE;

  // ---- mouse and finger

  function pixelsOf(event) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return [
      clamp(((event.clientX - left) / width) * w, 0, w),
      clamp(((event.clientY - top) / height) * h, 0, h),
    ];
  }

  const isOurs = (event) => event.pointerId === gesture?.pointer; // a second finger changes nothing

  function press(event) {
    if (!isDrawing || event.button !== 0 || !event.isPrimary || event.target.closest("button")) return;
    event.preventDefault(); // no text selection, no dragging of the picture
    if (nudged) finish(nudged);
    const [before, from] = [copy(), pixelsOf(event)];
    let index = nodes.findIndex(({ body }) => body.contains(event.target));
    const grip = index < 0 ? "se" : event.target.dataset.grip || "move";
    if (index < 0) index = regions.push([...from, ...from]) - 1;
    gesture = { pointer: event.pointerId, index, grip, from, before, base: regions[index] };
    frame.setPointerCapture(event.pointerId);
    select(index);
    focus(nodes[index].body);
  }

  function drag(event) {
    if (!isOurs(event)) return;
    const { index, grip, from, base } = gesture;
    const [x, y] = pixelsOf(event);
    regions[index] = dragged(base, grip, x - from[0], y - from[1]);
    show();
  }

  function release(event) {
    if (!isOurs(event)) return;
    const { index, grip, before } = gesture;
    const isNew = index === before.length;
    if (isTooSmall(regions[index])) return giveUp(isNew ? -1 : index);
    gesture = null;
    const deed = isNew ? "drawn" : grip === "move" ? "moved" : "resized";
    if (JSON.stringify(regions) !== JSON.stringify(before)) finish(`Region ${index + 1} ${deed}`);
  }

  /** Forget the gesture: everything is as it was before. */
  function giveUp(index = -1) {
    if (!gesture) return;
    regions = gesture.before;
    gesture = null;
    save(rounded());
    select(index);
    if (index < 0) focus(frame);
  }

  // ---- keyboard

  function pressKey(event) {
    const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey;
    const isOnButton = event.target.closest("button");
    const act = actionOf(event, isPlain, isOnButton);
    if (!isDrawing || !act) return;
    event.preventDefault();
    act();
  }

  function actionOf({ key, shiftKey }, isPlain, isOnButton) {
    if (gesture) return key === "Escape" ? letGo : null;
    if (isPlain && (key === "n" || (key === "Enter" && !isOnButton))) return add;
    if (key === "Escape") return letGo;
    if (selected < 0) return null;
    if (key === "Delete" || key === "Backspace") return () => remove(selected);
    if (ARROWS[key]) return () => nudge(ARROWS[key], shiftKey ? 10 : 1, isPlain ? "move" : "se");
    return null;
  }

  function letGo() {
    giveUp();
    select(-1);
    focus(frame);
  }

  function nudge([x, y], times, grip) {
    const step = times * Math.max(1, Math.min(w, h) / 200);
    const before = regions[selected];
    const after = dragged(before, grip, x * step, y * step);
    if (isTooSmall(after) || after[0] < before[0] && grip === "se" || after[1] < before[1] && grip === "se") return;
    regions[selected] = after;
    nudged = `Region ${selected + 1} ${grip === "move" ? "moved" : "resized"}`;
    show();
  }

  frame.addEventListener("pointerdown", press);
  frame.addEventListener("pointermove", drag);
  frame.addEventListener("pointerup", release);
  frame.addEventListener("pointercancel", (event) => isOurs(event) && giveUp());
  frame.addEventListener("keydown", pressKey);
  for (const name of ["keyup", "focusout"]) frame.addEventListener(name, () => nudged && finish(nudged));
  clear.addEventListener("click", removeAll);
  return { take, giveUp: () => giveUp(), isBusy: () => Boolean(gesture), label: () => (isDrawing ? LABEL : "") };
}
