// The photos that a search found; more of them come by scrolling. Answers that come late are dropped.
import { nameOf } from "./album.js";
import { ask } from "./api.js";
import { sentFilters } from "./filters.js";
import { mountFound } from "./views.js";

const PAGE = 24; // results that are asked for at once
const FARTHEST = 10_000; // results that can be asked for

const $ = (id) => document.getElementById(id);

/** `asked` is the question, `{ title, path, fields, form }`, whose results are there; null if none are. */
export class Results {
  asked = null;
  #timer = 0;
  #running = new AbortController();
  #does;

  /**
   * @param {object} does what people may do with each result: a function of it by the name that its button bears.
   */
  constructor(does) {
    this.#does = does;
    $("more").addEventListener("click", () => this.#page());
    const near = ([{ isIntersecting }]) => isIntersecting && this.asked && !$("more").disabled && this.#page();
    new IntersectionObserver(near, { rootMargin: "400px" }).observe($("more"));
  }

  /** Asks another question, and shows the first of its results. */
  run(question) {
    this.asked = question;
    $("results").replaceChildren();
    return this.#page("Searching …");
  }

  /** Takes all results away. */
  clear() {
    clearTimeout(this.#timer);
    this.#running.abort();
    this.#running = new AbortController();
    this.asked = null;
    say("");
    $("results").replaceChildren();
    $("more").hidden = true;
  }

  /** Asks for the results behind those that are there. */
  async #page(waiting = "") {
    clearTimeout(this.#timer);
    this.#running.abort();
    const own = (this.#running = new AbortController());
    const { path, fields, form } = this.asked;
    const sent = { ...sentFilters(), ...fields, k: PAGE, start: $("results").children.length };
    const busy = () => own === this.#running && say("The server is busy …");
    if (waiting) say(waiting);
    $("more").disabled = true;
    try {
      const query = form ? "" : `?${new URLSearchParams(sent)}`;
      const answer = await ask(path + query, { form: form && { ...form, ...sent }, signal: own.signal, onBusy: busy });
      if (own === this.#running) this.#show(answer);
    } catch (error) {
      if (own !== this.#running || error.name === "AbortError") return;
      $("more").hidden = true;
      say(error.message);
    }
  }

  #show(answer) {
    const own = answer.results.find(({ id }) => id === this.asked.fields.id);
    if (own) this.asked.title = `like ${nameOf(own.file)}`; // whoever follows a link does not know its name
    $("results").append(...answer.results.map((result) => this.#card(result)));
    const count = $("results").children.length;
    const most = Math.min(answer.photos, FARTHEST);
    const photosText = `${answer.photos.toLocaleString("en")} ${answer.photos === 1 ? "photo" : "photos"}`;
    say(count ? `${photosText} ${this.asked.title}` : noneText());
    $("more").hidden = !answer.results.length || count >= most;
    $("more").disabled = false;
    if (!$("more").hidden && isNear($("more"))) this.#timer = setTimeout(() => this.#page()); // the screen is not yet full
  }

  #card(result) {
    const item = document.createElement("li");
    const view = document.createElement("div");
    const actions = Object.assign(document.createElement("div"), { className: "actions" });
    mountFound(view, result, result.thumbnail);
    actions.append(...Object.entries(this.#does).map(([text, does]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: text });
      button.setAttribute("aria-label", `${text}: ${nameOf(result.file)}`);
      button.addEventListener("click", () => does(result));
      return button;
    }));
    item.append(view, actions);
    return item;
  }
}

function noneText() {
  return Object.keys(sentFilters()).length ? "No photo fits the filters." : "The index holds no photo.";
}

function isNear(element) {
  return element.getBoundingClientRect().top < innerHeight + 400;
}

function say(text) {
  $("found").textContent = text;
}
