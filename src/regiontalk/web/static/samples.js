// Sample photos to begin with, each with a sentence to try. The server has them from its package.
import { askFile } from "./api.js";

const SENTENCES = {
  "astronaut.jpg": "a smiling woman in an orange suit",
  "camera.jpg": "a man takes a picture with a camera on a tripod",
  "chelsea.jpg": "a cat with green eyes and a pink nose",
  "coffee.jpg": "a white cup on a red plate",
  "rocket.jpg": "a white tower under a dark sky",
};
const sentences = new WeakMap(); // of files that are samples

/**
 * Shows the samples.
 *
 * @param {HTMLElement} list is filled.
 * @param {function({file: File, path: string}[])} take hears of the one that was chosen.
 * @param {function(string)} fail hears why it cannot be had.
 */
export function startSamples(list, take, fail) {
  const get = async (name) => {
    try {
      const content = await askFile(`/samples/${name}`);
      const file = new File([content], name, { type: content.type, lastModified: 0 });
      sentences.set(file, SENTENCES[name]);
      take([{ file, path: name }]);
    } catch (error) {
      fail(error.message);
    }
  };
  for (const name of Object.keys(SENTENCES)) {
    const image = Object.assign(new Image(), { src: `/samples/${name}`, alt: "", decoding: "async" });
    const button = Object.assign(document.createElement("button"), { type: "button", className: "sample" });
    button.setAttribute("aria-label", `Sample photo ${name}`);
    button.addEventListener("click", () => get(name));
    button.append(image);
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
  }
}

/** What may be said about a photo; undefined unless it is a sample. */
export function sampleSentence(file) {
  return sentences.get(file);
}
