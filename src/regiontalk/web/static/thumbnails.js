// Small pictures of photos that are near the screen, made one after the other while nothing else is to be done.

const SIDE = 320; // pixels across
const MOST = 400; // that are kept; those seen longest ago are made again when they come back
const NEAR = "400px"; // to the screen

/**
 * Draws into canvases as they come near.
 *
 * @returns {{watch: function(HTMLCanvasElement, File), forget: function(HTMLCanvasElement)}} `watch` begins to look after
 *     a canvas: the attribute data-drawn says when it is drawn, data-missing that this browser cannot show the photo.
 */
export function startThumbnails() {
  const files = new Map();
  const waiting = new Set();
  const drawn = new Set(); // those seen longest ago first
  let working = false;

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) waiting.delete(target);
      else if (drawn.delete(target)) drawn.add(target);
      else if (files.has(target)) waiting.add(target);
    }
    work();
  }, { rootMargin: NEAR });

  const work = async () => {
    if (working) return;
    working = true;
    for (const canvas of waiting) { // what comes meanwhile is met too
      waiting.delete(canvas);
      await idle();
      if (files.has(canvas)) await draw(canvas, files.get(canvas));
    }
    working = false;
  };

  const draw = async (canvas, file) => {
    try {
      const bitmap = await createImageBitmap(file, { resizeWidth: SIDE, resizeQuality: "medium" }); // beside the page's thread
      Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
      canvas.getContext("bitmaprenderer").transferFromImageBitmap(bitmap);
      canvas.dataset.drawn = "";
      drawn.add(canvas);
      if (drawn.size > MOST) drop(drawn.values().next().value);
    } catch {
      canvas.dataset.missing = "";
    }
  };

  const drop = (canvas) => {
    drawn.delete(canvas);
    canvas.width = canvas.height = 1;
    delete canvas.dataset.drawn;
  };

  const watch = (canvas, file) => {
    files.set(canvas, file);
    near.observe(canvas);
  };
  const forget = (canvas) => {
    near.unobserve(canvas);
    waiting.delete(canvas);
    files.delete(canvas);
    if (drawn.has(canvas)) drop(canvas);
  };
  return { watch, forget };
}

function idle() {
  return new Promise((done) => (window.requestIdleCallback ? requestIdleCallback(done, { timeout: 300 }) : setTimeout(done, 20)));
}
