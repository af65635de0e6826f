// The photo that is open: its caption and regions, a sentence with its words, and its text to correct.
import { captionOf, nameOf } from "./album.js";
import { ask } from "./api.js";
import { startBoxes } from "./box.js";
import { copyCaption, editable } from "./grid.js";
import { copyText } from "./parts.js";
import { sampleSentence } from "./samples.js";
import { mountAlignment, mountDescription } from "./views.js";
import { startZoom } from "./zoom.js";

const $ = (id) => document.getElementById(id);

/**
 * Shows the album's open photo.
 *
 * @param {Album} album `open` is the photo; whoever changes it calls `show`.
 * @returns {{show: function(), busy: function(object, number)}} `busy` tells people of a busy server if it is about
 *     this photo.
 */
export function startOpen(album) {
  let turn = 0; // of drawing; what comes late for an earlier one is dropped
  let url = ""; // of the photo's content
  const boxes = startBoxes($("view"), album);
  const zoom = startZoom($("view"));

  const show = () => {
    const photo = album.open;
    $("text").blur(); // what was written there is of the photo before
    $("work").hidden = !photo;
    URL.revokeObjectURL(url);
    url = photo ? URL.createObjectURL(photo.file) : "";
    turn++;
    boxes.clear();
    zoom.reset();
    say("problem", "");
    $("view").replaceChildren();
    if (!photo) return;
    $("sentence").value = photo.sentence;
    $("view").setAttribute("aria-busy", "false");
    showPlace();
    showText();
    draw();
  };

  const draw = async () => {
    const own = ++turn;
    const photo = album.open;
    const { sentence } = photo;
    $("back").hidden = !sentence;
    const example = sampleSentence(photo.file);
    $("example").hidden = !example || Boolean(sentence);
    $("example").textContent = `Try: ${example}`;
    boxes.clear();
    zoom.reset();
    say("problem", "");
    say("status", "Looking at the photo");
    const waiting = setTimeout(() => own === turn && drawWaiting(photo, url), 150); // a quick answer comes without a flicker
    $("view").setAttribute("aria-busy", "true");
    try {
      const answer = await (sentence ? alignment(photo, sentence) : description(photo, album));
      if (own !== turn) return;
      say("problem", ""); // it may have been busy
      (sentence ? mountAlignment : mountDescription)($("view"), answer, url);
      say("status", sentence ? alignmentText(answer) : `Caption: ${captionOf(photo)}`);
    } catch (error) {
      if (own !== turn) return;
      drawWaiting(photo, url, false);
      say("status", "");
      say("problem", problemOf(error));
    } finally {
      clearTimeout(waiting);
      if (own === turn) $("view").setAttribute("aria-busy", "false");
    }
  };

  /** An error's text, which says which of several photos it is about. */
  const problemOf = ({ message }) => {
    const name = nameOf(album.open.path);
    return album.photos.length < 2 || message.includes(name) ? message : `${name}: ${message}`;
  };

  const alignment = (photo, sentence) => {
    if (!photo.alignments.has(sentence)) {
      const busy = (seconds) => sayBusy(photo, seconds);
      const answer = ask("/api/align", { form: { photo: photo.file, sentence }, onBusy: busy, signal: photo.stop.signal });
      photo.alignments.set(sentence, answer);
      answer.catch(() => photo.alignments.delete(sentence)); // what failed is asked anew
    }
    return photo.alignments.get(sentence);
  };

  const sayBusy = (photo, seconds) => {
    if (photo !== album.open) return;
    say("problem", `The server is busy. It is asked once more in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`);
  };

  const showPlace = () => {
    const at = album.photos.indexOf(album.open);
    $("stepper").hidden = album.photos.length < 2;
    $("copy-link").hidden = !isOfIndex(album.open);
    $("place").textContent = `${at + 1} of ${album.photos.length}`;
    $("previous").disabled = at <= 0;
    $("next").disabled = at >= album.photos.length - 1;
  };

  const showText = () => {
    const { answer, text, state } = album.open;
    $("own").hidden = !answer;
    if ($("text") !== document.activeElement) $("text").value = captionOf(album.open);
    $("original").hidden = text === null;
    $("again-failed").hidden = state !== "failed";
  };

  const write = (sentence) => {
    album.open.sentence = $("sentence").value = sentence;
    draw();
  };

  album.addEventListener("change", ({ detail: { photo } }) => photo === album.open && showText());
  for (const type of ["add", "remove"]) album.addEventListener(type, () => album.open && showPlace());
  editable($("text"), () => album.open, album);
  $("copy").addEventListener("click", () => copyCaption(album.open, $("copy")));
  $("copy-link").addEventListener("click", () => copyText(new URL(album.open.address, location.href).href, $("copy-link")));
  $("original").addEventListener("click", () => {
    album.change(album.open, { text: null });
    $("text").focus(); // the button goes
    $("text").value = captionOf(album.open);
  });
  $("again-failed").addEventListener("click", () => {
    album.again(album.open);
    draw();
  });
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    write($("sentence").value.trim());
  });
  $("example").addEventListener("click", () => {
    write(sampleSentence(album.open.file));
    $("sentence").focus(); // the button goes
  });
  $("back").addEventListener("click", () => {
    write("");
    $("sentence").focus();
  });
  $("temperature").addEventListener("input", () => {
    $("beam").disabled = $("temperature").value !== ""; // captions are either searched for or drawn
  });
  $("again").addEventListener("click", () => {
    if (![$("beam"), $("temperature")].every((each) => each.reportValidity())) return;
    const temperature = $("temperature").value;
    album.again(album.open, { temperature, beam: temperature ? "" : $("beam").value });
    write("");
  });
  return { show, busy: sayBusy };
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
