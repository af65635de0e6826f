// What views are made of: elements, numbers and names for people.

export const WHOLE_PHOTO = 0; // the row of the region that is all of it

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
