// Searching the index while a sentence is typed, and by a photo: what is asked, and its address.
import { nameOf } from "./album.js";
import { chosenFilters, startFilters } from "./filters.js";
import { copyText } from "./parts.js";
import { Results } from "./results.js";

const PAUSE = 250; // milliseconds without a key before a search starts

const $ = (id) => document.getElementById(id);

/** The search of an index; `like` searches by a photo, `show` for what an address says. */
export class Search {
  #timer = 0;
  #shown = ""; // the address of the search that is there
  #routes;
  #results;
  #filters = startFilters(() => this.#narrowed());

  /**
   * @param {number} photos how many the index holds.
   * @param {function(object)} open is called with a result that people want to look at.
   * @param {object} routes of `startRoutes`: the address says what is searched for.
   */
  constructor(photos, open, routes) {
    this.#routes = routes;
    this.#results = new Results({ Open: open, "More like this": (result) => this.#more(result) });
    $("query").addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#typed(), PAUSE);
    });
    $("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#typed();
    });
    $("copy-search").addEventListener("click", () => copyText(location.href, $("copy-search")));
    $("find-title").textContent = `Search ${photos.toLocaleString("en")} ${photos === 1 ? "photo" : "photos"}`;
    $("find").hidden = false;
  }

  /** Finds photos like one that is no photo of the index, and so has no address. */
  like(file) {
    $("find").scrollIntoView();
    this.#address(null);
    return this.#results.run({ title: `like ${file.name}`, path: "/api/search/like", fields: {}, form: { photo: file } });
  }

  /** Shows the search of an address; none where it asks nothing. */
  show(query) {
    const wanted = `${query}` && `#/search?${query}`;
    if (wanted === this.#shown && (wanted || !this.#results.asked)) return; // the last of these: `like` has no address
    $("query").value = query.get("q") ?? "";
    this.#filters.show(query);
    const like = query.get("like");
    if (!like) return this.#typed();
    this.#address({ like });
    this.#runLike(like, "like a photo of the index");
  }

  #typed() {
    const sentence = $("query").value.trim();
    clearTimeout(this.#timer);
    this.#address(sentence && { q: sentence });
    if (!sentence) return this.#results.clear();
    return this.#results.run({ title: `for “${sentence}”, the best first`, path: "/api/search", fields: { q: sentence } });
  }

  #more({ id, file }) {
    clearTimeout(this.#timer);
    $("query").value = "";
    $("query").focus(); // the button that was pressed goes
    this.#address({ like: id }, true);
    this.#runLike(id, `like ${nameOf(file)}`);
  }

  #runLike(id, title) {
    return this.#results.run({ title, path: "/api/search/like", fields: { id } });
  }

  /** The same question with other filters. */
  #narrowed() {
    const { asked } = this.#results;
    if (!asked || asked.path === "/api/search") return this.#typed();
    if (asked.fields.id) this.#address({ like: asked.fields.id });
    return this.#results.run(asked);
  }

  /** A search has an address of its own; the next one takes its place, unless it asks something `other`. */
  #address(question, other = false) {
    const searching = location.hash.startsWith("#/search");
    this.#shown = question ? `#/search?${new URLSearchParams({ ...question, ...chosenFilters() })}` : "";
    if (this.#shown || searching) this.#routes.go(this.#shown || "#/", { replace: searching && !other, quiet: true });
    $("copy-search").hidden = !this.#shown;
  }
}
