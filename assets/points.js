// The part of the stage where points say more of a sharper outline: what is to be inside, and what is not. `edits.js` keeps
// the outlines, this which points each came of, so that a step of undo takes its point back. `stage.js` follows in the same
// script and calls `createPoints` once.

/** `ask(id, prompt)` asks for the outline of a box; `changeMode()` follows when points begin or cease to be taken. */
function createPoints({ root, edits, ask, changeMode }) {
  const MOST = 64;
  const MOST_KEPT = 200; // outlines whose points are known
  const STEPS = 100; // of the arrow keys, across the picture
  const STILL = 4; // screen pixels that a click may move
  const MILLISECONDS_OF_REST = 150; // after a point: of several in a row the last one asks
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const LABEL = "The outline. Arrow keys move a cross, Enter adds what is under it, Alt and Enter takes it away, " +
    "Delete takes the last point back, Escape keeps the outline.";
  const [frame, layer, bar, says] = ["frame", "points", "points-bar", "says"].map((part) => root.querySelector(`.stage-${part}`));
  const correctBar = root.querySelector(".stage-bar:not(.stage-points-bar)");
  const buttons = Object.fromEntries([...bar.querySelectorAll("[data-points]")].map((button) => [button.dataset.points, button]));
  const undo = root.querySelector("[data-correct=undo]");

  let size = [0, 0];
  let answer = ""; // whose box it is
  let id = null; // of the box; null while no points are taken
  let isPlus = true;
  let cameOf = new Map(); // {box, points} by the outline that came of them
  let awaited = null; // {id, prompt}: the outline that was asked for last
  let cross = null; // where the arrow keys are
  let pressed = null; // where, in the window
  let resting = 0;

  const keyOf = ({ polygons }) => JSON.stringify(polygons ?? []);
  const box = () => edits.boxes().find((one) => one.id === id);
  const promptOf = (one) => cameOf.get(keyOf(one)) ?? { box: one.xyxy, points: [] };
  const prompt = () => (awaited?.id === id ? awaited.prompt : box() ? promptOf(box()) : { points: [] });

  /** Ask for the outline of a box; one that came of points before goes on with them. */
  function start(wanted) {
    const one = edits.boxes().find((other) => other.id === wanted);
    if (!one) return;
    if (cameOf.has(keyOf(one))) return turn(wanted);
    send(wanted, promptOf(one));
  }

  function send(wanted, next) {
    awaited = { id: wanted, prompt: next };
    clearTimeout(resting);
    resting = setTimeout(() => ask(wanted, next), next.points.length ? MILLISECONDS_OF_REST : 0);
  }

  /** Take what is shown now, and what came of the points that were sent. */
  function take(given, canSharpen, found) {
    size = given;
    if (!canSharpen || edits.isOf() !== answer) {
      clearTimeout(resting);
      [awaited, answer] = [null, edits.isOf()];
      turn(null);
    }
    if (found?.is_final) settle(found);
    if (id !== null && !box()) turn(null);
    draw();
  }

  /** Remember which points an outline came of; it may be that of an ask before the last one. */
  function settle({ changes, points }) {
    const wanted = awaited?.id ?? id;
    const one = edits.boxes().find((other) => other.id === wanted);
    if (!one) return;
    const sent = { box: (awaited?.prompt ?? prompt()).box, points };
    const isLast = JSON.stringify(points) === JSON.stringify(awaited?.prompt.points);
    if (isLast) awaited = null;
    if (!changes.some((change) => change.id === wanted)) return;
    cameOf = new Map([...cameOf, [keyOf(one), sent]].slice(-MOST_KEPT));
    turn(wanted);
  }

  function turn(wanted) {
    if (wanted === id) return;
    const wasOn = id !== null;
    if (wanted === null) awaited = null; // what comes is still a step
    [id, cross, isPlus] = [wanted, null, true];
    const hadFocus = bar.contains(document.activeElement);
    bar.hidden = id === null;
    frame.classList.toggle("takes-points", id !== null);
    if (wasOn || id !== null) changeMode();
    if (id !== null) frame.focus({ preventScroll: true });
    else edits.end();
    says.textContent = id === null ? "The outline is kept" : "Click on the picture to say more of the outline";
    draw();
    if (hadFocus && id === null) correctBar.querySelector("button").focus({ preventScroll: true });
  }

  function draw() {
    if (id !== null) correctBar.hidden = true;
    else if (size[0]) correctBar.hidden = false;
    bar.querySelector("p").textContent = isPlus ? "Click to add" : "Click to take away";
    buttons.minus.setAttribute("aria-pressed", !isPlus);
    buttons.undo.disabled = !edits.canUndo();
    const shown = id === null ? [] : prompt().points.map(([x, y, sign]) => [x, y, sign ? "+" : "−", sign ? "is-plus" : "is-minus"]);
    if (id !== null && cross) shown.push([...cross, "", "is-cross"]);
    layer.replaceChildren(...shown.map(([x, y, sign, kind]) => {
      const node = Object.assign(document.createElement("span"), { className: kind, textContent: sign });
      Object.assign(node.style, { left: `${(100 * x) / size[0]}%`, top: `${(100 * y) / size[1]}%` });
      return node;
    }));
  }

  function add([x, y], isInside) {
    const before = prompt();
    if (!before.box) return;
    send(id, { box: before.box, points: [...before.points, [tenth(x), tenth(y), Number(isInside)]].slice(-MOST) });
    draw();
    says.textContent = isInside ? "Added" : "Taken away";
  }

  function pixelsOf(event) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return [within(((event.clientX - left) / width) * size[0], 0, size[0]), within(((event.clientY - top) / height) * size[1], 0, size[1])];
  }

  const isOnPicture = (event) => id !== null && !event.target.closest("button, input");

  frame.addEventListener("pointerdown", ({ clientX, clientY }) => (pressed = [clientX, clientY]));
  frame.addEventListener("click", (event) => {
    const apart = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]);
    if (isOnPicture(event) && apart < STILL) add(pixelsOf(event), isPlus !== event.altKey);
  });
  frame.addEventListener("contextmenu", (event) => {
    if (!isOnPicture(event)) return;
    event.preventDefault();
    add(pixelsOf(event), !isPlus);
  });
  frame.addEventListener("dblclick", (event) => isOnPicture(event) && event.stopPropagation()); // two points, no zoom

  function move([dx, dy], times) {
    const [x0, y0, x1, y1] = box().xyxy;
    const [x, y] = cross ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    const step = cross ? times * Math.max(1, Math.min(...size) / STEPS) : 0;
    cross = [within(x + dx * step, 0, size[0]), within(y + dy * step, 0, size[1])];
    draw();
    says.textContent = `At ${Math.round(cross[0])}, ${Math.round(cross[1])}`;
  }

  function actionOf({ key, shiftKey, altKey, ctrlKey, metaKey }) {
    if (ctrlKey || metaKey) return null;
    if (ARROWS[key]) return () => move(ARROWS[key], shiftKey ? 10 : 1);
    if (key === "Enter" || key === " ") return () => (cross ? add(cross, isPlus !== altKey) : move([0, 0], 0));
    return { Escape: () => turn(null), Delete: takeBack, Backspace: takeBack }[key];
  }

  frame.addEventListener("keydown", (event) => {
    const act = isOnPicture(event) && actionOf(event);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
  bar.addEventListener("keydown", (event) => event.key === "Escape" && turn(null));

  /** A point whose outline has not come is left out of the next ask, which takes its place; else a step is undone. */
  function takeBack() {
    if (awaited?.id === id && awaited.prompt.points.length) {
      send(id, { ...awaited.prompt, points: awaited.prompt.points.slice(0, -1) });
      return draw();
    }
    undo.disabled = !edits.canUndo();
    undo.click();
  }

  function toggle() {
    isPlus = !isPlus;
    draw();
  }

  const acts = { minus: toggle, undo: takeBack, done: () => turn(null) };
  for (const [what, act] of Object.entries(acts)) buttons[what].addEventListener("click", act);
  return { start, take, draw, isOn: () => id !== null, of: () => id, label: () => (id === null ? "" : LABEL) };
}
