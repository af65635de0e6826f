// The page's address says what is shown, so that Back, reloading and links work: "#/search?q=a+dog", "#/photo/7-00ff".

/**
 * Follows the address.
 *
 * @param {function(string, URLSearchParams)} show is called with the path behind "#", "/" for the start, and what
 *     stands behind its question mark: at once when `go` is called, and when people go back or change the address.
 * @returns {{go: function(string, object=), follow: function()}} `go` goes to an address such as "#/photo/7", a new
 *     entry in the history unless `replace`; `quiet` changes only the address. `follow` shows what the address says.
 */
export function startRoutes(show) {
  const follow = () => {
    const [path, query = ""] = location.hash.slice(1).split("?");
    show(path || "/", new URLSearchParams(query));
  };
  const go = (address, { replace = false, quiet = false } = {}) => {
    const same = address === (location.hash || "#/");
    if (!same) history[replace ? "replaceState" : "pushState"](null, "", address === "#/" ? location.pathname : address);
    if (!quiet) follow();
  };
  window.addEventListener("popstate", follow);
  return { go, follow };
}
