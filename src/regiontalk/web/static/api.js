// Talks to the server that this page came from, and to nobody else.

const LONGEST_WAIT = 10; // seconds

/**
 * Asks the API.
 *
 * @param {string} path such as "/api/describe".
 * @param {{form?: object, signal?: AbortSignal, onBusy?: function(number)}} options `form` is posted, without its empty
 *     fields; `onBusy` hears for how many seconds a busy server is left alone before it is asked once more.
 * @returns {Promise<object>} the answer.
 * @throws {Error} with a text for people; an AbortError if it was aborted.
 */
export async function ask(path, { form, signal, onBusy } = {}) {
  let response = await send(path, form, signal);
  if (response.status === 503) {
    const seconds = Math.min(LONGEST_WAIT, Math.max(1, Number(response.headers.get("Retry-After")) || 1));
    onBusy?.(seconds);
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    response = await send(path, form, signal);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `The server answered ${response.status} ${response.statusText}.`);
  return answer;
}

/** The content of a photo of the index. */
export async function photo(path) {
  const response = await send(path);
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error ?? "The photo cannot be opened.");
  return response.blob();
}

async function send(path, form, signal) {
  try {
    return await fetch(path, form ? { method: "POST", body: fields(form), signal } : { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
}

function fields(form) {
  const body = new FormData();
  for (const [name, value] of Object.entries(form)) {
    if (value !== "" && value !== undefined) body.append(name, value);
  }
  return body;
}
