// What is done with all photos at once: how far they are, trying again, files to keep, removing.
import { saveJson, saveSidecars, saveTable } from "./exports.js";

const $ = (id) => document.getElementById(id);

/**
 * Starts the row of tools above the photos.
 *
 * @param {Album} album
 * @returns {{busy: function(number)}} tells for how many seconds a busy server is left alone.
 */
export function startTools(album) {
  let kept = true; // whether the texts that people wrote are in a file

  const count = () => {
    const all = album.photos.length;
    const [done, failed] = [album.in("done").length, album.in("failed").length];
    const settled = done + failed === all;
    $("tools").hidden = !all;
    $("count").textContent = `${done} of ${all} captioned${failed ? `, ${failed} failed` : ""}`;
    Object.assign($("progress"), { max: Math.max(1, all), value: done + failed, hidden: settled });
    $("retry").hidden = !failed;
    $("retry").textContent = failed === 1 ? "Try the failed one again" : `Try the ${failed} failed again`;
    for (const id of ["save-csv", "save-json", "save-xmp"]) $(id).disabled = !album.photos.some(({ answer }) => answer);
    return settled;
  };

  const update = () => {
    const before = $("progress").hidden;
    const settled = count();
    if (!settled) return;
    $("wait").textContent = "";
    if (!before && !album.open && album.photos.length) $("status").textContent = $("count").textContent;
  };

  const save = (button, how) => $(button).addEventListener("click", async () => {
    $(button).disabled = true;
    try {
      await how(album.photos.filter(({ answer }) => answer));
      kept = true;
      $("tools-problem").textContent = "";
    } catch (error) {
      $("tools-problem").textContent = error.message;
    }
    $(button).disabled = false;
  });

  album.addEventListener("add", update);
  album.addEventListener("remove", update);
  album.addEventListener("change", ({ detail: { changed, kept: inFile } }) => {
    if ("text" in changed && !inFile) kept = false;
    if ("state" in changed) update();
  });
  $("retry").addEventListener("click", () => album.in("failed").forEach((photo) => album.again(photo)));
  $("clear").addEventListener("click", () => {
    if (!kept && !confirm("Remove all photos, and the captions that you wrote?")) return;
    album.remove(album.photos);
    kept = true;
    $("files").focus(); // the button goes
  });
  save("save-csv", saveTable);
  save("save-json", saveJson);
  save("save-xmp", saveSidecars);
  window.addEventListener("beforeunload", (event) => {
    if (!kept && album.photos.some(({ text }) => text !== null)) event.preventDefault(); // the browser asks
  });

  return { busy: startWaiting() };
}

/** Tells for how many seconds a busy server is left alone, as long as that. */
function startWaiting() {
  let timer = 0;
  return (seconds) => {
    $("wait").textContent = `The server is busy. It is asked again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
    clearTimeout(timer);
    timer = setTimeout(() => ($("wait").textContent = ""), 1000 * seconds);
  };
}
