// The whole page takes a picture: dropped anywhere, or pasted. It goes to the field as if it had been chosen there.

/** Of several files the first is taken, and the page says so; what is no file is said too. */
function takeDrops() {
  const TEXT_FIELDS = "textarea, [contenteditable], input:not([type=checkbox], [type=radio], [type=range], [type=file])";
  const field = () => document.querySelector("#picture input[type=file]");
  const carriesFiles = ({ dataTransfer }) => [...(dataTransfer?.types ?? [])].includes("Files");
  const carriesLink = ({ dataTransfer }) => [...(dataTransfer?.types ?? [])].includes("text/uri-list");

  /** Where the camera is open the field takes no file: its first tab does. */
  async function openField() {
    if (!field()) document.querySelector("#picture button[aria-label='Upload file']")?.click();
    for (let turn = 0; turn < 60 && !field(); turn += 1) await new Promise(requestAnimationFrame);
    return field();
  }

  async function take(files) {
    say("");
    if (files.length > 1) {
      say(`This page takes one picture: the first of the ${files.length} is here. Many at once are for later.`);
    }
    const input = await openField();
    if (!input) return say("A picture is on its way already. Drop this one again when it is here.");
    const first = new DataTransfer();
    first.items.add(files[0]);
    input.files = first.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** The sentence stands under the field, until something else is dropped. */
  function say(sentence) {
    const problem = document.querySelector("#problem");
    let line = document.querySelector("#dropped");
    if (!line) {
      line = document.createElement("p");
      line.id = "dropped";
      line.setAttribute("role", "status");
      problem?.before(line);
    }
    line.textContent = sentence;
  }

  let depth = 0; // of elements that the pointer is over with a file
  const mark = () => document.body.classList.toggle("is-dropping", depth > 0);

  function over(event) {
    if (!carriesFiles(event) && (!carriesLink(event) || event.target.closest?.(TEXT_FIELDS))) return;
    event.preventDefault();
    event.stopPropagation();
  }

  function drop(event) {
    depth = 0;
    mark();
    if (event.target.closest?.(TEXT_FIELDS) && !carriesFiles(event)) return;
    over(event);
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
    else if (carriesLink(event)) say("That was a link, not a file. Save the picture first, then drop the file.");
  }

  function paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    const isText = event.target.closest?.(TEXT_FIELDS) && event.clipboardData.types.includes("text/plain");
    if (!files.length || isText) return;
    event.preventDefault();
    event.stopPropagation();
    take(files);
  }

  document.addEventListener("dragenter", (event) => carriesFiles(event) && ((depth += 1), mark()), true);
  document.addEventListener("dragleave", (event) => carriesFiles(event) && ((depth -= 1), mark()), true);
  document.addEventListener("dragover", over, true);
  document.addEventListener("drop", drop, true);
  document.addEventListener("paste", paste, true);
}

takeDrops();
