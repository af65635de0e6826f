// Interactive views of what RegionTalk's API answers: a description, an alignment, a photo that was found. They need no
// server and no address but that of the photo. Text enters the page as text only.
import { decimals, FOUND, isTold, make, percent, regionName, unsureText } from "./parts.js";
import { betaSlider, heatMap } from "./scores.js";
import { photoStage } from "./stage.js";
import { isAbsent, phrases, phraseSure, viterbi } from "./viterbi.js";

const COLOURS = 7; // as many as style.css has
const SAME_PLACE = 0.5; // IoU above which only the surer of two regions is drawn from the start
const UNLIKELY = 0.1; // as in regiontalk.alignment.certainty
const UNSPACED = /[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\u{20000}-\u{3ffff}]/u; // scripts, as in search/texts.py

/**
 * A photo with its caption, and its regions as numbered boxes with theirs (Figure 7).
 *
 * @param {Element} element is emptied first.
 * @param {object} data as `regiontalk describe --json` prints it.
 * @param {string} imageUrl the photo's; any that an img takes.
 */
export function mountDescription(element, data, imageUrl) {
  const stage = photoStage(data, imageUrl, data.caption.text);
  const [shown, others] = surest(data.regions);
  const order = [...shown, ...others];
  const items = order.map((row, rank) => {
    const { box_xyxy, score, caption } = data.regions[row];
    const look = { region: row + 1, colour: rank % COLOURS, quiet: rank >= shown.length };
    stage.add(box_xyxy, { ...look, tag: `${rank + 1}`, name: `Region ${rank + 1}: ${caption.text}` });
    return regionItem(rank + 1, caption.text, caption.sure ?? score, look);
  });
  stage.done();
  const side = make("div", { class: "rt-side" });
  const colourOf = (region) => order.indexOf(region - 1) % COLOURS;
  side.append(make("p", { class: "rt-caption" }, ...saidWords(data.caption, colourOf)));
  if (isTold(data.caption.sure)) side.append(make("p", { class: "rt-note" }, unsureText(data.caption) || `${percent(data.caption.sure)} sure`));
  side.append(make("ol", { class: "rt-regions", "aria-label": "Regions" }, ...items.slice(0, shown.length)));
  if (others.length) {
    const list = make("ol", { class: "rt-regions", "aria-label": "More regions" }, ...items.slice(shown.length));
    const title = `${others.length} more ${others.length === 1 ? "region" : "regions"}`;
    side.append(make("details", { class: "rt-fold" }, make("summary", {}, title), list));
  }
  if (!items.length) side.append(make("p", { class: "rt-note" }, "No region was found in this photo."));
  side.append(advanced(`log-probability ${decimals(data.caption.log_prob, 1)}`));
  mount(element, "rt-description", stage.element, side);
}

/**
 * A sentence beside its photo, each word in the colour of its box (Figure 5). With `scores` there are also a slider,
 * which decodes the phrases anew for any β, and a map of the scores (Figure 3).
 *
 * @param {Element} element is emptied first.
 * @param {object} data as `regiontalk align --json` prints it; with `beta` and `scores`, T rows of M numbers, if known.
 * @param {string} imageUrl the photo's; any that an img takes.
 */
export function mountAlignment(element, data, imageUrl) {
  const texts = data.words.map((word) => word.text);
  const colours = colourPicker();
  const stage = photoStage(data, imageUrl, `The photo of the sentence: ${data.sentence}`);
  const words = texts.map((text) => {
    const parts = [make("span", {}, text), make("span", { class: "unseen" }), make("span", { class: "rt-score" })];
    return make("button", { type: "button", class: "rt-word", "aria-pressed": "false" }, ...parts);
  });
  const sentence = make("div", { class: "rt-words", role: "group", "aria-label": "The sentence's words" });
  const heat = data.scores && heatMap(texts, data, stage.image);

  const draw = (path) => {
    const runs = phrases(texts, path);
    const scores = path.map((region, j) => data.scores?.[j][region] ?? data.words[j].score);
    const shown = shownWords(data.words, runs, scores);
    sentence.replaceChildren(...runs.map((run) => {
      for (let j = run.start; j < run.end; j++) drawWord(words[j], run, j, noteOf(data.words[j], scores[j]), shown[j], colours(run.region));
      return make("span", { class: "rt-phrase" }, ...words.slice(run.start, run.end));
    }));
    stage.clear();
    for (const region of new Set(path)) {
      const strong = runsOf(texts, path, (j) => path[j] === region && shown[j]);
      if (!strong && isTold(data.sure)) continue; // what was not found has no box
      const tag = strong || runsOf(texts, path, (j) => path[j] === region);
      const look = { region, colour: colours(region), quiet: !strong };
      stage.add(data.regions[region].box_xyxy, { ...look, tag, name: `${regionName(region)}: ${tag}` });
    }
    stage.done();
    heat?.draw(path, colours);
    return runs.length;
  };
  const count = draw(data.words.map((word) => word.region));

  const side = make("div", { class: "rt-side" }, sentence);
  const unknown = data.words.filter((word) => word.known === false);
  if (unknown.length) side.append(make("p", { class: "rt-note rt-unknown" }, `not known: ${unknown.map(meantWord).join("; ")}`));
  const missing = isTold(data.sure) ? data.phrases.filter((phrase) => isTold(phrase.sure) && !phrase.found) : [];
  if (missing.length) side.append(make("p", { class: "rt-note" }, `not found: ${missing.map((phrase) => phrase.text).join("; ")}`));
  if (isTold(data.sure)) side.append(make("p", { class: "rt-note" }, `${percent(data.sure)} sure on the whole`));
  side.append(advanced(`score ${decimals(data.score, 2)}`));
  if (heat) side.append(betaSlider(data, count, (beta) => draw(viterbi(data.scores, beta).path)), heat.element);
  mount(element, "rt-alignment", stage.element, side);
}

/**
 * A photo that was found, small, with the boxes that answer the phrases of what was asked.
 *
 * @param {Element} element is emptied first.
 * @param {object} data as `regiontalk search --json` prints it; `phrases` may be missing.
 * @param {string} imageUrl the photo's or its thumbnail's; any that an img takes.
 */
export function mountFound(element, data, imageUrl) {
  const colours = colourPicker();
  const name = data.file.split(/[\\/]/).pop();
  const stage = photoStage(data, imageUrl, name, "span");
  const found = (data.phrases ?? []).map((phrase) => ({ ...phrase, colour: colours(phrase.region) }));
  for (const region of new Set(found.map((phrase) => phrase.region))) {
    const own = found.filter((phrase) => phrase.region === region);
    const strong = own.filter(isShown);
    if (!strong.length && isTold(data.sure)) continue;
    const tag = (strong.length ? strong : own).map((phrase) => phrase.text).join(", ");
    stage.add(own[0].box_xyxy, { region, colour: own[0].colour, quiet: !strong.length, tag });
  }
  stage.done();
  const words = found.map((phrase) => {
    const look = `rt-word rt-start rt-end rt-c${phrase.colour}${isShown(phrase) ? "" : " rt-weak"}`;
    return make("span", { class: look, "data-region": phrase.region }, phrase.text);
  });
  const side = make("div", { class: "rt-side" });
  if (words.length) side.append(make("p", { class: "rt-words" }, ...words));
  const own = data.text_words ?? [];
  if (data.text) side.append(make("p", { class: "rt-own" }, ...markedWords(data.text, own)));
  side.append(make("p", { class: "rt-file", title: data.file }, name));
  const sure = isTold(data.sure) ? `${percent(data.sure)} sure` : `score ${decimals(data.score, 2)}`;
  side.append(make("p", { class: "rt-note" }, own.length ? `${sure}, its text has ${own.join(", ")}` : sure));
  mount(element, `rt-found${data.sure < UNLIKELY && !own.length ? " rt-unlikely" : ""}`, stage.element, side);
}

// ---- how sure it is

const isShown = (phrase) => (isTold(phrase.sure) || phrase.found === false ? phrase.found : phrase.score > 0);

/** Numbers that only some want. */
function advanced(text) {
  return make("details", { class: "rt-fold rt-advanced" }, make("summary", {}, "Advanced"), make("p", { class: "rt-note" }, text));
}

/** What stands below a word: how sure it is, nothing if it names nothing; its score where the pack tells no probabilities. */
function noteOf(word, score) {
  if (word.sure === undefined) return score > 0 ? decimals(score, 1) : "";
  return isTold(word.sure) ? percent(word.sure) : "";
}

/** Which words belong to what was found, as `Alignment.shown`. */
function shownWords(words, runs, scores) {
  if (words.every((word) => word.sure === undefined)) return scores.map((score) => score > 0);
  const shown = words.map(() => false);
  for (const { start, end } of runs) {
    const sure = phraseSure(words.slice(start, end).map((word) => word.sure));
    for (let j = start; j < end; j++) shown[j] = sure !== null && sure >= FOUND && !isAbsent(words[j].sure);
  }
  return shown;
}

function meantWord(word) {
  return word.text + (word.did_you_mean?.length ? ` (did you mean ${word.did_you_mean.join(" or ")}?)` : "");
}

// ---- parts

function mount(element, kind, ...children) {
  const view = make("div", { class: `rt-view ${kind}` }, ...children);
  linkRegions(view);
  element.replaceChildren(view);
}

/** Everything in a view that has `data-region` lights up together: under the pointer, in focus, or pinned by a click. */
function linkRegions(view) {
  let pinned = null;
  const light = (region) => {
    view.classList.toggle("rt-lighting", region !== null);
    for (const each of view.querySelectorAll("[data-region]")) {
      each.classList.toggle("rt-lit", each.dataset.region === region);
      if (each.hasAttribute("aria-pressed")) each.setAttribute("aria-pressed", String(each.dataset.region === pinned));
    }
  };
  const regionOf = (event) => event.target.closest("[data-region]")?.dataset.region ?? null;
  view.addEventListener("pointerover", (event) => event.pointerType === "touch" || light(regionOf(event) ?? pinned));
  view.addEventListener("pointerleave", (event) => event.pointerType === "touch" || light(pinned));
  view.addEventListener("focusin", (event) => light(regionOf(event) ?? pinned));
  view.addEventListener("focusout", () => light(pinned));
  view.addEventListener("click", (event) => {
    const region = regionOf(event);
    pinned = region === pinned ? null : region;
    light(pinned);
  });
  view.addEventListener("keydown", (event) => {
    if (event.key === "Escape") light((pinned = null));
  });
}

function drawWord(word, run, j, note, shown, colour) {
  const ends = `${j === run.start ? " rt-start" : ""}${j === run.end - 1 ? " rt-end" : ""}`;
  word.className = `rt-word rt-c${colour}${ends}${shown ? "" : " rt-weak"}`;
  word.dataset.region = run.region;
  const [, unseen, seen] = word.children; // together they name the button
  unseen.textContent = shown ? `, ${regionName(run.region)} ` : ", not found ";
  seen.textContent = note;
}

/** A caption's words; those that were said of a region light up with it. */
function saidWords({ text, words }, colourOf) {
  if (!words) return [text];
  return words.flatMap((word, j) => {
    const space = j ? [" "] : [];
    if (!word.region) return [...space, word.text]; // it names nothing, or something of the whole photo
    const look = `rt-said rt-c${colourOf(word.region)}`;
    const parts = { type: "button", class: look, "data-region": word.region, "aria-pressed": "false" };
    return [...space, make("button", parts, word.text)];
  });
}

/** A text, in which some words are marked; where no spaces are written, the run of letters that holds one. */
function markedWords(text, words) {
  const holds = (run, word) => run === word || (UNSPACED.test(word) && run.includes(word));
  return text.split(/([\p{L}\p{N}][\p{L}\p{N}\p{M}]*)/u).map((run, at) => {
    const plain = run.normalize("NFKC").toLowerCase().normalize("NFKC");
    return at % 2 && words.some((word) => holds(plain, word)) ? make("mark", {}, run) : run;
  });
}

function regionItem(number, text, score, { region, colour }) {
  const badge = make("span", { class: "rt-badge" }, `${number}`);
  const sure = make("span", { class: "rt-sure" }, `${Math.round(100 * score)}% sure`);
  const parts = { type: "button", class: `rt-item rt-c${colour}`, "data-region": region, "aria-pressed": "false" };
  return make("li", {}, make("button", parts, badge, make("span", { class: "rt-text" }, text), sure));
}

/** Regions take colours in the order in which they first ask, and keep them. */
function colourPicker() {
  const taken = new Map();
  return (region) => {
    if (!taken.has(region)) taken.set(region, taken.size % COLOURS);
    return taken.get(region);
  };
}

/** The words that are wanted; those that stand together are joined, others are divided by a comma. */
function runsOf(texts, path, wanted) {
  const runs = [];
  texts.forEach((text, j) => {
    if (!wanted(j)) return;
    if (j && wanted(j - 1)) runs[runs.length - 1] += ` ${text}`;
    else runs.push(text);
  });
  return runs.join(", ");
}

/** Rows of regions, the surest first: those that are drawn from the start, which differ in place and caption; the rest. */
function surest(regions) {
  const order = regions.map((_, row) => row).sort((a, b) => regions[b].score - regions[a].score || a - b);
  if (order.length <= COLOURS) return [order, []];
  const shown = [];
  for (const row of order) {
    const { box_xyxy, caption } = regions[row];
    const doubles = (other) => other.caption.text === caption.text || overlap(other.box_xyxy, box_xyxy) > SAME_PLACE;
    if (shown.length < COLOURS && !shown.some((other) => doubles(regions[other]))) shown.push(row);
  }
  return [shown, order.filter((row) => !shown.includes(row))];
}

/** Intersection over union of two boxes. */
function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(0, width) * Math.max(0, height);
  const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
  return both / Math.max(1e-9, area(a) + area(b) - both);
}
