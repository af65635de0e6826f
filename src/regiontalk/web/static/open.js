// The photo that is open: its caption and regions, a sentence with its words, and its text to correct.
import { captionOf, nameOf } from "./album.js";
import { ask } from "./api.js";
import { OwnBoxes } from "./box.js";
import { copyCaption, editable } from "./grid.js";
import { copyText } from "./parts.js";
import { sampleSentence } from "./samples.js";
import { mountAlignment, mountDescription } from "./views.js";
import { startZoom } from "./zoom.js";

const $ = (id) => document.getElementById(id);

/** Shows the album's open photo; whoever changes `album.open` calls `show`. */
export class OpenPhoto {
  #turn = 0; // of drawing; what comes late for an earlier one is dropped
  #url = ""; // of the photo's content
  #zoom = startZoom($("view"));
  #album;
  #boxes;

  /** @param {Album} album `open` is the photo. */
  constructor(album) {
    this.#album = album;
    this.#boxes = new OwnBoxes($("view"), album);
    album.addEventListener("change", ({ detail: { photo } }) => photo === album.open && this.#showText());
    for (const type of ["add", "remove"]) album.addEventListener(type, () => album.open && this.#showPlace());
    this.#listenForTexts();
    this.#listenForSentences();
    this.#listenForSettings();
  }

  /** Shows it, or that none is open. */
  show() {
    const photo = this.#album.open;
    $("text").blur(); // what was written there is of the photo before
    $("work").hidden = !photo;
    URL.revokeObjectURL(this.#url);
    this.#url = photo ? URL.createObjectURL(photo.file) : "";
    this.#clear();
    $("view").replaceChildren();
    if (!photo) return;
    $("sentence").value = photo.sentence;
    $("view").setAttribute("aria-busy", "false");
    this.#showPlace();
    this.#showText();
    this.#draw();
  }

  /** Tells people of a busy server, and for how many seconds it is left alone, if it is about this photo. */
  busy(photo, seconds) {
    if (photo !== this.#album.open) return;
    say("problem", `The server is busy. It is asked once more in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`);
  }

  #clear() {
    this.#turn++;
    this.#boxes.clear();
    this.#zoom.reset();
    say("problem", "");
  }

  async #draw() {
    this.#clear();
    const [own, photo, url] = [this.#turn, this.#album.open, this.#url];
    const { sentence } = photo;
    $("back").hidden = !sentence;
    const example = sampleSentence(photo.file);
    $("example").hidden = !example || Boolean(sentence);
    $("example").textContent = `Try: ${example}`;
    say("status", "Looking at the photo");
    const waiting = setTimeout(() => own === this.#turn && drawWaiting(photo, url), 150); // a quick answer comes without a flicker
    $("view").setAttribute("aria-busy", "true");
    try {
      const answer = await (sentence ? this.#alignment(photo, sentence) : description(photo, this.#album));
      if (own !== this.#turn) return;
      say("problem", ""); // it may have been busy
      (sentence ? mountAlignment : mountDescription)($("view"), answer, url);
      say("status", sentence ? alignmentText(answer) : `Caption: ${captionOf(photo)}`);
    } catch (error) {
      if (own !== this.#turn) return;
      drawWaiting(photo, url, false);
      say("status", "");
      say("problem", this.#problemOf(error));
    } finally {
      clearTimeout(waiting);
      if (own === this.#turn) $("view").setAttribute("aria-busy", "false");
    }
  }

  /** An error's text, which says which of several photos it is about. */
  #problemOf({ message }) {
    const name = nameOf(this.#album.open.path);
    return this.#album.photos.length < 2 || message.includes(name) ? message : `${name}: ${message}`;
  }

  #alignment(photo, sentence) {
    if (!photo.alignments.has(sentence)) {
      const busy = (seconds) => this.busy(photo, seconds);
      const answer = ask("/api/align", { form: { photo: photo.file, sentence }, onBusy: busy, signal: photo.stop.signal });
      photo.alignments.set(sentence, answer);
      answer.catch(() => photo.alignments.delete(sentence)); // what failed is asked anew
    }
    return photo.alignments.get(sentence);
  }

  #showPlace() {
    const { photos, open } = this.#album;
    const at = photos.indexOf(open);
    $("stepper").hidden = photos.length < 2;
    $("copy-link").hidden = !isOfIndex(open);
    $("place").textContent = `${at + 1} of ${photos.length}`;
    $("previous").disabled = at <= 0;
    $("next").disabled = at >= photos.length - 1;
  }

  #showText() {
    const { answer, text, state } = this.#album.open;
    $("own").hidden = !answer;
    if ($("text") !== document.activeElement) $("text").value = captionOf(this.#album.open);
    $("original").hidden = text === null;
    $("again-failed").hidden = state !== "failed";
  }

  #write(sentence) {
    this.#album.open.sentence = $("sentence").value = sentence;
    this.#draw();
  }

  #listenForTexts() {
    const album = this.#album;
    editable($("text"), () => album.open, album);
    $("copy").addEventListener("click", () => copyCaption(album.open, $("copy")));
    $("copy-link").addEventListener("click", () => copyText(new URL(album.open.address, location.href).href, $("copy-link")));
    $("original").addEventListener("click", () => {
      album.change(album.open, { text: null });
      $("text").focus(); // the button goes
      $("text").value = captionOf(album.open);
    });
  }

  #listenForSentences() {
    $("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#write($("sentence").value.trim());
    });
    $("example").addEventListener("click", () => {
      this.#write(sampleSentence(this.#album.open.file));
      $("sentence").focus(); // the button goes
    });
    $("back").addEventListener("click", () => {
      this.#write("");
      $("sentence").focus();
    });
  }

  #listenForSettings() {
    $("temperature").addEventListener("input", () => {
      $("beam").disabled = $("temperature").value !== ""; // captions are either searched for or drawn
    });
    $("again").addEventListener("click", () => {
      if (![$("beam"), $("temperature")].every((each) => each.reportValidity())) return;
      const temperature = $("temperature").value;
      this.#album.again(this.#album.open, { temperature, beam: temperature ? "" : $("beam").value });
      this.#write("");
    });
    $("again-failed").addEventListener("click", () => {
      this.#album.again(this.#album.open);
      this.#draw();
    });
  }
}

/** Whether a photo's address shows it to whoever has it: others are in this page alone. */
function isOfIndex({ address }) {
  return address.startsWith("#/photo/");
}

/** The photo's description, once it is there. */
function description(photo, album) {
  return new Promise((done, failed) => {
    const look = () => {
      if (photo.state === "done") done(photo.answer);
      else if (photo.state === "failed") failed(new Error(photo.error));
      else if (photo.stop.signal.aborted) failed(new Error("The photo is removed."));
      else return false;
      for (const type of ["change", "remove"]) album.removeEventListener(type, look);
      return true;
    };
    if (look()) return;
    for (const type of ["change", "remove"]) album.addEventListener(type, look);
  });
}

/** The photo alone, in the place where its regions will appear. */
function drawWaiting(photo, url, busy = true) {
  const image = Object.assign(new Image(), { src: url, alt: nameOf(photo.path), className: "rt-image" });
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

function say(id, text) {
  $(id).textContent = text;
}
