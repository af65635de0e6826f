"""One HTML file that holds all it shows: styles, script, data and photos. It cannot reach the network.

Photos and words are in the page as figures that need no script; where scripts run, each becomes the interactive view of
RegionTalk's own page. So the file can also be read in a mail program, printed, and searched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import regiontalk
from regiontalk.report.bundle import bundled, static_folder

if TYPE_CHECKING:
    from regiontalk.model import Model

VIEWS = "views.js"

_OWN = files("regiontalk.report")


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
        """The figure, ready to be replaced. It must stand in an `article` whose first image is the view's photo.

        Args:
            number: the view's place in the page's data, from 0.
        """
        return f'<div class="view" data-view="{number}">{self.figure}</div>'


def page(title: str, body: str, views: Sequence[View] = (), lead: str = "", foot: str = "") -> bytes:
    """A whole HTML document, in UTF-8; what UTF-8 cannot say (half of a surrogate pair) is escaped.

    Args:
        title: plain text, for the heading and the browser's tab.
        body: HTML that holds each view's `html`.
        views: the views in it, in order.
        lead: HTML below the heading.
        foot: HTML at the end.
    """
    script = _script() if views else ""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'" + (
        f"; script-src 'sha256-{_digest(script)}'" if views else ""
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
    """Which program and pack, for the page's end."""
    settings, checksum = model.pack.settings, model.pack.checksum
    return f"Made with RegionTalk {regiontalk.__version__}, pack {settings.name} ({checksum[:12]})."


def embedded_json(value: Any) -> str:
    r"""JSON that cannot end the script element it stands in, whatever its texts say. ASCII only.

    >>> embedded_json(["</script>", "<!--", "é"])
    '["\\u003c/script\\u003e", "\\u003c!--", "\\u00e9"]'
    """
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _script() -> str:
    own = (_OWN / "report.js").read_text(encoding="utf-8")
    return f"(() => {{\n{bundled(VIEWS)}\n{own}}})();\n"


def _styles() -> str:
    """The styles of RegionTalk's own page, then the report's."""
    return "\n".join(
        sheet.read_text(encoding="utf-8") for sheet in (static_folder() / "style.css", _OWN / "report.css")
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
