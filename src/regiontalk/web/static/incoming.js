// Photos on their way in: chosen, a whole folder, dropped, folders too, or pasted.

const NO_FOLDERS = /^(\.|@eaDir$|__MACOSX$)/; // what systems put beside photos
const TEXTS = /\.(csv|tsv|jsonl)$/i;
const SUFFIXES = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|bmp|avifs?|jp2|j2k|jpf|ppm|pgm|pnm|heic|heif)$/i;

/**
 * Listens for photos.
 *
 * @param {HTMLInputElement} files chooses some.
 * @param {HTMLInputElement} folder chooses one.
 * @param {function({file: File, path: string}[], number)} take hears of photos, each with its path from the folder that
 *     it was found in, and of how many files that are none.
 * @param {function(File)} takeTexts hears of files that may hold captions.
 */
export function listenForPhotos(files, folder, take, takeTexts) {
  const sorted = (given) => {
    const texts = given.filter(({ file }) => TEXTS.test(file.name));
    const found = given.filter((each) => !texts.includes(each));
    const photos = found.filter(({ file }) => isPhoto(file));
    if (found.length) take(photos, found.length - photos.length);
    for (const { file } of texts) takeTexts(file);
  };

  files.addEventListener("change", () => {
    sorted([...files.files].map(alone));
    files.value = ""; // so that the same file can be chosen again
  });
  folder.addEventListener("change", () => {
    sorted([...folder.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })).filter(isWanted).sort(byPath));
    folder.value = "";
  });
  document.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    sorted([...event.clipboardData.files].map(alone));
  });
  listenForDrops((found) => sorted(found));
}

function listenForDrops(take) {
  let depth = 0; // of elements that a dragged file is over
  const holdsFiles = (event) => event.dataTransfer.types.includes("Files");
  const dropping = (change) => {
    depth = change ? depth + change : 0;
    document.body.classList.toggle("dropping", depth > 0);
  };
  document.addEventListener("dragenter", (event) => holdsFiles(event) && dropping(1));
  document.addEventListener("dragleave", (event) => holdsFiles(event) && dropping(-1));
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    dropping(0);
    if (!holdsFiles(event)) return;
    event.preventDefault();
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    // Entries and files must be asked for before anything is waited for.
    const given = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
    const found = [];
    for (const { entry, file } of given) {
      if (entry?.isDirectory) found.push(...(await inside(entry)).filter(isWanted).sort(byPath));
      else if (file) found.push(alone(file));
    }
    take(found);
  });
}

/** All files in a dropped folder and below it. */
async function inside(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const entries = await new Promise((done) => reader.readEntries(done, () => done([]))); // some hundred at a time
    if (!entries.length) return found;
    for (const entry of entries) {
      if (entry.isDirectory) found.push(...(await inside(entry)));
      else found.push(await new Promise((done) => entry.file((file) => done({ file, path: entry.fullPath.slice(1) }), () => done())));
    }
  }
}

function alone(file) {
  return { file, path: file.name };
}

/** Whether something in a folder may be meant: what systems hide, and what is not called as photos are, is not. */
function isWanted(found) {
  return found && !found.path.split("/").some((part) => NO_FOLDERS.test(part)) && (SUFFIXES.test(found.path) || isPhoto(found.file, true));
}

function isPhoto(file, surely = false) {
  return file.type.startsWith("image/") || (!surely && !file.type);
}

function byPath(a, b) {
  return a.path.localeCompare(b.path, "en", { numeric: true });
}
