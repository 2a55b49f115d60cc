// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// Questions and answers enter the page as textContent only.

const list = element.querySelector("ul");
const template = element.querySelector("template");

let shown = "";

function show() {
  const { entries = [], current = "" } = props.value ?? {};
  const key = JSON.stringify([entries, current]);
  if (key === shown) return; // the focus stays where it is
  shown = key;
  list.replaceChildren(...entries.map((entry) => makeEntry(entry, entry.id === current)));
}

function makeEntry({ id, image, question, answer, asked_at }, isCurrent) {
  const entry = template.content.firstElementChild.cloneNode(true);
  const [pick, drop] = entry.querySelectorAll("button");
  entry.querySelector("img").src = image.url;
  entry.querySelector("b").textContent = question;
  entry.querySelector("time + span").textContent = answer;
  entry.querySelector("time").textContent = new Date(1000 * asked_at).toLocaleTimeString([], { timeStyle: "short" });
  pick.setAttribute("aria-current", isCurrent);
  pick.title = "Show this answer again";
  drop.setAttribute("aria-label", `Forget: ${question}`);
  drop.title = "Forget this answer";
  drop.hidden = isCurrent;
  pick.addEventListener("click", () => choose("pick", id));
  drop.addEventListener("click", () => choose("drop", id));
  return entry;
}

function choose(event, chosen) {
  props.value = { ...props.value, chosen };
  trigger(event, { chosen });
}

watch("value", show);
show();
