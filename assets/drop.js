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

  /** The files that were dropped, without folders, which look like files that cannot be read. */
  function filesOf({ files, items }) {
    const isFolder = [...items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.()?.isDirectory);
    return [...files].filter((_, index) => !isFolder[index]);
  }

  // Gradio goes by the type that the browser gives a file, which is none for `.HEIC`, and refuses in words of its own.
  const typed = (file) => (file.type.startsWith("image/") ? file : new File([file], file.name, { type: "image/unknown" }));
  const megabytes = (size) => Math.ceil((10 * size) / 1024 ** 2) / 10;

  async function take(files) {
    say("");
    if (files.length > 1) {
      say(`This page takes one picture: the first of the ${files.length} is here. The page “Many pictures” takes all of them.`);
    }
    const limit = window.gradio_config.max_file_size;
    if (limit && files[0].size > limit) {
      const sizes = `The file has ${megabytes(files[0].size)} MB; the limit is ${megabytes(limit)}.`;
      return say(`${sizes} Scale the picture down or save it as JPEG, and try again.`);
    }
    const input = await openField();
    if (!input) return say("A picture is on its way already. Drop this one again when it is here.");
    const first = new DataTransfer();
    first.items.add(typed(files[0]));
    input.files = first.files;
    isGiving = true;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    isGiving = false;
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

  let isGiving = false; // a file to Gradio
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
    const many = document.querySelector("[data-takes-files]"); // the page of many pictures takes folders too
    if (many && carriesFiles(event)) return many.dispatchEvent(new CustomEvent("given", { detail: event.dataTransfer }));
    const files = filesOf(event.dataTransfer);
    if (files.length) take(files);
    else if (carriesFiles(event)) say("That was a folder. Open it, and drop a picture that lies in it.");
    else if (carriesLink(event)) say("That was a link, not a file. Save the picture first, then drop the file.");
  }

  function paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    const isText = event.target.closest?.(TEXT_FIELDS) && event.clipboardData.types.includes("text/plain");
    if (!files.length || isText) return;
    event.preventDefault();
    event.stopPropagation();
    const many = document.querySelector("[data-takes-files]");
    if (many) many.dispatchEvent(new CustomEvent("given", { detail: event.clipboardData }));
    else take(files);
  }

  /** What the user chose in the field comes here first; what this gives the field goes on to Gradio. */
  function choose(event) {
    const files = [...(event.target.files ?? [])];
    if (isGiving || event.target !== field() || !files.length) return;
    event.stopPropagation();
    event.target.value = ""; // so that the same file can be chosen again after it was refused
    take(files);
  }

  /** What else can be read than the browser takes for a picture; a phone would offer no camera beside it. */
  function offer({ target }) {
    if (target === field() && matchMedia("(pointer: fine)").matches) target.accept = "image/*,.heic,.heif,.avif,.pdf";
  }

  document.addEventListener("click", offer, true);
  document.addEventListener("dragenter", (event) => carriesFiles(event) && ((depth += 1), mark()), true);
  document.addEventListener("dragleave", (event) => carriesFiles(event) && ((depth -= 1), mark()), true);
  document.addEventListener("dragover", over, true);
  document.addEventListener("drop", drop, true);
  document.addEventListener("paste", paste, true);
  document.addEventListener("change", choose, true);
}

takeDrops();
