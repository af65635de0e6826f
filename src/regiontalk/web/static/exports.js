// Captions as files: what `regiontalk describe` writes, with the texts as people left them.
import { askFile } from "./api.js";
import { captionOf } from "./album.js";

const REGIONS = 100; // that the API takes of a photo

/** The table for spreadsheets; the server makes it. */
export async function saveTable(photos) {
  download(await askFile("/api/export/csv", { json: { photos: photos.map(row) } }), "captions.csv");
}

/** A sidecar for each photo, in a zip; the server makes them. */
export async function saveSidecars(photos) {
  download(await askFile("/api/export/xmp", { json: { photos: photos.map(row) } }), "sidecars.zip");
}

/** A line for each photo, as `regiontalk describe --json` prints them. */
export function saveJson(photos) {
  const lines = photos.map((photo) => `${JSON.stringify(object(photo))}\n`);
  download(new Blob(lines, { type: "application/jsonl" }), "captions.jsonl");
}

function row(photo) {
  const { width, height, regions } = photo.answer;
  const captions = regions.slice(0, REGIONS).map((region) => region.caption.text);
  return { file: photo.path, caption: captionOf(photo), width, height, regions: captions };
}

/** Of a caption that people wrote there is no probability, and its words were said of no region. */
function object(photo) {
  const caption = photo.text === null ? photo.answer.caption : { text: photo.text };
  return { ...photo.answer, file: photo.path, caption };
}

function download(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // it is read while it is saved
}
