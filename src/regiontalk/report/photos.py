"""HTML report of photos: regions, captions and alignments as interactive views."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from regiontalk.errors import ConfigError
from regiontalk.photos import escaped
from regiontalk.report.figures import Picture, alignment_figure, description_figure
from regiontalk.report.page import View, page
from regiontalk.report.pictures import LEAST_BYTES
from regiontalk.structures import Alignment, Description

_LEAST_ENTRY = LEAST_BYTES + 32_000
"""Minimum bytes per photo for which a report is begun."""
_SHELL = 100_000
"""Upper bound on the bytes of the page without photos."""
_MANY = 5  # above this number of photos the page has a table of contents
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Entry:
    """Results for a photo.

    Attributes:
        name: of the photo in the page.
        description: of the photo.
        alignment: of a sentence with the photo; None without a sentence.
        remark: note on this photo for the reader, plain text.
    """

    name: str
    description: Description
    alignment: Alignment | None = None
    remark: str = ""


class PhotoReport:
    """Builds a page photo by photo, within a size limit.

    Args:
        expected: maximum number of photos.
        most: maximum size of the page, in bytes.

    Raises:
        ConfigError: if so many photos cannot be shown in so few bytes.
    """

    def __init__(self, expected: int, most: int) -> None:
        room = (most - _SHELL) // _LEAST_ENTRY
        if expected > room:
            raise ConfigError(
                f"--max-size {most / _MEGABYTE:g}: {expected} photos do not fit into so many "
                f"megabytes, {max(room, 0)} surely do. Take fewer photos (--limit {max(room, 1)}), "
                f"or allow {-(-(expected * _LEAST_ENTRY + _SHELL) // _MEGABYTE)} megabytes"
            )
        self._left, self._most, self._size = expected, most, _SHELL
        self._articles: list[str] = []
        self._names: list[str] = []
        self._views: list[View] = []

    def __len__(self) -> int:
        return len(self._articles)

    def skip(self, photos: int) -> None:
        """Lowers the number of photos still expected, which leaves the others more bytes."""
        self._left -= photos

    def add(self, entry: Entry, picture: Callable[[int], str]) -> None:
        """Adds a photo, within its share of the bytes that are left.

        Args:
            entry: its results.
            picture: renders the photo as a data: URL of at most so many characters, if possible.
        """
        room = (self._most - self._size) // max(1, self._left)
        bare, views = self._article(entry, "")
        size = len(bare.encode("utf-8", "replace")) + sum(
            len(json.dumps(view.data)) for view in views
        )
        article, views = self._article(
            entry, picture(max(LEAST_BYTES, room - size - len(views) * 2000))
        )
        self._size += size + len(article) - len(bare)
        self._left -= 1
        self._articles.append(article)
        self._names.append(entry.name)
        self._views += views

    def html(self, title: str, foot: str) -> bytes:
        """Renders the page.

        Args:
            title: plain text.
            foot: plain text, for the page's end.

        Raises:
            ConfigError: if the page exceeds the size limit.
        """
        contents = _contents(self._names) if len(self._names) > _MANY else ""
        whole = page(
            title, "\n".join(self._articles), self._views, contents, f"<p>{escape(foot)}</p>"
        )
        if len(whole) > self._most:
            raise ConfigError(
                f"--max-size {self._most / _MEGABYTE:g}: the report would have "
                f"{len(whole) / _MEGABYTE:.1f} megabytes. Take fewer photos (--limit), or allow "
                "more"
            )
        return whole

    def _article(self, entry: Entry, url: str) -> tuple[str, list[View]]:
        regions = entry.description.regions
        number, place = len(self._articles) + 1, len(self._views)
        image = Picture(url, f"photo-{number}-image")
        named, views = {"file": entry.name}, list[View]()
        if entry.alignment is not None:
            figure = alignment_figure(entry.alignment, image)
            views.append(View("Alignment", alignment_data(entry.alignment) | named, figure))
            image = Picture("", image.name, again=True)
        figure = description_figure(entry.description, image)
        views.append(View("Description", entry.description.to_json() | named, figure))
        shown = "\n".join(view.html(place + offset) for offset, view in enumerate(views))
        heading = (
            f'<h2>{escape(entry.name)} <span class="faint">{regions.width} × '
            f"{regions.height}</span></h2>"
            + (f'<p class="faint">{escape(entry.remark)}</p>' if entry.remark else "")
        )
        return f'<article class="photo" id="photo-{number}">\n{heading}\n{shown}\n</article>', views


def alignment_data(alignment: Alignment) -> dict[str, Any]:
    """The object of `regiontalk align --json`, with β and all scores, to decode it with another β.

    `scores` is (T, M): ψ_U of Eq. 11 of each word and region, with six significant digits.
    """
    scores = [[float(f"{value:.6g}") for value in row] for row in alignment.unary.tolist()]
    return {**alignment.to_json(), "beta": alignment.beta, "scores": scores}


def shown_names(files: Sequence[Path]) -> list[str]:
    r"""Printable names of photos for a page to share: paths without their common folder.

    >>> shown_names([Path("/home/ann/a.jpg"), Path("/home/ann/b/a.jpg")])
    ['a.jpg', 'b/a.jpg']
    """
    whole = [os.path.abspath(file) for file in files]
    try:
        common = os.path.commonpath([os.path.dirname(name) for name in whole]) if whole else ""
        names = [Path(os.path.relpath(name, common)).as_posix() for name in whole]
    except ValueError:  # on several drives
        names = [file.name for file in files]
    return [escaped(name) for name in names]


def _contents(names: Sequence[str]) -> str:
    items = "".join(
        f'<li><a href="#photo-{n}">{escape(name)}</a></li>' for n, name in enumerate(names, start=1)
    )
    return (
        f"<nav aria-label='Photos'><details><summary>{len(names)} "
        f"photos</summary><ol>{items}</ol></details></nav>"
    )
