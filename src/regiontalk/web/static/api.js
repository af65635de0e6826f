// Talks to the server that this page came from, and to nobody else.

const LONGEST_WAIT = 10; // seconds

/**
 * Asks the API.
 *
 * @param {string} path such as "/api/describe".
 * @param {object} options `form` is posted as a form, without its empty fields, or `json` as JSON; `signal` aborts;
 *     `onBusy` hears for how many seconds a busy server is left alone before it is asked again, at most `patience`
 *     times.
 * @returns {Promise<object>} the answer.
 * @throws {Error} with a text for people; an AbortError if it was aborted.
 */
export async function ask(path, options) {
  return (await asked(path, options)).json().catch(() => ({}));
}

/** As `ask`, for an answer that is a file. */
export async function askFile(path, options) {
  return (await asked(path, options)).blob();
}

async function asked(path, { form, json, signal, onBusy, patience = 1 } = {}) {
  let response = await send(path, { form, json, signal });
  for (let times = 0; response.status === 503 && times < patience; times++) {
    const seconds = Math.min(LONGEST_WAIT, Math.max(1, Number(response.headers.get("Retry-After")) || 1));
    onBusy?.(seconds);
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    response = await send(path, { form, json, signal });
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? `The server answered ${response.status} ${response.statusText}.`);
}

async function send(path, { form, json, signal }) {
  const headers = json ? { "Content-Type": "application/json" } : {};
  const body = json ? JSON.stringify(json) : form && fields(form);
  try {
    return await fetch(path, body ? { method: "POST", body, headers, signal } : { signal });
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
