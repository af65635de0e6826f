// Has the photos of an album captioned, a few at a time: first the one that people look at, then in their order.
import { ask } from "./api.js";

const AT_ONCE = 4; // requests: the server decodes two while it looks at the others
const PATIENCE = 60; // times that a busy server is asked again for a photo that nobody looks at

/**
 * Starts it; photos that come later are captioned too.
 *
 * @param {Album} album
 * @param {function(object, number)} onBusy hears for which photo, and for how many seconds, a busy server is left alone.
 */
export function startCaptioning(album, onBusy) {
  let running = 0;

  const fill = () => {
    while (running < AT_ONCE) {
      const photo = next();
      if (!photo) return;
      running++;
      caption(photo).finally(() => {
        running--;
        fill();
      });
    }
  };
  const next = () => (album.open?.state === "waiting" ? album.open : album.photos.find(({ state }) => state === "waiting"));

  const caption = async (photo) => {
    album.change(photo, { state: "looking" });
    const busy = (seconds) => onBusy(photo, seconds);
    const options = { signal: photo.stop.signal, onBusy: busy, patience: photo === album.open ? 1 : PATIENCE };
    try {
      const answer = await ask("/api/describe", { form: { photo: photo.file, ...photo.how }, ...options });
      album.change(photo, { state: "done", answer });
    } catch (error) {
      if (error.name !== "AbortError") album.change(photo, { state: "failed", error: error.message });
    }
  };

  album.addEventListener("add", () => queueMicrotask(fill)); // whoever adds a photo may open it at once
  album.addEventListener("change", ({ detail }) => detail.changed.state === "waiting" && fill());
}
