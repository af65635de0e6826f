// A box of one's own on the open photo: drawn by pointer, or moved by keys; and clicks between the boxes that are drawn.
import { ask } from "./api.js";
import { placeAmongTags } from "./stage.js";

const LEAST = 8; // pixels of the screen that a drag goes before it is one, and that a box must have
const STEP = 0.02; // of the photo, for a key
const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const $ = (id) => document.getElementById(id);

/** Boxes of one's own in a view; whoever shows something else there calls `clear` before. */
export class OwnBoxes {
  #view;
  #album;
  #box = null; // { element, label, frame, place: [x0, y0, x1, y1] in 0..1 of the photo }
  #drag = null; // { frame, from: [x, y], moved }
  #running = new AbortController();
  #resized = new ResizeObserver(() => this.#placeLabel());

  /**
   * @param {HTMLElement} view in which a photo is shown, see views.js.
   * @param {Album} album `open` is the photo.
   */
  constructor(view, album) {
    [this.#view, this.#album] = [view, album];
    view.addEventListener("pointerdown", (event) => this.#press(event));
    view.addEventListener("pointermove", (event) => this.#move(event));
    view.addEventListener("pointerup", () => this.#release());
    view.addEventListener("pointercancel", () => (this.#drag = null));
    view.addEventListener("dragstart", (event) => event.preventDefault()); // the picture itself is not dragged away
    view.addEventListener("click", (event) => clickSmallest(view, event), true);
    $("draw").addEventListener("click", () => this.#offer());
  }

  /** Takes the box away, and what is said of it. */
  clear() {
    this.#running.abort();
    this.#resized.disconnect();
    this.#box?.element.remove();
    this.#box = this.#drag = null;
    $("box-answer").replaceChildren();
  }

  #put(frame, place) {
    this.#box?.element.remove();
    const label = Object.assign(document.createElement("span"), { className: "rt-tag" });
    const element = Object.assign(document.createElement("div"), { className: "own-box", tabIndex: 0 });
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", "Your box: arrows move it, with Shift they size it, Enter asks what it shows");
    element.addEventListener("keydown", (event) => this.#key(event));
    element.append(label);
    frame.append(element);
    this.#box = { element, label, frame, place };
    this.#lay();
    this.#resized.disconnect();
    this.#resized.observe(frame);
  }

  #lay() {
    const { element, place: [x0, y0, x1, y1] } = this.#box;
    const sides = { left: x0, top: y0, width: x1 - x0, height: y1 - y0 };
    for (const [side, share] of Object.entries(sides)) element.style.setProperty(side, `${100 * share}%`);
  }

  /** The label must hide none of the regions', nor they it; where there is no place, the answer stands below all the same. */
  #placeLabel() {
    if (!this.#box) return;
    const { frame, element, label, place } = this.#box;
    placeAmongTags(frame, { element, label, shares: place });
  }

  /** Asks what the box shows; with a sentence, also how its words fit. */
  async #look() {
    this.#running.abort();
    const own = (this.#running = new AbortController());
    const { frame, place, label } = this.#box;
    const { file, sentence } = this.#album.open;
    say("Looking at your box …");
    try {
      const form = { photo: file, box: corners(frame.querySelector("img"), place), sentence };
      const answer = await ask("/api/describe/box", { form, signal: own.signal });
      if (own !== this.#running) return;
      label.textContent = answer.caption.text;
      this.#placeLabel();
      say(`Your box: ${answer.caption.text}`, answer.words);
    } catch (error) {
      if (own === this.#running && error.name !== "AbortError") say(error.message);
    }
  }

  #key(event) {
    const move = MOVES[event.key];
    if (event.key === "Enter") this.#look();
    else if (event.key === "Escape") {
      this.clear();
      $("draw").focus();
    } else if (move && !event.altKey && !event.ctrlKey && !event.metaKey) {
      this.#box.place = event.shiftKey ? sized(this.#box.place, move) : moved(this.#box.place, move);
      this.#box.label.textContent = "";
      this.#lay();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #press(event) {
    const frame = event.target.closest(".rt-frame");
    if (!frame?.querySelector("img[width]") || event.button || !event.isPrimary) return;
    if (event.pointerType === "touch" && !frame.classList.contains("drawing")) return; // a finger scrolls
    this.#drag = { frame, from: [event.clientX, event.clientY], moved: false };
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag) return;
    const at = [event.clientX, event.clientY];
    if (!drag.moved && Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) < LEAST) return;
    if (!drag.moved) drag.frame.setPointerCapture(event.pointerId);
    drag.moved = true;
    this.#put(drag.frame, between(drag.frame, drag.from, at));
  }

  #release() {
    const done = this.#drag;
    this.#drag = null;
    if (!done?.moved) return;
    done.frame.classList.remove("drawing");
    swallowClick(this.#view);
    if (isLarge(this.#box.element)) this.#look();
    else this.clear();
  }

  /** A box to move by keys, or to draw another one instead of, also by finger. */
  #offer() {
    const frame = this.#view.querySelector(".rt-frame:has(img[width])");
    if (!frame) return;
    frame.classList.add("drawing");
    this.#put(frame, [0.3, 0.3, 0.7, 0.7]);
    this.#box.element.focus();
    say("Draw a box on the photo, or move this one with the arrow keys and press Enter.");
  }
}

/** A click between the boxes that are drawn is one on the smallest that is there. */
function clickSmallest(view, event) {
  if (!event.detail || !event.target.closest(".rt-frame") || event.target.closest(".rt-box")) return;
  const hidden = smallestAt(view, event.clientX, event.clientY);
  if (!hidden) return;
  event.stopPropagation();
  hidden.click();
}

/** The box as the API takes it, in pixels of the photo. */
function corners(image, place) {
  const [width, height] = ["width", "height"].map((side) => Number(image.getAttribute(side)));
  return place.map((share, side) => (share * (side % 2 ? height : width)).toFixed(1)).join();
}

/** The smallest region whose box is there, drawn or not; undefined on none. */
function smallestAt(view, x, y) {
  const area = (at) => at.width * at.height;
  const all = [...view.querySelectorAll("button.rt-box")].map((box) => [box, box.getBoundingClientRect()]);
  const here = all.filter(([, at]) => x >= at.left && x <= at.right && y >= at.top && y <= at.bottom);
  return here.sort(([, a], [, b]) => area(a) - area(b))[0]?.[0];
}

/** The click that follows a drag means nothing. */
function swallowClick(view) {
  const swallow = (event) => event.stopPropagation();
  view.addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => view.removeEventListener("click", swallow, { capture: true }));
}

/** The box between two points of the screen, in 0..1 of the photo. */
function between(frame, [ax, ay], [bx, by]) {
  const at = frame.getBoundingClientRect();
  const share = (value, start, size) => Math.min(1, Math.max(0, (value - start) / size));
  const xs = [ax, bx].map((x) => share(x, at.left, at.width));
  const ys = [ay, by].map((y) => share(y, at.top, at.height));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function isLarge(element) {
  return element.offsetWidth >= LEAST && element.offsetHeight >= LEAST;
}

function moved([x0, y0, x1, y1], [across, down]) {
  const x = Math.min(1 - x1, Math.max(-x0, across));
  const y = Math.min(1 - y1, Math.max(-y0, down));
  return [x0 + x, y0 + y, x1 + x, y1 + y];
}

function sized([x0, y0, x1, y1], [across, down]) {
  const end = (from, to, by) => Math.min(1, Math.max(from + STEP, to + by));
  return [x0, y0, end(x0, x1, across), end(y0, y1, down)];
}

/** A sentence for people, and below it words with their scores. */
function say(text, words) {
  const line = Object.assign(document.createElement("p"), { textContent: text });
  const row = Object.assign(document.createElement("p"), { className: "box-words" });
  row.append(...(words ?? []).flatMap(({ text: word, score }) => {
    const shown = Object.assign(document.createElement("span"), { className: score > 0 ? "fits" : "" });
    shown.textContent = `${word} ${score.toFixed(1).replace("-", "−")}`;
    return [shown, " "];
  }));
  $("box-answer").replaceChildren(line, ...(words ? [row] : []));
}
