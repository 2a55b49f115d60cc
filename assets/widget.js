// The widget in somebody's frame: it tells the page around it how high it is, and follows that page's theme.
// The page around it is told nothing else, and can ask for nothing else.

const HEIGHT_MESSAGE = "florence2-playground:height";
const THEME_MESSAGE = "florence2-playground:theme";

/** Begin to tell the height; returns what the server is to know at the start. */
function openWidget() {
  const widget = document.querySelector("#widget");
  let told = 0;
  const tell = () => {
    const height = Math.ceil(widget.getBoundingClientRect().bottom + window.scrollY) + 8; // the padding under it
    if (height === told) return;
    told = height;
    parent.postMessage({ type: HEIGHT_MESSAGE, height }, "*");
  };
  if (parent !== window) {
    new ResizeObserver(tell).observe(widget);
    tell();
    addEventListener("message", ({ source, data }) => {
      if (source !== parent || data?.type !== THEME_MESSAGE) return;
      document.body.classList.toggle("dark", data.theme === "dark");
    });
  }
  return [playground.remembered()[0], location.search];
}

/** The code that puts the widget with this question into a page. */
function embedCode(task, phrase, checkpoint, style, hasLabels) {
  const address = new URL("./widget", location.href.split(/[?#]/)[0]);
  const given = { task, phrase, checkpoint, style: style.join(","), labels: hasLabels ? "" : "0" };
  for (const [name, value] of Object.entries(given)) if (value) address.searchParams.set(name, value);
  const source = address.href.replaceAll("&", "&amp;");
  return `<iframe id="florence2-playground" src="${source}" title="Florence-2 Playground" width="600" height="760" style="border: 0; max-width: 100%"></iframe>
<script>
  addEventListener("message", ({ source, data }) => {
    const frame = document.getElementById("florence2-playground");
    if (source === frame.contentWindow && data?.type === "${HEIGHT_MESSAGE}") frame.height = data.height;
  });
</${"script"}>`;
}
