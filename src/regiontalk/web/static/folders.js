// The folders of the index's photos, to choose one from.
import { ask } from "./api.js";

/**
 * Fills a list of folders when it is first seen. Where all photos lie in one folder there is nothing to choose, and no list.
 *
 * @param {HTMLSelectElement} list its first entry stands for all folders.
 * @param {HTMLDetailsElement} around is opened to see it.
 * @returns {{offer: function(string)}} sees that a folder, such as a link's, can be chosen.
 */
export function startFolders(list, around) {
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
  return { offer };
}
