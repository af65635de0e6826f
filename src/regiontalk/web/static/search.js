// Searching the index while a sentence is typed, and by a photo; more results come by scrolling. Answers that come late
// are dropped.
import { nameOf } from "./album.js";
import { ask } from "./api.js";
import { startFolders } from "./folders.js";
import { copyText } from "./parts.js";
import { mountFound } from "./views.js";

const PAUSE = 250; // milliseconds without a key before a search starts
const PAGE = 24; // results that are asked for at once
const FARTHEST = 10_000; // results that can be asked for

const $ = (id) => document.getElementById(id);
const FILTERS = { folder: "in-folder", path: "in-path", taken_from: "taken-from", taken_to: "taken-to" };

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
  let asked = null; // { title, path, fields, form } of the results that are there
  let shown = ""; // the address of the search that is there
  const folders = startFolders($("in-folder"), $("filters"));

  const run = (question) => {
    asked = question;
    $("results").replaceChildren();
    return page("Searching …");
  };

  /** Asks for the results behind those that are there. */
  const page = async (waiting = "") => {
    clearTimeout(timer);
    running.abort();
    const own = (running = new AbortController());
    const { path, fields, form, title } = asked;
    const sent = { ...filters(), ...fields, k: PAGE, start: $("results").children.length };
    const busy = () => own === running && say("The server is busy …");
    if (waiting) say(waiting);
    $("more").disabled = true;
    try {
      const query = form ? "" : `?${new URLSearchParams(sent)}`;
      const answer = await ask(path + query, { form: form && { ...form, ...sent }, signal: own.signal, onBusy: busy });
      if (own === running) show(title, answer);
    } catch (error) {
      if (own !== running || error.name === "AbortError") return;
      $("more").hidden = true;
      say(error.message);
    }
  };

  const show = (title, answer) => {
    const own = answer.results.find(({ id }) => id === asked.fields.id);
    if (own) title = asked.title = `like ${nameOf(own.file)}`; // whoever follows a link does not know its name
    $("results").append(...answer.results.map(card));
    const count = $("results").children.length;
    const most = Math.min(answer.photos, FARTHEST);
    const photosText = `${answer.photos.toLocaleString("en")} ${answer.photos === 1 ? "photo" : "photos"}`;
    say(count ? `${photosText} ${title}` : noneText());
    $("more").hidden = !answer.results.length || count >= most;
    $("more").disabled = false;
    if (!$("more").hidden && isNear($("more"))) timer = setTimeout(page); // they do not yet fill the screen
  };

  const card = (result) => {
    const item = document.createElement("li");
    const view = document.createElement("div");
    const actions = Object.assign(document.createElement("div"), { className: "actions" });
    mountFound(view, result, result.thumbnail);
    const name = nameOf(result.file);
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

  const more = ({ id }, name) => {
    $("query").value = "";
    $("query").focus(); // the button that was pressed goes
    address({ like: id }, true);
    runLike(id, `like ${name}`);
  };

  const runLike = (id, title) => run({ title, path: "/api/search/like", fields: { id } });

  const typed = () => {
    const sentence = $("query").value.trim();
    clearTimeout(timer);
    address(sentence && { q: sentence });
    if (sentence) return run({ title: `for “${sentence}”, the best first`, path: "/api/search", fields: { q: sentence } });
    running.abort();
    running = new AbortController();
    asked = null;
    say("");
    $("results").replaceChildren();
    $("more").hidden = true;
  };

  /** A search has an address of its own; the next one takes its place, unless it asks something `other`. */
  const address = (question, other = false) => {
    const searching = location.hash.startsWith("#/search");
    shown = question ? `#/search?${new URLSearchParams({ ...question, ...chosenFilters() })}` : "";
    if (shown || searching) routes.go(shown || "#/", { replace: searching && !other, quiet: true });
    $("copy-search").hidden = !shown;
  };

  /** Shows the search of an address; none where it asks nothing. */
  const follow = (query) => {
    const wanted = `${query}` && `#/search?${query}`;
    if (wanted === shown && (wanted || !asked)) return; // the last of these: photos like a given one have no address
    $("query").value = query.get("q") ?? "";
    folders.offer(query.get("folder"));
    for (const [field, id] of Object.entries(FILTERS)) $(id).value = query.get(field) ?? "";
    $("filters").open ||= Object.keys(FILTERS).some((field) => query.has(field));
    const like = query.get("like");
    if (!like) return typed();
    address({ like });
    runLike(like, "like a photo of the index");
  };

  const changed = () => {
    if (!Object.values(FILTERS).every((id) => $(id).reportValidity())) return;
    if (!asked || asked.path === "/api/search") return typed();
    if (asked.fields.id) address({ like: asked.fields.id });
    run(asked);
  };

  $("query").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(typed, PAUSE);
  });
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    typed();
  });
  for (const id of Object.values(FILTERS)) $(id).addEventListener("change", changed);
  $("copy-search").addEventListener("click", () => copyText(location.href, $("copy-search")));
  $("more").addEventListener("click", () => page());
  const near = ([{ isIntersecting }]) => isIntersecting && asked && !$("more").disabled && page();
  new IntersectionObserver(near, { rootMargin: "400px" }).observe($("more"));
  $("find-title").textContent = `Search ${photos.toLocaleString("en")} ${photos === 1 ? "photo" : "photos"}`;
  $("find").hidden = false;

  const like = (file) => {
    $("find").scrollIntoView();
    address("");
    return run({ title: `like ${file.name}`, path: "/api/search/like", fields: {}, form: { photo: file } });
  };
  return { like, show: follow };
}

/** The filters that are set, as people chose and typed them. */
function chosenFilters() {
  const all = Object.entries(FILTERS).map(([field, id]) => [field, $(id).value.trim()]);
  return Object.fromEntries(all.filter(([, value]) => value));
}

/** The same for the API, where a folder is the beginning of a path. */
function filters() {
  const { folder = "", path = "", ...days } = chosenFilters();
  return folder || path ? { path: `${folder}*${path}${path && "*"}`, ...days } : days;
}

function noneText() {
  return Object.keys(filters()).length ? "No photo fits the filters." : "The index holds no photo.";
}

function isNear(element) {
  return element.getBoundingClientRect().top < innerHeight + 400;
}

function say(text) {
  $("found").textContent = text;
}
