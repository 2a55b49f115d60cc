// Zoom and pan of the stage: the frame, which holds the picture and all that is drawn on it, is larger than the view and
// moves under it. Whoever asks the frame where it is gets pixels that are exact at any zoom. `stage.js` follows in the
// same script and calls `createZoom` once.

/**
 * `canPan()` says whether a drag moves the picture; else it draws, until a second finger makes it a `pinch()`.
 * `changed(at)` is called when the view is another.
 */
function createZoom({ root, canPan, pinch, changed }) {
  const STEP = 1.5;
  const CLOSEST = 3; // screen pixels for one of the picture
  const LEAST_CLOSEST = 4; // times as large as the view, for small pictures too
  const SAME = 1.001;
  const MIDDLE = 4; // button of the mouse
  const DRAWN = 24; // screen pixels that a finger has moved which is no part of a pinch
  const [view, frame, tools, overview, window_] = ["view", "frame", "zoom", "overview", "overview-window"].map((name) =>
    root.querySelector(`.stage-${name}`));
  const [closer, farther, fit] = ["in", "out", "fit"].map((name) => tools.querySelector(`[data-zoom=${name}]`));
  const pointers = new Map(); // where the fingers, or the mouse, are in the view while they drag
  const clamp = (number, low, high) => Math.min(Math.max(number, low), high);

  let from = [0, 0]; // where the first of them came down
  let width = 0; // of the picture, in pixels; 0 without one
  let at = { scale: 1, x: 0, y: 0 }; // how many views wide the frame is, and the view's corner in the frame, in views

  const closest = () => Math.max(LEAST_CLOSEST, (CLOSEST * width) / view.clientWidth);

  function go(scale, x, y) {
    const next = clamp(scale, 1, width ? closest() : 1);
    at = { scale: next, x: clamp(x, 0, next - 1), y: clamp(y, 0, next - 1) };
    const isZoomed = next > SAME;
    for (const [name, value] of Object.entries({ zoom: at.scale, "pan-x": at.x, "pan-y": at.y })) {
      view.style.setProperty(`--${name}`, value);
    }
    view.classList.toggle("is-zoomed", isZoomed);
    tools.hidden = !width;
    for (const element of [farther, fit, overview]) element.hidden = !isZoomed;
    closer.disabled = next * SAME >= closest();
    changed(at);
  }

  /** Show the part that another stage shows, as far as this one can come. */
  function follow({ scale, x, y }) {
    const isHere = Math.abs(scale - at.scale) + Math.abs(x - at.x) + Math.abs(y - at.y) < 1e-6;
    if (width && !isHere) go(scale, x, y);
  }

  /** Zoom so that what is under a point of the view, given as shares of its sides, stays there. */
  function zoomAt(factor, [px, py]) {
    const scale = clamp(at.scale * factor, 1, closest());
    const grown = scale / at.scale;
    go(scale, (at.x + px) * grown - px, (at.y + py) * grown - py);
  }

  /** In screen pixels. */
  const apart = ([x, y], [otherX, otherY]) => Math.hypot((x - otherX) * view.clientWidth, (y - otherY) * view.clientHeight);

  const pan = (dx, dy) => go(at.scale, at.x + dx, at.y + dy);
  const toFit = () => go(1, 0, 0);

  function shareOf({ clientX, clientY }, element = view) {
    const box = element.getBoundingClientRect();
    return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
  }

  // ---- mouse and finger

  view.addEventListener("wheel", (event) => {
    const factor = Math.exp(-clamp(event.deltaY, -100, 100) / 300);
    const isAtEnd = factor < 1 ? at.scale <= SAME : closer.disabled;
    if (!width || isAtEnd) return; // then the wheel scrolls the page
    event.preventDefault();
    zoomAt(factor, shareOf(event));
  }, { passive: false });

  view.addEventListener("dblclick", (event) => {
    if (width && !event.target.closest("button, .stage-region")) zoomAt(STEP * STEP, shareOf(event));
  });

  view.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button, .stage-overview") || !width) return;
    if (event.button === 1) event.preventDefault(); // the middle button would scroll by itself
    else if (event.button !== 0 || (!canPan() && event.pointerType !== "touch")) return;
    const [share, [finger]] = [shareOf(event), pointers.values()];
    if (finger && !canPan() && apart(finger, from) > DRAWN) return; // that one draws, whatever else touches the picture
    if (!finger) from = share;
    pointers.set(event.pointerId, share);
    if (pointers.size > 1) pinch();
    else if (!canPan() && event.button === 0) return; // one finger draws
    if (at.scale > SAME || pointers.size > 1) view.setPointerCapture(event.pointerId);
  });

  view.addEventListener("pointermove", (event) => {
    if (!event.buttons) pointers.delete(event.pointerId); // it was let go outside
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = shareOf(event);
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, share]) => share);
    pointers.set(event.pointerId, now);
    if (other) {
      zoomAt(apart(now, other) / Math.max(1, apart(before, other)), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    }
    const isPan = other || canPan() || event.buttons & MIDDLE;
    if (at.scale > SAME && isPan) pan((before[0] - now[0]) / pointers.size, (before[1] - now[1]) / pointers.size);
  });

  for (const name of ["pointerup", "pointercancel"]) {
    view.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }

  const lookAt = (event) => {
    const [x, y] = shareOf(event, overview);
    go(at.scale, x * at.scale - 0.5, y * at.scale - 0.5);
  };
  overview.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    event.stopPropagation(); // nothing is drawn under it
    overview.setPointerCapture(event.pointerId);
    lookAt(event);
  });
  overview.addEventListener("pointermove", (event) => event.buttons && lookAt(event));

  // ---- buttons and keys

  const CENTER = [0.5, 0.5];
  const inward = () => zoomAt(STEP, CENTER);
  const outward = () => zoomAt(1 / STEP, CENTER);
  closer.addEventListener("click", inward);
  farther.addEventListener("click", outward);
  fit.addEventListener("click", () => {
    toFit();
    closer.focus({ preventScroll: true }); // the button that was pressed is gone
  });

  const KEYS = { "+": inward, "=": inward, "-": outward, 0: toFit };
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  view.addEventListener("keydown", (event) => {
    if (!width || event.ctrlKey || event.altKey || event.metaKey) return;
    const arrow = tools.contains(event.target) && at.scale > SAME && ARROWS[event.key];
    const act = KEYS[event.key] ?? (arrow && (() => pan(arrow[0] / 4, arrow[1] / 4)));
    if (!act) return;
    event.preventDefault();
    act();
    if (document.activeElement?.hidden) closer.focus({ preventScroll: true });
  });

  /** Begin with a picture, as wide as this in pixels; 0 is none. */
  function reset(pictureWidth) {
    width = pictureWidth;
    pointers.clear();
    toFit();
  }

  /** The part in view, xyxy in pixels of a picture of this size. */
  const inView = (w, h) =>
    [at.x * w, at.y * h, (at.x + 1) * w, (at.y + 1) * h].map((pixels) => pixels / at.scale);

  return { reset, follow, inView, isMoving: () => at.scale > SAME && pointers.size > 0 };
}
