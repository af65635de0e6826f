// The filters of a search: a folder of the index's photos, a part of a path, days.
import { ask } from "./api.js";

const $ = (id) => document.getElementById(id);
const FIELDS = { folder: "in-folder", path: "in-path", taken_from: "taken-from", taken_to: "taken-to" };

/**
 * Starts them.
 *
 * @param {function()} changed is called whenever people chose others, and all of them make sense.
 * @returns {{show: function(URLSearchParams)}} takes over those of an address.
 */
export function startFilters(changed) {
  const ids = Object.values(FIELDS);
  const offer = startFolders($("in-folder"), $("filters"));
  for (const id of ids) $(id).addEventListener("change", () => ids.every((each) => $(each).reportValidity()) && changed());

  const show = (query) => {
    offer(query.get("folder"));
    for (const [field, id] of Object.entries(FIELDS)) $(id).value = query.get(field) ?? "";
    $("filters").open ||= Object.keys(FIELDS).some((field) => query.has(field));
  };
  return { show };
}

/** The filters that are set, as people chose and typed them. */
export function chosenFilters() {
  const all = Object.entries(FIELDS).map(([field, id]) => [field, $(id).value.trim()]);
  return Object.fromEntries(all.filter(([, value]) => value));
}

/** The same for the API, where a folder is the beginning of a path. */
export function sentFilters() {
  const { folder = "", path = "", ...days } = chosenFilters();
  return folder || path ? { path: `${folder}*${path}${path && "*"}`, ...days } : days;
}

/**
 * Fills a list of folders when it is first seen. Where all photos lie in one folder there is nothing to choose, and no list.
 *
 * @param {HTMLSelectElement} list its first entry stands for all folders.
 * @param {HTMLDetailsElement} around is opened to see it.
 * @returns {function(string)} sees that a folder, such as a link's, can be chosen.
 */
function startFolders(list, around) {
  const offer = (path, text = path) => {
    if (path && ![...list.options].some(({ value }) => value === path)) list.add(new Option(text, path));
    list.closest("label").hidden = list.options.length < 2;
  };

  const fill = async () => {
    const { folders } = await ask("/api/folders");
    const chosen = list.value;
    list.length = 1;
    for (const { path, name, photos } of folders) offer(path, `${name} (${photos.toLocaleString("en")})`);
    offer(chosen);
    list.value = chosen;
  };

  offer("");
  around.addEventListener("toggle", () => fill().catch(() => {}), { once: true }); // without the list names can be typed
  return offer;
}
