// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// Files go to the server in parts: so many files and bytes a request as it takes. What is no file of pictures it says.

const root = element.querySelector(".many-files");
const [bar, says] = ["progress", ".many-files-says"].map((selector) => root.querySelector(selector));
const [filesInput, folderInput] = root.querySelectorAll("input");
const MEGABYTE = 1e6;
const PASSED_OVER = /(^|\/)(\.|__MACOSX|Thumbs\.db$|desktop\.ini$)|\.txt$/i; // what systems leave in folders, and no picture

const WAITING = "playground files"; // what was uploaded and is no job yet, for whoever goes to another one to delete it
const again = root.querySelector("[data-choose=again]");

let isBusy = false;

/** Everything that was dropped, folders with what is in them. It must be asked for at once: later it has gone. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map(expand))).flat();
}

async function expand(entry) {
  if (entry.isFile) {
    const file = await new Promise((take, fail) => entry.file(take, fail)).catch(() => null);
    return file ? [{ file, path: entry.fullPath }] : [];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((take) => reader.readEntries(take, () => take([])));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(expand))).flat();
}

function partsOf(files) {
  const { max_files: most, max_bytes: bytes } = props.value;
  const parts = [];
  let room = 0;
  for (const one of files) {
    if (!parts.length || parts.at(-1).length >= most || one.file.size > room) {
      parts.push([]);
      room = bytes;
    }
    parts.at(-1).push(one);
    room -= one.file.size;
  }
  return parts;
}

/** Files that are called alike in several folders are told apart by these; a form says %22 for a quotation mark. */
function named(files) {
  const parts = files.map(({ path }) => path.split("/").filter(Boolean));
  const isOneFolder = parts.every(([root, more]) => more && root === parts[0][0]);
  const times = new Map();
  for (const { file } of files) times.set(file.name, (times.get(file.name) ?? 0) + 1);
  return files.map(({ file }, index) => {
    const name = times.get(file.name) > 1 ? parts[index].slice(isOneFolder ? 1 : 0).join("-") : file.name;
    return { file, name: name.replaceAll('"', "'") };
  });
}

async function send(part) {
  const body = new FormData();
  for (const { file, name } of part) body.append("files", file, name);
  const { root: base, api_prefix: prefix } = window.gradio_config;
  const response = await fetch(`${base}${prefix}/upload`, { method: "POST", body });
  if (!response.ok) {
    const text = await response.text();
    let told = text;
    try {
      ({ detail: told } = JSON.parse(text));
    } catch {
      // a sentence as it stands
    }
    throw new Error(told || "The upload failed. Try again.");
  }
  return response.json();
}

async function take(given) {
  if (isBusy) return say("Files are on their way already. Wait until they are here.");
  isBusy = true;
  try {
    const found = (await given).filter(({ path }) => !PASSED_OVER.test(path));
    const limit = props.value.max_bytes;
    const files = found.filter(({ file }) => file.size <= limit);
    const tooLarge = found.filter(({ file }) => file.size > limit).map(({ file }) => file.name);
    const refused = tooLarge.length
      ? ` ${tooLarge.slice(0, 3).join(", ")}${tooLarge.length > 3 ? " and others" : ""} left out: a file may have ${Math.floor(limit / MEGABYTE)} MB.`
      : "";
    if (!files.length) return say(`There is no file to take.${refused} Give pictures, ZIPs, PDFs or videos.`);
    files.sort((one, other) => one.path.localeCompare(other.path, undefined, { numeric: true, sensitivity: "base" }));
    const paths = [];
    bar.max = files.length;
    bar.hidden = false;
    for (const part of partsOf(named(files))) {
      bar.value = paths.length;
      say(`Uploading: ${paths.length} of ${files.length} files…`);
      paths.push(...(await send(part)));
    }
    say(`${files.length} ${files.length > 1 ? "files were" : "file was"} uploaded.${refused}`);
    props.value = { ...props.value, paths };
    trigger("brought", {});
  } catch (error) {
    say(error instanceof TypeError ? "The server does not answer. Try again." : error.message);
  } finally {
    bar.hidden = true;
    isBusy = false;
  }
}

const say = (sentence) => (says.textContent = sentence);
const chosen = (input) => [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

for (const [kind, input] of [["files", filesInput], ["folder", folderInput]]) {
  root.querySelector(`[data-choose=${kind}]`).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = chosen(input);
    input.value = "";
    take(files);
  });
}
/** The server has made a job of what was uploaded, or has no room for one. */
function receive() {
  again.hidden = !props.value.waits;
  try {
    if (props.value.waits) sessionStorage.setItem(WAITING, JSON.stringify(props.value.paths));
    else sessionStorage.removeItem(WAITING);
  } catch {
    // a browser may refuse storage, or have no room
  }
}

function takeUp() {
  let paths = [];
  try {
    paths = JSON.parse(sessionStorage.getItem(WAITING)) ?? [];
  } catch {
    // as above
  }
  if (!paths.length) return;
  props.value = { ...props.value, paths, waits: true };
  again.hidden = false;
  say(`${paths.length} ${paths.length > 1 ? "files that were uploaded wait" : "file that was uploaded waits"} for a job.`);
}

again.addEventListener("click", () => trigger("brought", {}));
watch("value", receive);
takeUp();
root.addEventListener("given", ({ detail }) => take(filesOf(detail)));
