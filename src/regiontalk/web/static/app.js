// The page: photos come in and are captioned side by side; one of them is open, or none. Each part has its own file.
import { Album, nameOf } from "./album.js";
import { ask, askFile } from "./api.js";
import { startCaptioning } from "./captioning.js";
import { startGrid } from "./grid.js";
import { startImports } from "./imports.js";
import { listenForPhotos } from "./incoming.js";
import { OpenPhoto } from "./open.js";
import { startRoutes } from "./route.js";
import { startSamples } from "./samples.js";
import { Search } from "./search.js";
import { startTools } from "./tools.js";

const $ = (id) => document.getElementById(id);

const album = new Album();
const opened = new OpenPhoto(album);
const tools = startTools(album);
const grid = startGrid($("shelf"), album, (photo) => routes.go(photo.address, { replace: Boolean(album.open) }));
const takeTexts = startImports(album, (text) => say("skipped", text));
let search = null;

const routes = startRoutes((path, query) => {
  const photo = album.photos.find(({ address }) => address === `#${path}`);
  if (photo) return open(photo);
  if (path.startsWith("/photo/")) return openIndexed(path.split("/")[2]);
  open(null);
  search?.show(path === "/search" ? query : new URLSearchParams());
});

// ---- one is open, or none

function open(photo) {
  const before = album.open;
  const byKeyboard = document.activeElement?.classList.contains("thumb");
  album.open = photo;
  document.body.classList.toggle("has-open", Boolean(photo));
  grid.show(photo);
  if (photo !== before || !photo) opened.show();
  if (byKeyboard && photo) focusThumb(photo);
  else if (!photo && before) focusThumb(before);
}

function focusThumb(photo) {
  const at = album.photos.indexOf(photo);
  $("shelf").children[at]?.querySelector(".thumb").focus({ preventScroll: Boolean(album.open) });
}

function step(by) {
  const photo = album.open && album.beside(album.open, by);
  if (photo) routes.go(photo.address, { replace: true });
}

/** A photo of the index, by the id of a result. */
async function openIndexed(id, name = `photo ${id}`) {
  const address = `#/photo/${id}`;
  if (album.photos.some((photo) => photo.address === address)) return routes.go(address);
  try {
    const content = await askFile(`/api/photo/${encodeURIComponent(id)}`);
    album.add([{ file: new File([content], name, { type: content.type, lastModified: 0 }), path: name, address }]);
    routes.go(address);
    $("work").scrollIntoView();
    $("sentence").focus({ preventScroll: true });
  } catch (error) {
    say("problem", error.message);
    say("found", error.message);
  }
}

// ---- photos come in

function take(given, others) {
  say("skipped", others ? `${others === 1 ? "One file is" : `${others} files are`} no photo.` : "");
  if (!given.length) return;
  const found = album.add(given);
  if (found.length === 1) routes.go(found[0].address, { replace: Boolean(album.open) });
  else routes.go("#/", { replace: Boolean(album.open) });
}

album.addEventListener("add", () => document.body.classList.add("has-photos"));
album.addEventListener("remove", ({ detail: photos }) => {
  document.body.classList.toggle("has-photos", album.photos.length > 0);
  if (photos.includes(album.open)) routes.go("#/", { replace: true });
});

// ---- what people do

$("folder-drop").hidden = !("webkitdirectory" in $("folder"));
listenForPhotos($("files"), $("folder"), take, takeTexts);
$("texts").addEventListener("change", () => {
  [...$("texts").files].forEach(takeTexts);
  $("texts").value = "";
});
startSamples($("sample-list"), (given) => take(given, 0), (text) => say("problem", text));
startCaptioning(album, (photo, seconds) => (photo === album.open ? opened.busy(photo, seconds) : tools.busy(seconds)));

$("overview").addEventListener("click", () => routes.go("#/"));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
document.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || !album.open || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.defaultPrevented || event.target.closest("input, textarea, .rt-scroll, .own-box")) return; // they need their arrows
  event.preventDefault();
  step(by);
});
$("like").addEventListener("click", () => search.like(album.open.file));

function say(id, text) {
  $(id).textContent = text;
}

async function start() {
  const { version, pack, index } = await ask("/api/version");
  say("about", `RegionTalk ${version}, pack ${pack.name}`);
  $("beam").placeholder = pack.beam;
  if (index) {
    $("like").hidden = false;
    search = new Search(index.photos, ({ id, file }) => openIndexed(id, nameOf(file)), routes);
  }
  routes.follow();
}

start().catch((error) => say("problem", error.message));
