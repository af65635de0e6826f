// What views and pages are made of: elements, numbers and names for people, texts to copy.

export const WHOLE_PHOTO = 0; // the row of the region that is all of it
export const FOUND = 0.5; // as in regiontalk.alignment.certainty

/** An element with attributes; strings among the children become text, never markup. */
export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** What a region is called. */
export function regionName(region) {
  return region === WHOLE_PHOTO ? "the whole photo" : `region ${region}`;
}

/** A number with so many decimals, and a true minus sign. */
export function decimals(score, digits) {
  const scale = 10 ** digits;
  return (Math.round(scale * score) / scale || 0).toFixed(digits).replace("-", "−"); // never "-0.0"
}

/** Whether the pack tells how sure something is. */
export function isTold(sure) {
  return typeof sure === "number";
}

/** A share for people. */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** What is said of a caption that is more likely wrong than right; "" of others. */
export function unsureText({ sure }) {
  return isTold(sure) && sure < FOUND ? `unsure (${percent(sure)}): it may name what is not there` : "";
}

/** Puts a text into the clipboard, and says so on the button that was pressed. */
export async function copyText(text, button) {
  const before = (button.dataset.says ??= button.textContent); // it may be pressed again before it says that once more
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed"; // by the browser, or the page is not served securely
  }
  setTimeout(() => (button.textContent = before), 1500);
}
