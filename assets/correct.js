// The part of the stage where a person puts an answer right, with mouse, finger or keyboard: `edits.js` keeps what was
// changed, this makes changes of gestures. `stage.js` follows in the same script and calls `createCorrecting` once.

/** `show()` draws the answer anew, `changeMode()` what depends on whether it is corrected; what `isHidden(id)` stays. */
function createCorrecting({ root, edits, show, changeMode, isHidden }) {
  const GRIP = { mouse: 9, other: 22 }; // screen pixels around a handle
  const STILL = 3; // screen pixels that a click may move
  const MIN_SIDE = 6; // screen pixels of a new box
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const LABEL = "The answer. Page Up and Page Down choose a region, N adds one, arrow keys move it, " +
    "Alt and arrow keys resize it, P picks one of its points for the arrow keys, F2 renames it, Delete removes it, " +
    "Control Z undoes.";
  const [frame, handles, bar, tools, name, says] = ["frame", "handles", "bar", "bar-tools", "name", "says"].map((part) =>
    root.querySelector(`.stage-${part}`));
  const buttons = Object.fromEntries([...bar.querySelectorAll("[data-correct]")].map((button) => [button.dataset.correct, button]));
  const [selection, halo, dots, pickedDot] = handles.children;
  const labels = root.querySelector("datalist");
  name.setAttribute("list", (labels.id = `labels-${crypto.getRandomValues(new Uint32Array(1))[0]}`));

  let [size, isOn, isAdding] = [[0, 0], false, false];
  let selected = new Set(); // ids
  let picked = -1; // the handle of the one selected that the arrow keys move
  let gesture = null; // {pointer, from, before, isMoving, drag(dx, dy), deed, click()}
  let nudged = null; // {before, deed} of what the arrow keys did since they were pressed
  let renaming = []; // ids that the field gives a name

  const boxes = () => edits.boxes().filter(({ id }) => !isHidden(id));
  const chosen = () => boxes().filter(({ id }) => selected.has(id));
  const only = () => (selected.size === 1 ? chosen()[0] : undefined);
  const screenPixel = () => size[0] / frame.clientWidth;
  const nameOf = ({ label }) => label || "Region";
  const say = (sentence) => (says.textContent = sentence);

  // ---- on the page

  /** Take what is shown now; `canCorrect` whether it is a whole answer. */
  function take(given, canCorrect) {
    size = given;
    bar.hidden = !given[0];
    buttons.toggle.disabled = !canCorrect;
    if (!canCorrect) turn(false);
    draw();
  }

  function turn(isNowOn) {
    finishName(false);
    if (isNowOn === isOn) return;
    giveUp();
    [isOn, isAdding, selected, picked] = [isNowOn, false, new Set(), -1];
    buttons.toggle.setAttribute("aria-pressed", isOn);
    buttons.toggle.querySelector("span").textContent = isOn ? "Done" : "Correct";
    tools.hidden = !isOn;
    frame.style.cursor = "";
    changeMode();
    if (!isOn) edits.end();
  }

  /** The keys are the frame's while it is corrected. */
  function toggle() {
    turn(!isOn);
    (isOn ? frame : buttons.toggle).focus({ preventScroll: true });
  }

  function draw() {
    const shown = new Set(boxes().map(({ id }) => id));
    selected = new Set([...selected].filter((id) => shown.has(id)));
    const box = only();
    const points = isOn && box ? handlesOf(box) : [];
    if (picked >= points.length) picked = -1;
    const dotted = (some) => some.map(({ x, y }) => `M${x} ${y}h0`).join("");
    handles.setAttribute("viewBox", `0 0 ${size[0] || 1} ${size[1] || 1}`);
    selection.setAttribute("d", isOn ? chosen().map(pathOf).join("") : "");
    for (const path of [halo, dots]) path.setAttribute("d", dotted(points));
    pickedDot.setAttribute("d", dotted(points.slice(picked, picked + 1).filter(() => picked >= 0)));
    buttons.undo.disabled = !edits.canUndo();
    buttons.redo.disabled = !edits.canRedo();
    buttons.rename.disabled = buttons.delete.disabled = !selected.size;
    buttons.add.setAttribute("aria-pressed", isAdding);
  }

  function redraw() {
    show();
    draw();
  }

  // ---- changes

  function finish(before, deed) {
    edits.commit(before);
    redraw();
    say(deed);
  }

  function step(back) {
    giveUp();
    finishNudge();
    if (!(back ? edits.undo() : edits.redo())) return;
    redraw();
    if (isOn && document.activeElement?.disabled) frame.focus({ preventScroll: true });
    say(back ? "Undone" : "Redone");
  }

  const several = (some, deed) => `${some.length === 1 ? nameOf(some[0]) : `${some.length} regions`} ${deed}`;

  function removeAll(gone) {
    const before = edits.now();
    gone.forEach(({ id }) => edits.drop(id));
    finish(before, several(gone, "removed"));
  }

  function remove() {
    const at = picked >= 0 && only() ? handlesOf(only())[picked] : null;
    const fewer = at && at.point !== undefined ? withoutPoint(only(), at) : null;
    if (!at && selected.size) return removeAll(chosen());
    if (!fewer) return;
    const before = edits.now();
    edits.put(fewer);
    finish(before, "Point removed");
  }

  function cover(some, how) {
    const before = edits.now();
    edits.cover(some, how);
    finish(before, several(some, { cover: "covered", blur: "blurred", "": "shown again" }[how]));
  }

  function add(xyxy) {
    const before = edits.now();
    const box = edits.add(xyxy);
    [selected, picked, isAdding] = [new Set([box.id]), -1, false];
    finish(before, "Region added");
    rename();
  }

  function addInTheMiddle() {
    const [w, h] = size;
    add([0.35 * w, 0.35 * h, 0.65 * w, 0.65 * h].map(tenth));
  }

  // ---- names

  function rename(some = chosen()) {
    if (!some.length) return;
    renaming = some.map(({ id }) => id);
    const [x0, y0] = some[0].xyxy;
    name.style.setProperty("--x", `${(100 * x0) / size[0]}%`);
    name.style.setProperty("--y", `${(100 * y0) / size[1]}%`);
    labels.replaceChildren(...edits.labels().map((label) => Object.assign(document.createElement("option"), { value: label })));
    name.value = some.every(({ label }) => label === some[0].label) ? some[0].label : "";
    name.hidden = false;
    name.focus({ preventScroll: true });
    name.select();
  }

  function finishName(isWanted) {
    if (name.hidden) return;
    const label = name.value.trim().replace(/\s+/g, " ");
    const some = boxes().filter((box) => renaming.includes(box.id) && box.label !== label);
    const hadFocus = document.activeElement === name;
    name.hidden = true;
    if (hadFocus && isOn) frame.focus({ preventScroll: true });
    if (!isWanted || !some.length) return;
    const before = edits.now();
    some.forEach((box) => edits.put({ ...box, ...edits.lookOf(label), label }));
    finish(before, `Renamed to ${label || "nothing"}`);
  }

  name.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" || event.key === "Escape") finishName(event.key === "Enter");
  });
  name.addEventListener("blur", () => finishName(true));

  // ---- mouse and finger

  function pixelsOf(event) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    const [w, h] = size;
    return [within(((event.clientX - left) / width) * w, 0, w), within(((event.clientY - top) / height) * h, 0, h)];
  }

  function handleAt([x, y], pointerType) {
    const box = only();
    if (!box) return -1;
    const [x0, y0, x1, y1] = box.xyxy;
    const wide = (GRIP[pointerType] ?? GRIP.other) * screenPixel();
    const reach = hasPoints(box) ? wide : Math.max(Math.min(wide, (x1 - x0) / 3, (y1 - y0) / 3), GRIP.mouse * screenPixel());
    const apart = handlesOf(box).map((handle) => Math.hypot(handle.x - x, handle.y - y));
    const least = Math.min(...apart);
    return least <= reach ? apart.indexOf(least) : -1;
  }

  const smallestAt = (at) => boxes().filter((box) => contains(box, at)).sort((a, b) => a.area - b.area)[0];
  const boxAt = (at) => chosen().find((box) => contains(box, at)) ?? smallestAt(at);

  function press(event) {
    if (!isOn || event.button !== 0 || !event.isPrimary || event.target.closest("button, input")) return;
    event.preventDefault();
    finishName(true);
    finishNudge();
    frame.focus({ preventScroll: true });
    frame.setPointerCapture(event.pointerId);
    const from = pixelsOf(event);
    gesture = { pointer: event.pointerId, from, before: edits.now(), isMoving: false, ...gestureAt(from, event) };
    draw();
  }

  /** What a press begins: on a handle to resize, on a region to move it with all that are selected, else to add one. */
  function gestureAt(from, { pointerType, shiftKey, ctrlKey, metaKey }) {
    const handle = isAdding ? -1 : handleAt(from, pointerType);
    const box = isAdding ? undefined : boxAt(from);
    if (handle >= 0) {
      const [base, grip] = [only(), handlesOf(only())[handle]];
      picked = grip.side ? -1 : handle;
      return { drag: (dx, dy) => edits.put(dragged(base, grip, dx, dy, size)), deed: `${nameOf(base)} resized` };
    }
    if (!box) return { xyxy: [...from, ...from], drag: growNew, click: () => (selected = new Set()) };
    const isMore = shiftKey || ctrlKey || metaKey;
    if (isMore) selected = selected.has(box.id) ? new Set([...selected].filter((id) => id !== box.id)) : new Set([...selected, box.id]);
    else if (!selected.has(box.id)) selected = new Set([box.id]);
    picked = -1;
    const bases = chosen();
    return {
      drag: (dx, dy) => move(bases, dx, dy),
      deed: bases.length ? several(bases, "moved") : "",
      click: () => isMore || (selected = new Set([smallestAt(from)?.id])),
    };
  }

  function growNew(dx, dy) {
    const [x, y] = gesture.from;
    const [w, h] = size;
    const [x2, y2] = [within(x + dx, 0, w), within(y + dy, 0, h)];
    gesture.xyxy = [Math.min(x, x2), Math.min(y, y2), Math.max(x, x2), Math.max(y, y2)].map(tenth);
    edits.sketch(gesture.xyxy);
  }

  /** All by the same, which is as far as the picture goes for each of them. */
  function move(bases, dx, dy) {
    if (!bases.length) return;
    const [x0, y0, x1, y1] = boundsOf(bases.flatMap(outlinesOf));
    const [mx, my] = [within(dx, -x0, size[0] - x1), within(dy, -y0, size[1] - y1)];
    bases.forEach((box) => edits.put(moved(box, mx, my, size)));
  }

  function drag(event) {
    if (!isOn) return;
    const at = pixelsOf(event);
    if (!gesture) return showCursor(at, event);
    if (event.pointerId !== gesture.pointer) return;
    const [dx, dy] = [at[0] - gesture.from[0], at[1] - gesture.from[1]];
    gesture.isMoving ||= Math.hypot(dx, dy) > STILL * screenPixel();
    if (!gesture.isMoving) return;
    gesture.drag(dx, dy);
    redraw();
  }

  function showCursor(at, event) {
    if (event.pointerType !== "mouse") return;
    frame.style.cursor = isAdding ? "crosshair" : handleAt(at, "mouse") >= 0 ? "grab" : boxAt(at) ? "move" : "crosshair";
  }

  function release(event) {
    if (event.pointerId !== gesture?.pointer) return;
    const { before, isMoving, xyxy, deed, click } = gesture;
    gesture = null;
    if (!isMoving) click?.();
    else if (!xyxy) return finish(before, deed);
    else {
      edits.back(before);
      const [x0, y0, x1, y1] = xyxy;
      if (Math.min(x1 - x0, y1 - y0) >= MIN_SIDE * screenPixel()) return add(xyxy);
    }
    redraw();
  }

  /** Forget the gesture: everything is as it was before. */
  function giveUp() {
    if (!gesture) return;
    edits.back(gesture.before);
    gesture = null;
    redraw();
  }

  function pressTwice(event) {
    if (!isOn || event.target.closest("button, input")) return;
    const at = pixelsOf(event);
    const box = only() ?? smallestAt(at);
    const edge = box && edgeNear(box, at, GRIP.mouse * screenPixel());
    if (!edge && !boxAt(at)) return; // then it zooms
    event.stopPropagation();
    if (!edge) return rename();
    const before = edits.now();
    edits.put(withPoint(box, edge));
    finish(before, "Point added");
  }

  // ---- keyboard

  function pressKey(event) {
    if (!isOn || event.target.closest("button, input")) return;
    const act = actionOf(event);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  function actionOf({ key, shiftKey, altKey, ctrlKey, metaKey }) {
    const isPlain = !altKey && !ctrlKey && !metaKey;
    if (key === "Escape") return letGo;
    if (gesture) return null;
    if (ARROWS[key]) return () => (selected.size ? nudge(ARROWS[key], shiftKey ? 10 : 1, isPlain) : choose(1));
    if ((ctrlKey || metaKey) && key === "a") return () => selectAll();
    if (!isPlain) return null;
    if (key === "PageDown" || key === "PageUp") return () => choose(key === "PageDown" ? 1 : -1);
    return { Delete: remove, Backspace: remove, F2: () => rename(), Enter: () => rename(), n: addInTheMiddle, p: () => pick(1), P: () => pick(-1) }[key];
  }

  function letGo() {
    if (gesture) return giveUp();
    if (isAdding) isAdding = false;
    else if (picked >= 0) picked = -1;
    else if (selected.size) selected = new Set();
    else toggle();
    redraw();
  }

  function selectAll() {
    selected = new Set(boxes().map(({ id }) => id));
    draw();
    say(`${selected.size} regions selected`);
  }

  function choose(direction) {
    const all = boxes();
    if (!all.length) return;
    const at = all.findIndex(({ id }) => selected.has(id));
    select(all.at(at < 0 ? (direction > 0 ? 0 : -1) : (at + direction) % all.length).id);
  }

  /** Select one and say what it is. */
  function select(id) {
    finishNudge();
    [selected, picked] = [new Set([id]), -1];
    draw();
    const [x0, y0, x1, y1] = only().xyxy.map(Math.round);
    const place = boxes().findIndex((box) => box.id === id) + 1;
    say(`${nameOf(only())}, ${place} of ${boxes().length}: ${x1 - x0} by ${y1 - y0} pixels at ${x0}, ${y0}`);
  }

  function pick(direction) {
    const points = only() ? handlesOf(only()) : [];
    if (!points.length) return;
    picked = (Math.max(picked, direction > 0 ? -1 : 0) + direction + points.length) % points.length;
    draw();
    say(`Point ${picked + 1} of ${points.length} at ${Math.round(points[picked].x)}, ${Math.round(points[picked].y)}`);
  }

  function nudge([x, y], times, isPlain) {
    nudged ??= { before: edits.now(), deed: several(chosen(), isPlain ? "moved" : "resized") };
    const [dx, dy] = [x * times, y * times];
    const box = only();
    if (isPlain && picked >= 0 && box) edits.put(dragged(box, handlesOf(box)[picked], dx, dy, size));
    else if (isPlain) move(chosen(), dx, dy);
    else chosen().forEach((each) => edits.put(resized(each, dx, dy, size)));
    redraw();
  }

  function finishNudge() {
    if (!nudged) return;
    const { before, deed } = nudged;
    nudged = null;
    finish(before, deed);
  }

  /** Undo and redo work wherever the focus is, but in a field that has its own. */
  function pressUndo(event) {
    const key = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || (key !== "z" && key !== "y")) return;
    if (event.target.closest("input, textarea")) return;
    const back = key === "z" && !event.shiftKey;
    if (!(back ? edits.canUndo() : edits.canRedo())) return;
    event.preventDefault();
    step(back);
  }

  frame.addEventListener("pointerdown", press);
  frame.addEventListener("pointermove", drag);
  frame.addEventListener("pointerup", release);
  frame.addEventListener("pointercancel", (event) => event.pointerId === gesture?.pointer && giveUp());
  frame.addEventListener("dblclick", pressTwice);
  frame.addEventListener("keydown", pressKey);
  for (const event of ["keyup", "focusout"]) frame.addEventListener(event, finishNudge);
  const acts = {
    toggle,
    undo: () => step(true),
    redo: () => step(false),
    add: () => { isAdding = !isAdding; draw(); },
    rename: () => rename(),
    delete: remove,
  };
  for (const [what, act] of Object.entries(acts)) buttons[what].addEventListener("click", act);
  const of = (ids) => boxes().filter(({ id }) => ids.includes(id));
  return {
    take, draw, pressUndo,
    rename: (ids) => rename(of(ids)),
    remove: (ids) => removeAll(of(ids)),
    cover: (ids, how) => cover(of(ids), how),
    giveUp,
    isOn: () => isOn,
    label: () => (isOn ? LABEL : ""),
  };
}
