// The scores of a sentence's words and a photo's regions: a slider that decodes them anew for any β, and a map of them.
import { decimals, make, regionName, WHOLE_PHOTO } from "./parts.js";
import { viterbi } from "./viterbi.js";

const [PLACES, MOST_BETA] = [1000, 1000]; // of the slider; the second is as far as the API goes

/** A slider for β: of every photo and sentence a β has the same place. Its steps are finer where β is small, since most
 * phrases change there. */
export function betaSlider(data, count, decode) {
  const start = Math.min(PLACES, PLACES * (data.beta / MOST_BETA) ** (1 / 4));
  const slider = make("input", { type: "range", class: "rt-slider", min: 0, max: PLACES, step: "any", "aria-label": "beta" });
  const value = make("output", { class: "rt-beta" });
  const reset = make("button", { type: "button", class: "rt-reset" }, "reset");
  const say = (beta, found) => {
    const text = `${beta.toFixed(2)} · ${found} ${found === 1 ? "phrase" : "phrases"}`;
    value.textContent = `β ${text}`;
    slider.setAttribute("aria-valuetext", text);
    reset.disabled = beta === data.beta;
  };
  const set = (beta) => say(beta, decode(beta));
  const betaAt = (place) => (place < PLACES ? MOST_BETA * (place / PLACES) ** 4 : Math.max(MOST_BETA, largestUseful(data.scores)));
  slider.addEventListener("input", () => set(betaAt(slider.valueAsNumber)));
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -10, ArrowDown: -10, ArrowRight: 10, ArrowUp: 10 }[event.key];
    if (!step) return;
    event.preventDefault(); // with step "any" browsers disagree on how far an arrow goes
    slider.value = slider.valueAsNumber + step;
    slider.dispatchEvent(new Event("input"));
  });
  reset.addEventListener("click", () => {
    slider.value = start;
    set(data.beta);
    slider.focus();
  });
  slider.value = start;
  say(data.beta, count);
  const ends = make("div", { class: "rt-ends" }, make("span", {}, "each word for itself"), make("span", {}, "one region for all"));
  return make("div", { class: "rt-control" }, make("div", { class: "rt-line" }, value, reset), slider, ends);
}

/** The smallest of 0.25, 0.5, 1, 2, ... that keeps the whole sentence on one region. */
function largestUseful(scores) {
  let beta = 0.25;
  while (new Set(viterbi(scores, beta).path).size > 1) beta *= 2;
  return beta;
}

/** Words down, regions across, the brighter the higher the score; each word's own region is marked in its colour. */
export function heatMap(texts, data, image) {
  const largest = Math.max(1e-9, ...data.scores.flat());
  const heads = data.regions.map(({ box_xyxy }, region) => {
    const picture = make("canvas", { width: 56, height: 56, "aria-hidden": "true" });
    whenLoaded(image, () => drawCrop(picture, image, box_xyxy, data));
    const name = make("span", {}, region === WHOLE_PHOTO ? "all" : `${region}`);
    return make("th", { scope: "col", "data-region": region, title: regionName(region) }, picture, name);
  });
  const cells = data.scores.map((row, j) => row.map((score, region) => {
    const title = `${texts[j]}, ${regionName(region)}: ${decimals(score, 2)}`;
    const cell = make("td", { title, "data-region": region }, make("span", {}, decimals(score, 1)));
    cell.style.setProperty("--rt-heat", `${Math.round(100 * Math.max(0, score) / largest)}%`);
    return cell;
  }));
  const rows = cells.map((row, j) => make("tr", {}, make("th", { scope: "row" }, texts[j]), ...row));
  const head = make("thead", {}, make("tr", {}, make("td", {}), ...heads));
  const table = make("table", { class: "rt-heat" }, make("caption", {}, "Scores of words and regions"), head, make("tbody", {}, ...rows));
  const scroll = make("div", { class: "rt-scroll", tabindex: 0, role: "group", "aria-label": "Scores of words and regions" }, table);
  const element = make("details", { class: "rt-fold", open: "" }, make("summary", {}, "Scores of words and regions"), scroll);
  const draw = (path, colours) => cells.forEach((row, j) => row.forEach((cell, region) => {
    cell.className = region === path[j] ? `rt-chosen rt-c${colours(region)}` : "";
  }));
  return { element, draw };
}

function drawCrop(canvas, image, [x0, y0, x1, y1], { width, height }) {
  const [across, down] = [image.naturalWidth / width, image.naturalHeight / height];
  const source = [x0 * across, y0 * down, (x1 - x0) * across, (y1 - y0) * down];
  canvas.getContext("2d").drawImage(image, ...source, 0, 0, canvas.width, canvas.height);
}

function whenLoaded(image, then) {
  if (image.complete && image.naturalWidth) then();
  else image.addEventListener("load", then, { once: true });
}
