// A photo with boxes over it, and the boxes' labels, which never hide each other.
import { make, WHOLE_PHOTO } from "./parts.js";

/** A photo with boxes over it. `add` them, then `done` places their tags; smaller boxes lie above larger ones. */
export function photoStage({ width, height }, imageUrl, alt, boxTag = "button") {
  const image = make("img", { src: imageUrl, alt, width, height, class: "rt-image" });
  const layer = make("div", { class: "rt-boxes" });
  const frame = make("div", { class: "rt-frame" }, image, layer);
  frame.style.setProperty("--rt-ratio", width / height);
  image.addEventListener("error", () => frame.classList.add("rt-missing"));
  let boxes = [];
  const place = () => placeTags(frame, boxes.filter((box) => !box.quiet));
  new ResizeObserver(place).observe(frame); // also once it is in the page

  const add = (box, { region, colour, quiet, tag, name }) => {
    const [x0, y0, x1, y1] = [box[0] / width, box[1] / height, box[2] / width, box[3] / height];
    const kind = boxTag === "button" ? { type: "button", "aria-pressed": "false", "aria-label": name } : {};
    const look = `rt-box rt-c${colour}${quiet ? " rt-quiet" : ""}${region === WHOLE_PHOTO ? " rt-whole" : ""}`;
    const label = make("span", { class: "rt-tag" }, tag);
    const element = make(boxTag, { ...kind, class: look, "data-region": region }, label);
    const place = { left: x0, top: y0, width: x1 - x0, height: y1 - y0 };
    for (const [side, share] of Object.entries(place)) element.style.setProperty(side, `${100 * share}%`);
    boxes.push({ element, label, quiet, shares: [x0, y0, x1, y1], area: (x1 - x0) * (y1 - y0) });
  };
  const done = () => {
    const below = [...boxes].sort((a, b) => b.area - a.area);
    layer.append(...below.map((box) => box.element));
    place();
  };
  const clear = () => {
    boxes = [];
    layer.replaceChildren();
  };
  return { element: frame, image, add, done, clear };
}

/**
 * Gives each tag a place that no earlier one has: a corner of its box, the upper left one if it can, or else further down
 * its sides, or above or below it. Where there is none, the tag is seen only while its box is lit.
 */
function placeTags({ clientWidth: across, clientHeight: down }, boxes) {
  const taken = [];
  if (!across || !boxes[0]?.label.offsetHeight) return; // nothing is in the page
  for (const box of boxes) placeTag({ across, down }, box, taken);
}

/** Gives one more box's tag such a place, or hides it: of a box that is drawn on a frame later. */
export function placeAmongTags(frame, box) {
  if (!box.label.offsetHeight) return; // it says nothing yet
  const corner = frame.getBoundingClientRect();
  const tags = [...frame.querySelectorAll(".rt-box:not(.rt-quiet, .rt-crowded) > .rt-tag")].map((tag) => tag.getBoundingClientRect());
  const taken = tags.map(({ x, y, width, height }) => ({ x: x - corner.x, y: y - corner.y, width, height }));
  placeTag({ across: frame.clientWidth, down: frame.clientHeight }, box, taken);
}

function placeTag({ across, down }, { element, label, shares }, taken) {
  const [width, height, border] = [label.offsetWidth, label.offsetHeight, element.clientLeft];
  const [left, top] = [shares[0] * across + border, shares[1] * down + border];
  const [right, bottom] = [shares[2] * across - border - width, shares[3] * down - border - height];
  const rows = Array.from({ length: Math.max(0, Math.floor((bottom - top) / height)) }, (_, row) => top + (row + 1) * height);
  const heights = [top, bottom, ...rows, top - height - border, bottom + height + border];
  const fits = ([x, y]) => x >= 0 && y >= 0 && x + width <= across && y + height <= down && !taken.some((other) =>
    x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height);
  const found = heights.flatMap((y) => [[left, y], [right, y]]).find(fits);
  const [x, y] = found ?? [left, top];
  if (found) taken.push({ x, y, width, height });
  element.classList.toggle("rt-crowded", !found);
  label.style.setProperty("left", `${x - left}px`);
  label.style.setProperty("top", `${y - top}px`);
}
