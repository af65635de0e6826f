// Searching the index while a sentence is typed, and by a photo. Answers that come late are dropped.
import { ask } from "./api.js";
import { mountFound } from "./views.js";

const PAUSE = 250; // milliseconds without a key before a search starts
const MOST = 24; // results

const $ = (id) => document.getElementById(id);

/**
 * Shows the search.
 *
 * @param {number} photos how many the index holds.
 * @param {function(object)} open is called with a result that people want to look at.
 * @param {object} routes of `startRoutes`: the address says what is searched for.
 * @returns {{like: function(File), show: function(URLSearchParams)}} searches by a photo; for what an address says.
 */
export function startSearch(photos, open, routes) {
  let timer = 0;
  let running = new AbortController();
  let shown = ""; // the sentence whose photos are there

  const run = async (title, path, form) => {
    clearTimeout(timer);
    running.abort();
    const own = (running = new AbortController());
    say("Searching …");
    try {
      const { results } = await ask(path, { form, signal: own.signal, onBusy: () => own === running && say("The server is busy …") });
      if (own === running) show(title, results);
    } catch (error) {
      if (own !== running || error.name === "AbortError") return;
      $("results").replaceChildren();
      say(error.message);
    }
  };

  const show = (title, results) => {
    const count = `${results.length} ${results.length === 1 ? "photo" : "photos"}`;
    say(results.length ? `${count} ${title}` : "The index holds no photo.");
    $("results").replaceChildren(...results.map(card));
  };

  const card = (result) => {
    const item = document.createElement("li");
    const view = document.createElement("div");
    const actions = Object.assign(document.createElement("div"), { className: "actions" });
    mountFound(view, result, result.thumbnail);
    const name = result.file.split(/[\\/]/).pop();
    actions.append(action("Open", name, () => open(result)), action("More like this", name, () => more(result, name)));
    item.append(view, actions);
    return item;
  };

  const action = (text, name, does) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: text });
    button.setAttribute("aria-label", `${text}: ${name}`);
    button.addEventListener("click", does);
    return button;
  };

  const more = (result, name) => {
    $("query").value = shown = "";
    address("");
    $("query").focus(); // the button that was pressed goes
    run(`like ${name}`, `/api/search/like?${new URLSearchParams({ id: result.id, k: MOST })}`);
  };

  const typed = () => {
    const sentence = $("query").value.trim();
    shown = sentence;
    clearTimeout(timer);
    address(sentence && `#/search?${new URLSearchParams({ q: sentence })}`);
    if (sentence) return run(`for “${sentence}”, the best first`, `/api/search?${new URLSearchParams({ q: sentence, k: MOST })}`);
    running.abort();
    running = new AbortController();
    say("");
    $("results").replaceChildren();
  };

  /** A search has an address of its own; the next one takes its place. */
  const address = (own) => {
    const searching = location.hash.startsWith("#/search");
    if (own || searching) routes.go(own || "#/", { replace: searching, quiet: true });
  };

  const follow = (query) => {
    const sentence = query.get("q") ?? "";
    if (sentence === shown) return;
    $("query").value = sentence;
    typed();
  };

  $("query").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(typed, PAUSE);
  });
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    typed();
  });
  $("find-title").textContent = `Search ${photos.toLocaleString("en")} ${photos === 1 ? "photo" : "photos"}`;
  $("find").hidden = false;

  const like = (file) => {
    $("find").scrollIntoView();
    return run(`like ${file.name}`, "/api/search/like", { photo: file, k: MOST });
  };
  return { like, show: follow };
}

function say(text) {
  $("found").textContent = text;
}
