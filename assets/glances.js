// Gradio runs this once a component, with `element`, `props` and `watch` in scope.
// The words are what a model wrote: they enter the page as textContent only.

const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const root = element.querySelector(".glances");
const workspace = element.closest(".workspace") ?? document.body;
const heat = Object.assign(document.createElement("canvas"), { className: "stage-heat", ariaHidden: "true" });
let side = 0;

function receive() {
  const { side: cells = 0, glances = [] } = props.value || {};
  side = cells;
  hide();
  root.hidden = !glances.length;
  root.replaceChildren(...glances.map(makeWord));
  if (root.firstChild) root.firstChild.tabIndex = 0;
}

function makeWord({ text, special, cells }) {
  const word = document.createElement("span");
  Object.assign(word, { className: special ? "glance is-special" : "glance", tabIndex: -1, role: "button", textContent: text.trim() || text });
  const values = Uint8Array.from(atob(cells), (character) => character.charCodeAt(0));
  for (const name of ["pointerenter", "focus"]) word.addEventListener(name, () => show(word, values));
  word.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && hide());
  word.addEventListener("blur", hide);
  return word;
}

/** Dark where the model did not look, as it is where it looked, and warm where it looked most. */
function show(word, values) {
  hide();
  const frame = workspace.querySelector(".stage-frame");
  if (!frame) return;
  heat.width = heat.height = side;
  const picture = new ImageData(side, side);
  values.forEach((value, index) => {
    const share = value / 255;
    picture.data.set([255 * share, 170 * share, 0, 255 * (0.62 * (1 - share) + 0.3 * share)], 4 * index);
  });
  heat.getContext("2d").putImageData(picture, 0, 0);
  frame.append(heat);
  word.classList.add("is-shown");
}

function hide() {
  heat.remove();
  root.querySelector(".is-shown")?.classList.remove("is-shown");
}

root.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return hide();
  const to = [...root.children].at([...root.children].indexOf(event.target) + KEYS[event.key]);
  if (!KEYS[event.key] || !to || (event.target === root.firstChild && KEYS[event.key] < 0)) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
});
workspace.addEventListener("pointerdown", ({ target }) => root.contains(target) || hide());
new ResizeObserver(() => root.clientHeight || hide()).observe(root); // it was folded away, or taken off the page
watch("value", receive);
receive();
