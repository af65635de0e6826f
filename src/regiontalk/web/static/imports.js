// Captions from a file, as this page or `regiontalk describe` wrote it and people corrected it: they become the photos' own.
const MOST = 64 * 2 ** 20; // bytes
const EXPECTED = "expected a table with the columns file and caption, or lines of JSON, as they are downloaded here";

/**
 * Starts it.
 *
 * @param {Album} album its photos are found by their paths, whether they are captioned, come later, or are here.
 * @param {function(string)} say hears how many captions were taken, or why none was.
 * @returns {function(File)} takes the captions of a file.
 */
export function startImports(album, say) {
  const waiting = new Map(); // texts of photos that are not captioned yet, or not here, by path

  const put = (photo) => {
    if (!photo.answer || !waiting.has(photo.path)) return;
    const text = waiting.get(photo.path);
    waiting.delete(photo.path);
    album.write(photo, text, true);
  };
  album.addEventListener("change", ({ detail: { photo, changed } }) => changed.state === "done" && put(photo));

  return async (file) => {
    try {
      if (file.size > MOST) throw new Error(`${MOST / 2 ** 20} MiB are the most that are read`);
      const texts = textsOf(await file.text());
      for (const [path, text] of texts) waiting.set(path, text);
      const here = album.photos.filter(({ path }) => texts.has(path));
      here.forEach(put);
      const left = texts.size - here.length;
      say(`${file.name}: ${captions(here.length)} taken${left ? `, ${captions(left)} of photos that are not here` : ""}.`);
    } catch (error) {
      say(`${file.name}: ${error.message}`);
    }
  };
}

/** Captions by path. */
function textsOf(written) {
  const text = written.replace(/^\ufeff/, "");
  const found = text.trimStart().startsWith("{") ? ofLines(text) : ofTable(text);
  return new Map(found.map(([path, caption]) => [path.replace(/^(\.\/)+/, ""), caption])); // "./=1.jpg" is no formula
}

function ofLines(text) {
  return text.split("\n").filter((line) => line.trim()).map((line, at) => {
    try {
      const { file, caption } = JSON.parse(line);
      if (typeof file === "string" && typeof caption?.text === "string") return [file, caption.text];
    } catch { /* told below */ }
    throw new Error(`line ${at + 1}: ${EXPECTED}`);
  });
}

function ofTable(text) {
  const [line] = text.split(/\r?\n/, 1);
  for (const delimiter of [",", ";", "\t"]) {
    const heading = line.split(delimiter).map((cell) => cell.replaceAll('"', "").trim());
    const [file, caption] = [heading.indexOf("file"), heading.indexOf("caption")];
    if (file < 0 || caption < 0) continue;
    const rows = rowsOf(text, delimiter).slice(1).filter((row) => row[file] && row[caption] !== undefined);
    return rows.map((row) => [row[file], row[caption]]);
  }
  throw new Error(EXPECTED);
}

/** The cells of CSV, as RFC 4180 has it, with any delimiter. */
function rowsOf(text, delimiter) {
  const cell = new RegExp(`(?:"([^"]*(?:""[^"]*)*)"|((?!")[^\\r\\n${delimiter}]*))(${delimiter}|\\r?\\n|$)`, "y");
  const rows = [[]];
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    if (!found) throw new Error(`row ${rows.length} is no CSV`);
    rows.at(-1).push(found[1]?.replaceAll('""', '"') ?? found[2]);
    if (found[3] !== delimiter && cell.lastIndex < text.length) rows.push([]);
  }
  return rows;
}

function captions(number) {
  return `${number.toLocaleString("en")} ${number === 1 ? "caption" : "captions"}`;
}
