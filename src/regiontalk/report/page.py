"""Self-contained HTML page: styles, script, data and photos in one file.

Its Content-Security-Policy allows no network access. Figures need no script, so the file can also
be read in a mail program, printed, and searched; where scripts run, each figure becomes the
interactive view of RegionTalk's web page (progressive enhancement).

Browsers do not import modules from `file:` URLs, so the JavaScript modules are bundled: each
becomes a function that is called once and returns its exports. Modules keep their own scopes and
run in topological order of their imports.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import regiontalk

if TYPE_CHECKING:
    from regiontalk.model import Model

VIEWS = "views.js"

_OWN = files("regiontalk.report")

_IMPORT = re.compile(
    r"^import\s*\{([^}]*)\}\s*from\s*[\"']\./([\w.-]+)[\"'];?[ \t]*$", re.MULTILINE
)
_EXPORT = re.compile(
    r"^export\s+(?=(?:async\s+)?(?:function\b\*?|class|const|let)\s*(\w+))", re.MULTILINE
)
_OTHER = re.compile(
    r"^(?:import|export)\b.*$|\bimport\s*\(|</script|<!--", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True)
class View:
    """A figure that becomes interactive where scripts run.

    Attributes:
        kind: "Description" or "Alignment": which of the page's views it is.
        data: the view's object, JSON.
        figure: the figure, HTML.
    """

    kind: str
    data: dict[str, Any]
    figure: str

    def html(self, number: int) -> str:
        """The figure in an element in which a script replaces it.

        It must be inside an `article` whose first image is the view's photo.

        Args:
            number: the view's place in the page's data, from 0.
        """
        return f'<div class="view" data-view="{number}">{self.figure}</div>'


def page(
    title: str, body: str, views: Sequence[View] = (), lead: str = "", foot: str = ""
) -> bytes:
    """Renders an HTML document in UTF-8; lone surrogates, which UTF-8 cannot encode, are escaped.

    Args:
        title: plain text, for the heading and the browser's tab.
        body: HTML that holds each view's `html`.
        views: the views in it, in order.
        lead: HTML below the heading.
        foot: HTML at the end.
    """
    script = _script() if views else ""
    # By its hash, this inline script may run and no other
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'" + (f"; script-src 'sha256-{_digest(script)}'" if views else "")
    )
    data = [{"kind": view.kind, "data": view.data} for view in views]
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_styles()}</style>",
        "</head>",
        '<body class="report">',
        f"<header><h1>{escape(title)}</h1>{lead}</header>",
        f"<main>\n{body}\n</main>",
        f"<footer>{foot}</footer>",
    ]
    if views:
        parts += [
            f'<script type="application/json" id="report-data">{embedded_json(data)}</script>',
            f"<script>{script}</script>",
        ]
    return "\n".join([*parts, "</body>", "</html>", ""]).encode("utf-8", "backslashreplace")


def made_with(model: Model) -> str:
    """Names the program's version and the pack, for the footer."""
    settings, checksum = model.pack.settings, model.pack.checksum
    return f"Made with RegionTalk {regiontalk.__version__}, pack {settings.name} ({checksum[:12]})."


def embedded_json(value: Any) -> str:
    r"""ASCII JSON that cannot end the script element around it, whatever its strings contain.

    >>> embedded_json(["</script>", "<!--", "é"])
    '["\\u003c/script\\u003e","\\u003c!--","\\u00e9"]'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def static_folder() -> Traversable:
    """Folder of the web page's scripts and styles in the package."""
    return files("regiontalk") / "web" / "static"


def bundled(entry: str, folder: Traversable | None = None) -> str:
    """Bundles a module and its imports into one script; its exports become `regiontalkViews`.

    Supports `import {a, b as c} from "./file.js"`, and `export` before a function, class, const or
    let.

    Args:
        entry: the module's file name.
        folder: of the modules; None for the web page's own.

    Raises:
        ValueError: if a module uses another kind of import or export, imports are circular, or a
            text could end the script element.
    """
    parts: dict[str, str] = {}
    _add(entry, folder or static_folder(), parts, ())
    modules = "\n".join(parts.values())
    return (
        f'"use strict";\nconst modules = {{}};\n{modules}\nconst regiontalkViews = '
        f'modules["{entry}"];\n'
    )


def _script() -> str:
    own = (_OWN / "report.js").read_text(encoding="utf-8")
    return f"(() => {{\n{bundled(VIEWS)}\n{own}}})();\n"


def _styles() -> str:
    """Styles of the web page, then those of reports."""
    return "\n".join(
        sheet.read_text(encoding="utf-8")
        for sheet in (static_folder() / "style.css", _OWN / "report.css")
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _add(name: str, folder: Traversable, parts: dict[str, str], waiting: tuple[str, ...]) -> None:
    """Adds a module after those that it imports."""
    if name in parts:
        return
    if name in waiting:
        raise ValueError(f"{name}: imports itself through {', '.join(waiting)}")
    source = (folder / name).read_text(encoding="utf-8").replace("\r\n", "\n")
    for imported in _IMPORT.finditer(source):
        _add(imported[2], folder, parts, (*waiting, name))
    names = [exported[1] for exported in _EXPORT.finditer(source)]
    body = _EXPORT.sub("", _IMPORT.sub(_as_constants, source))
    left = _OTHER.search(body)
    if left:
        raise ValueError(f"{name}: cannot be put into one file: {left[0]}")
    parts[name] = f'modules["{name}"] = (() => {{\n{body}\nreturn {{{", ".join(names)}}};\n}})();'


def _as_constants(imported: re.Match[str]) -> str:
    names = ", ".join(
        re.sub(r"\s+as\s+", ": ", name.strip()) for name in imported[1].split(",") if name.strip()
    )
    return f'const {{{names}}} = modules["{imported[2]}"];'
