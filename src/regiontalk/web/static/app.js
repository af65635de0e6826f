// The page: photos come in, are described, and meet sentences. Views are drawn by views.js, search by search.js.
import { ask, photo as fetchPhoto } from "./api.js";
import { startSearch } from "./search.js";
import { mountAlignment, mountDescription } from "./views.js";

const $ = (id) => document.getElementById(id);

const photos = []; // { file, url, button, sentence, answers: Map of promises }
let current = null;
let turn = 0; // of drawing; what comes late for an earlier one is dropped
let search = null;

// ---- photos come in

function addPhotos(files) {
  const images = [...files].filter((file) => file.type.startsWith("image/") || !file.type);
  const others = files.length - images.length;
  if (others) say("problem", `${others === 1 ? "One file is" : `${others} files are`} no photo.`);
  else say("problem", "");
  for (const file of images) photos.push(onShelf(file));
  if (images.length) choose(photos[photos.length - images.length]);
}

function onShelf(file) {
  const url = URL.createObjectURL(file);
  const image = Object.assign(document.createElement("img"), { src: url, alt: file.name, title: file.name });
  const button = Object.assign(document.createElement("button"), { type: "button", className: "thumb" });
  const item = document.createElement("li");
  const photo = { file, url, button, sentence: "", answers: new Map() };
  image.addEventListener("error", () => button.replaceChildren(file.name), { once: true });
  button.append(image);
  button.addEventListener("click", () => choose(photo));
  item.append(button);
  $("shelf").append(item);
  return photo;
}

function choose(photo) {
  current = photo;
  $("work").hidden = false;
  $("shelf").hidden = photos.length < 2;
  document.body.classList.add("has-photos");
  for (const each of photos) each.button.setAttribute("aria-current", String(each === photo));
  $("sentence").value = photo.sentence;
  draw();
}

// ---- answers are drawn

async function draw() {
  const own = ++turn;
  const photo = current;
  const { sentence } = photo;
  $("back").hidden = !sentence;
  say("problem", "");
  say("status", "Looking at the photo");
  const waiting = setTimeout(() => own === turn && drawWaiting(photo), 150); // a quick answer comes without a flicker
  $("view").setAttribute("aria-busy", "true");
  try {
    const answer = await (sentence ? alignment(photo, sentence) : description(photo));
    if (own !== turn) return;
    say("problem", ""); // it may have been busy
    (sentence ? mountAlignment : mountDescription)($("view"), answer, photo.url);
    say("status", sentence ? alignmentText(answer) : `Caption: ${answer.caption.text}`);
  } catch (error) {
    if (own !== turn) return;
    drawWaiting(photo, false);
    say("status", "");
    say("problem", problemOf(photo.file.name, error));
  } finally {
    clearTimeout(waiting);
    if (own === turn) $("view").setAttribute("aria-busy", "false");
  }
}

/** An error's text, which says which of several photos it is about. */
function problemOf(name, { message }) {
  return photos.length < 2 || message.includes(name) ? message : `${name}: ${message}`;
}

function description(photo) {
  const temperature = $("temperature").value;
  const beam = temperature ? "" : $("beam").value;
  return once(photo, `describe ${beam} ${temperature}`, "/api/describe", { beam, temperature });
}

function alignment(photo, sentence) {
  return once(photo, `align ${sentence}`, "/api/align", { sentence });
}

/** What was asked once is kept, unless it failed. */
function once(photo, key, path, form) {
  if (!photo.answers.has(key)) {
    const answer = ask(path, { form: { photo: photo.file, ...form }, onBusy: sayBusy });
    photo.answers.set(key, answer);
    answer.catch(() => photo.answers.delete(key));
  }
  return photo.answers.get(key);
}

/** The photo alone, in the place where its regions will appear. */
function drawWaiting(photo, busy = true) {
  const image = Object.assign(new Image(), { src: photo.url, alt: photo.file.name, className: "rt-image" });
  const frame = Object.assign(document.createElement("div"), { className: `rt-frame${busy ? " waiting" : ""}` });
  const view = Object.assign(document.createElement("div"), { className: "rt-view rt-description" });
  const text = Object.assign(document.createElement("p"), { className: "rt-note", textContent: busy ? "Looking at the photo …" : "" });
  image.addEventListener("load", () => frame.style.setProperty("--rt-ratio", image.naturalWidth / image.naturalHeight));
  image.addEventListener("error", () => frame.remove()); // this browser cannot show it
  frame.append(image);
  view.append(frame, text);
  $("view").replaceChildren(view);
}

function alignmentText({ phrases }) {
  return phrases.map(({ text, region }) => `${text}: ${region ? `region ${region}` : "the whole photo"}`).join("; ");
}

function sayBusy(seconds) {
  say("problem", `The server is busy. It is asked once more in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`);
}

function say(id, text) {
  $(id).textContent = text;
}

// ---- what people do

$("files").addEventListener("change", () => {
  addPhotos($("files").files);
  $("files").value = ""; // so that the same file can be chosen again
});

document.addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  addPhotos(event.clipboardData.files);
});

let depth = 0; // of elements that a dragged file is over
const holdsFiles = (event) => event.dataTransfer.types.includes("Files");
const dropping = (change) => {
  depth = change ? depth + change : 0;
  document.body.classList.toggle("dropping", depth > 0);
};
document.addEventListener("dragenter", (event) => holdsFiles(event) && dropping(1));
document.addEventListener("dragleave", (event) => holdsFiles(event) && dropping(-1));
document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
document.addEventListener("drop", (event) => {
  dropping(0);
  if (!holdsFiles(event)) return;
  event.preventDefault();
  addPhotos(event.dataTransfer.files);
});

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  current.sentence = $("sentence").value.trim();
  draw();
});

$("back").addEventListener("click", () => {
  current.sentence = $("sentence").value = "";
  draw();
  $("sentence").focus();
});

$("temperature").addEventListener("input", () => {
  $("beam").disabled = $("temperature").value !== ""; // captions are either searched for or drawn
});

$("again").addEventListener("click", () => {
  if (![$("beam"), $("temperature")].every((each) => each.reportValidity())) return;
  current.answers.clear(); // with a temperature each caption is new
  current.sentence = $("sentence").value = "";
  draw();
});

$("like").addEventListener("click", () => search.like(current.file));

async function openFound({ photo, file }) {
  try {
    const content = await fetchPhoto(photo);
    addPhotos([new File([content], file.split(/[\\/]/).pop(), { type: content.type })]);
    $("work").scrollIntoView();
    $("sentence").focus({ preventScroll: true });
  } catch (error) {
    say("found", error.message);
  }
}

async function start() {
  const { version, pack, index } = await ask("/api/version");
  say("about", `RegionTalk ${version}, pack ${pack.name}`);
  $("beam").placeholder = pack.beam;
  if (!index) return;
  $("like").hidden = false;
  search = startSearch(index.photos, openFound);
}

start().catch((error) => say("problem", error.message));
