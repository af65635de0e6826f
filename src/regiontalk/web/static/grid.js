// The photos of an album side by side, each with its caption to correct; beside an open photo only their pictures.
import { captionOf, nameOf } from "./album.js";
import { copyText, unsureText } from "./parts.js";
import { startThumbnails } from "./thumbnails.js";

const AT_ONCE = 40; // cards that are made before the page may do other things
const STATES = { waiting: "Waiting", looking: "Looking at the photo …", done: "", failed: "" };
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

/**
 * Shows an album.
 *
 * @param {HTMLElement} list is emptied and filled.
 * @param {Album} album
 * @param {function(object)} open is called with a photo that people want to look at.
 * @returns {{show: function(object)}} marks a photo as the open one, null for none.
 */
export function startGrid(list, album, open) {
  const cards = new Map();
  const thumbnails = startThumbnails();
  let coming = []; // photos that have no card yet

  const fill = () => {
    const now = coming.splice(0, AT_ONCE);
    for (const photo of now) cards.set(photo, makeCard(photo, album, open));
    list.append(...now.map((photo) => cards.get(photo).element));
    for (const photo of now) thumbnails.watch(cards.get(photo).canvas, photo.file);
    if (coming.length) setTimeout(fill);
  };

  album.addEventListener("add", ({ detail: photos }) => {
    const idle = !coming.length;
    coming.push(...photos);
    if (idle) fill();
  });
  album.addEventListener("remove", ({ detail: photos }) => {
    const gone = new Set(photos);
    coming = coming.filter((photo) => !gone.has(photo));
    for (const photo of photos) {
      const card = cards.get(photo);
      if (!card) continue;
      thumbnails.forget(card.canvas);
      moveFocusOff(card.element);
      card.element.remove();
      cards.delete(photo);
    }
  });
  album.addEventListener("change", ({ detail: { photo } }) => cards.get(photo)?.update());

  list.addEventListener("keydown", (event) => {
    const thumb = event.target.closest(".thumb");
    if (!thumb || album.open || event.ctrlKey || event.altKey || event.metaKey) return;
    const to = neighbour(list, thumb.closest("li"), event.key);
    if (!to) return;
    event.preventDefault();
    to.querySelector(".thumb").focus();
  });

  const show = (photo) => {
    for (const [each, { thumb }] of cards) thumb.setAttribute("aria-current", String(each === photo));
    if (photo) cards.get(photo)?.element.scrollIntoView({ block: "nearest", inline: "center" });
  };
  return { show };
}

function makeCard(photo, album, open) {
  const element = make("li", "card");
  const canvas = make("canvas", "", { width: 1, height: 1, ariaHidden: "true" });
  const thumb = make("button", "thumb", { type: "button", ariaLabel: photo.path, title: photo.path, ariaCurrent: "false" });
  const name = make("p", "card-name", { textContent: nameOf(photo.path), title: photo.path });
  const text = make("textarea", "card-text", { rows: 2, maxLength: 4000, ariaLabel: `Caption of ${photo.path}` });
  const note = make("p", "card-note");
  const copy = action("Copy", photo, () => copyCaption(photo, copy));
  const again = action("Try again", photo, () => album.again(photo));
  const remove = action("Remove", photo, () => album.remove([photo]));
  const actions = make("div", "actions");
  thumb.append(canvas, make("span", "thumb-name", { textContent: nameOf(photo.path) }));
  actions.append(copy, again, remove);
  const side = make("div", "card-side");
  side.append(name, text, note, actions);
  element.append(thumb, side);
  thumb.addEventListener("click", () => open(photo));
  editable(text, photo, album, () => neighbour(element.parentElement, element, "ArrowRight")?.querySelector("textarea"));

  const update = () => {
    element.dataset.state = photo.state;
    element.classList.toggle("edited", photo.text !== null);
    if (text !== document.activeElement) text.value = captionOf(photo);
    text.disabled = copy.disabled = !photo.answer;
    note.textContent = photo.state === "failed" ? photo.error : STATES[photo.state] || unsure(photo);
    again.hidden = photo.state !== "failed";
  };
  update();
  return { element, canvas, thumb, update };
}

/** Of a caption as it came: whether it is more likely wrong; people's own are theirs. */
function unsure({ answer, text }) {
  return answer && text === null ? unsureText(answer.caption) : "";
}

/**
 * A field in which a photo's caption is corrected: Enter keeps it and goes on, Escape takes back what was typed.
 *
 * @param {HTMLTextAreaElement} field
 * @param {function(): object|object} photo whose caption it is, or what gives it.
 * @param {Album} album
 * @param {function(): HTMLElement=} next where Enter goes.
 */
export function editable(field, photo, album, next) {
  let own = null; // the photo that is written about; another one may be open before the field is left
  let [before, shown] = [null, ""]; // its text, and what the field held, when it was entered
  field.addEventListener("focus", () => {
    own = typeof photo === "function" ? photo() : photo;
    [before, shown] = [own.text, field.value];
  });
  field.addEventListener("input", () => album.write(own, field.value));
  field.addEventListener("blur", () => {
    if (field.value !== shown) album.write(own, field.value); // else the photo may have been captioned anew meanwhile
    field.value = captionOf(own);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation(); // it is for this field alone
      if (own.text !== before) album.change(own, { text: before });
      field.value = shown = captionOf(own);
    } else if (event.key === "Enter") {
      event.preventDefault(); // a caption is one line
      (next?.() ?? field).focus();
    }
  });
}

/** Puts a caption into the clipboard, see `copyText`. */
export function copyCaption(photo, button) {
  return copyText(captionOf(photo), button);
}

/** The card that a key leads to; undefined if none. */
function neighbour(list, card, key) {
  const all = [...list.children];
  const at = all.indexOf(card);
  if (key in STEPS) return all[Math.min(all.length - 1, Math.max(0, at + STEPS[key]))];
  const across = all.findIndex((each) => each.offsetTop > all[0].offsetTop);
  const row = across < 0 ? all.length : across;
  return { ArrowUp: all[at - row], ArrowDown: all[at + row] }[key];
}

/** Whoever removes a card by keyboard goes on at the next one. */
function moveFocusOff(card) {
  if (!card.contains(document.activeElement)) return;
  (card.nextElementSibling ?? card.previousElementSibling)?.querySelector(".thumb").focus();
}

function action(text, photo, does) {
  const button = make("button", "plain", { type: "button", textContent: text, ariaLabel: `${text}: ${photo.path}` });
  button.addEventListener("click", does);
  return button;
}

function make(tag, className, properties = {}) {
  return Object.assign(document.createElement(tag), { className }, properties);
}
