// A closer look at the open photo: its frame grows inside a pane that scrolls, so that boxes stay where they belong.

const STEP = 1.5;
const MOST = 8;

const $ = (id) => document.getElementById(id);

/**
 * Starts it: by the buttons, and by the wheel with Ctrl, which is also what a pinch on a touchpad is.
 *
 * @param {HTMLElement} view in which a photo is shown, see views.js.
 * @returns {{reset: function()}} whoever shows something else in the view calls it before.
 */
export function startZoom(view) {
  let scale = 1;
  let own = 0; // width of the frame as it is without zoom, in pixels

  /** Makes the photo so many times as large; the point of the screen `at`, the middle without one, stays where it is. */
  const set = (wanted, at) => {
    const frame = view.querySelector(".rt-frame");
    if (!frame) return;
    const before = frame.getBoundingClientRect();
    const pane = paneOf(frame, before);
    if (scale === 1) own = before.width;
    scale = Math.min(MOST, Math.max(1, wanted));
    const there = pane.getBoundingClientRect();
    const [x, y] = at ?? [there.left + there.width / 2, there.top + there.height / 2];
    const [across, down] = [(x - before.left) / before.width, (y - before.top) / before.height];
    frame.style.setProperty("width", `${own * scale}px`);
    const after = frame.getBoundingClientRect();
    pane.scrollLeft += after.left + across * after.width - x;
    pane.scrollTop += after.top + down * after.height - y;
    if (scale === 1) leave(frame, pane);
    show();
  };

  const show = () => {
    $("zoom-out").disabled = scale === 1;
    $("zoom-in").disabled = scale === MOST;
  };
  const reset = () => {
    if (scale > 1) set(1);
    scale = 1;
    show();
  };

  $("zoom-in").addEventListener("click", () => set(scale * STEP));
  $("zoom-out").addEventListener("click", () => set(scale / STEP < 1.01 ? 1 : scale / STEP));
  window.addEventListener("resize", reset);
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey || !event.target.closest(".rt-frame")) return;
    event.preventDefault(); // the page itself stays as it is
    const wanted = scale * Math.exp(-event.deltaY / 200);
    set(wanted < 1.02 ? 1 : wanted, [event.clientX, event.clientY]);
  }, { passive: false });
  show();
  return { reset };
}

/** What the frame scrolls in, as large as the frame was. */
function paneOf(frame, { width, height }) {
  if (frame.parentElement.classList.contains("zoom-pane")) return frame.parentElement;
  const pane = Object.assign(document.createElement("div"), { className: "zoom-pane" });
  for (const [side, size] of Object.entries({ width, height })) pane.style.setProperty(side, `${size}px`);
  frame.replaceWith(pane);
  pane.append(frame);
  return pane;
}

function leave(frame, pane) {
  frame.style.removeProperty("width");
  pane.replaceWith(frame);
}
