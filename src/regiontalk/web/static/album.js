// The photos that people gave, and what is known of each. Whoever shows or asks something listens; nothing is drawn here.

const ONE_LINE = /\s+/g;

/**
 * Tells of each change by an event: "add" and "remove" with the photos as `detail`, "change" with `{ photo, changed, kept }`.
 * A photo is `{ address, file, path, state, error, answer, text, sentence, alignments, how, stop }`:
 * `path` as tables and sidecars name it, no two the same; `state` "waiting", "looking", "done" or "failed" (`error` says
 * why); `answer` as the API describes it; `text` what people made of its caption, null while it is as it came; `how`
 * fields for captioning it; `stop` ends what is asked about it.
 */
export class Album extends EventTarget {
  photos = [];
  open = null; // the photo that people look at
  #made = 0;

  /**
   * Takes photos in; those that are here already are not taken twice.
   *
   * @param {{file: File, path: string, address?: string}[]} given
   * @returns {object[]} for each its photo, whether it is new or was here.
   */
  add(given) {
    const paths = new Map(this.photos.map((photo) => [photo.path, photo]));
    const added = [];
    const found = given.map(({ file, path, address }) => {
      const twin = paths.get(path);
      if (twin && sameFile(twin.file, file)) return twin;
      const photo = this.#photo(file, freePath(path, paths), address);
      paths.set(photo.path, photo);
      added.push(photo);
      return photo;
    });
    this.photos.push(...added);
    if (added.length) this.#tell("add", added);
    return found;
  }

  /** Takes photos out, and ends what is asked about them. */
  remove(photos) {
    const gone = new Set(photos);
    this.photos = this.photos.filter((photo) => !gone.has(photo));
    for (const photo of gone) photo.stop.abort();
    this.#tell("remove", photos);
  }

  /** Changes what is known of a photo; `kept` says that its text is in a file. */
  change(photo, changed, kept = false) {
    Object.assign(photo, changed);
    this.#tell("change", { photo, changed, kept });
  }

  /** What people make of a caption, in one line; their text goes when it is the caption itself. */
  write(photo, text, kept = false) {
    const line = text.replace(ONE_LINE, " ").trim();
    const own = line === photo.answer?.caption.text ? null : line;
    if (own !== photo.text) this.change(photo, { text: own }, kept);
  }

  /** Has a photo captioned again, as `how` says. */
  again(photo, how = photo.how) {
    this.change(photo, { state: "waiting", error: "", how });
  }

  /** Those in a state. */
  in(state) {
    return this.photos.filter((photo) => photo.state === state);
  }

  /** The photo so many places from another one; undefined beyond the ends. */
  beside(photo, steps) {
    return this.photos[this.photos.indexOf(photo) + steps];
  }

  #photo(file, path, address = `#/mine/${++this.#made}`) {
    const asked = { state: "waiting", error: "", answer: null, how: {}, stop: new AbortController() };
    return { address, file, path, ...asked, text: null, sentence: "", alignments: new Map() };
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** A photo's caption as people left it. */
export function captionOf(photo) {
  return photo.text ?? photo.answer?.caption.text ?? "";
}

/** The last part of a path. */
export function nameOf(path) {
  return path.split(/[\\/]/).pop();
}

function sameFile(a, b) {
  return a.size === b.size && a.lastModified === b.lastModified;
}

/** "dog.jpg", or "dog (2).jpg" where another photo has that: pasted photos are all called the same. */
function freePath(path, taken) {
  const [, stem, suffix] = path.match(/^(.*?)(\.[^./]*)?$/s);
  let free = path;
  for (let number = 2; taken.has(free); number++) free = `${stem} (${number})${suffix ?? ""}`;
  return free;
}
