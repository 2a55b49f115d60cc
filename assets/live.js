// Gradio runs this once a component, with `element`, `props`, `trigger` and `watch` in scope.
// A frame is taken when the last one is answered, and not sooner than SHORTEST after it: the newest always wins.

const root = element.querySelector(".live");
const [canvas, off, video, start, stop, turn, says, words] = ["seen", "off", "now", "start", "stop", "turn", "says", "text"]
  .map((name) => root.querySelector(`.live-${name}`));
const SHORTEST = 250; // milliseconds from one frame to the next
const AGAIN = 3000; // after an answer that did not come
const LONGEST_SIDE = 960; // pixels of a frame

let stream = null;
let facing = "environment";
let began = 0;
let number = 0; // of the frame that was sent last
let sentAt = 0;
let asked = null; // its pixels
let timer = 0;
let times = []; // when answers came

const say = (sentence) => (says.textContent = sentence);

async function begin() {
  start.disabled = true;
  say("Waiting for the camera…");
  try {
    const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, ...size }, audio: false });
  } catch (error) {
    return end(reason(error));
  }
  stream.getVideoTracks()[0].addEventListener("ended", () => end("The camera was taken away. Start it again."));
  video.srcObject = stream;
  video.hidden = false;
  off.hidden = true;
  stop.disabled = false;
  times = [];
  began = performance.now();
  await video.play().catch(() => {});
  const cameras = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  turn.hidden = cameras.filter(({ kind }) => kind === "videoinput").length < 2;
  say("Looking…");
  stop.focus();
  send();
}

function reason(error) {
  if (!error || !navigator.mediaDevices) return "This browser gives a camera to pages under https only. Open the page there.";
  if (error.name === "NotAllowedError") return "The camera was not allowed. Allow it in the browser's address bar, and start it again.";
  if (error.name === "NotFoundError") return "There is no camera. Connect one, and start it again.";
  return "The camera cannot be used: another program may have it. Close that, and start it again.";
}

async function send() {
  if (!stream) return;
  if (!video.videoWidth || document.hidden) return later(SHORTEST);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
  const frame = Object.assign(document.createElement("canvas"), {
    width: Math.round(video.videoWidth * scale), height: Math.round(video.videoHeight * scale),
  });
  frame.getContext("2d").drawImage(video, 0, 0, frame.width, frame.height);
  asked = frame;
  number += 1;
  sentAt = performance.now();
  const content = frame.toDataURL("image/jpeg", 0.85).split(",")[1];
  props.value = { ...props.value, frame: content, number, seconds: (sentAt - began) / 1000, boxes: [], text: "" };
  trigger("frame", {});
  later(30000); // should nothing come back at all
}

const later = (milliseconds) => {
  clearTimeout(timer);
  timer = setTimeout(send, milliseconds);
};

function end(sentence = "") {
  clearTimeout(timer);
  stream?.getTracks().forEach((track) => track.stop());
  const ran = stream;
  stream = null;
  video.srcObject = null;
  video.hidden = turn.hidden = true;
  start.disabled = false;
  stop.disabled = true;
  off.hidden = number > 0;
  say(sentence);
  if (ran) trigger("halt", {});
}

function answered() {
  const answer = props.value;
  if (!answer || answer.frame || answer.number !== number || !stream) return;
  if (answer.is_over) return end(answer.problem);
  if (answer.problem) say(answer.problem);
  if (answer.w) show(answer);
  const rest = answer.w ? SHORTEST - (performance.now() - sentAt) : SHORTEST * 4;
  later(Math.max(0, rest));
}

function show(answer) {
  const [width, height] = [asked.width, asked.height];
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d");
  pen.drawImage(asked, 0, 0);
  const scale = width / answer.w;
  const size = Math.max(12, Math.round(width / 45));
  pen.lineWidth = Math.max(2, width / 300);
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.textBaseline = "top";
  for (const box of answer.boxes) {
    const [x, y, xMax, yMax] = box.xyxy.map((value) => value * scale);
    pen.strokeStyle = pen.fillStyle = box.color;
    outline(pen, box, scale, [x, y, xMax, yMax]);
    const label = `${box.label} #${box.id}`.trim();
    const wide = pen.measureText(label).width + size * 0.7;
    const top = Math.max(0, y - size * 1.4);
    const left = Math.max(0, Math.min(x, width - wide));
    pen.fillRect(left, top, wide, size * 1.4);
    pen.fillStyle = box.ink;
    pen.fillText(label, left + size * 0.35, top + size * 0.2);
  }
  const found = answer.boxes.map((box) => `${box.label} #${box.id}`).join(", ");
  canvas.setAttribute("aria-label", found || "Nothing was found.");
  words.textContent = answer.text || (answer.boxes.length ? found : "Nothing is found.");
  times = [...times, performance.now()].slice(-6);
  const pace = times.length > 1 ? (1000 * (times.length - 1)) / (times.at(-1) - times[0]) : 0;
  const took = ((performance.now() - sentAt) / 1000).toFixed(1);
  say(`${answer.boxes.length} found, ${took} s after it was seen${pace ? `, ${pace.toFixed(1)} frames a second` : ""}.`);
}

function outline(pen, box, scale, [x, y, xMax, yMax]) {
  const parts = box.polygons || (box.quad ? [[0, 2, 4, 6].map((at) => box.quad.slice(at, at + 2))] : null);
  if (!parts) return pen.strokeRect(x, y, xMax - x, yMax - y);
  for (const part of parts) {
    pen.beginPath();
    part.forEach(([px, py]) => pen.lineTo(px * scale, py * scale));
    pen.closePath();
    pen.stroke();
  }
}

start.addEventListener("click", begin);
stop.addEventListener("click", () => {
  end("Stopped.");
  start.focus();
});
turn.addEventListener("click", () => {
  facing = facing === "environment" ? "user" : "environment";
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  clearTimeout(timer);
  begin();
});
watch("value", answered);
window.playgroundLive = {
  failed() {
    if (!stream) return;
    say("No answer came: many are asking. Another frame is sent in a moment.");
    later(AGAIN);
  },
};
