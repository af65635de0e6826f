"""Results made by hand, with hostile texts, and a reader of HTML that knows what may stand in a
page.
"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from regiontalk.alignment.mrf import align
from regiontalk.structures import Alignment, Caption, Description, Regions, Sentence

HOSTILE = "</script><img src=x onerror=alert(1)>'\"&<!--\u2028"
VOID = {"meta", "img", "br", "hr", "input", "link"}


def regions(file: str = "no such photo.jpg") -> Regions:
    """Two boxes on a photo of 120 x 80 pixels; the second is the surer one."""
    boxes = np.array([[0, 0, 120, 80], [10, 10, 50, 40], [60, 45, 110, 75]], np.float32)
    vectors = np.array([[0.1, 0.1], [1, 0], [0, 1]], np.float32)
    return Regions(file, 120, 80, boxes, np.array([1, 0.4, 0.9], np.float32), vectors, vectors)


def description(file: str = "no such photo.jpg", text: str = "a dog runs") -> Description:
    return Description(
        regions(file), Caption(text, -1.0), (Caption("a red block", -1.0), Caption(text, -2.0))
    )


def alignment(
    file: str = "no such photo.jpg", text: str = "red dog the", beta: float = 0.1
) -> Alignment:
    """Its words' scores with the three regions are (0.2, 2, 0), (0.3, 0, 3) and (-0.2, -1, -1)."""
    vectors = np.array([[2, 0], [0, 3], [-1, -1]], np.float32)
    return align(
        regions(file), Sentence(text, ("red", "dog", "the"), np.array([2, 3, 4]), vectors), beta
    )


class Reader(HTMLParser):
    """Reads a page.

    Attributes:
        elements: tags with their attributes, in order.
        open: tags that are not closed yet, to find those closed in the wrong order.
        text: outside of tags, scripts and styles.
        pieces: that text, parted by the tags.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.pieces: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = "".join(self.pieces)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.pieces.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def assert_harmless(html: str) -> Reader:
    """Nothing in the HTML asks another file or host for anything.

    And no text has become an element or a handler.
    """
    page = Reader(html)
    assert {"iframe", "object", "embed", "link", "base", "form"}.isdisjoint(
        tag for tag, _ in page.elements
    )
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href", "srcset", "action", "xlink:href", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,")), (
                tag,
                attributes,
            )
        assert "url(" not in attributes.get("style", "")
    return page


def photo(folder: Path, name: str = "a.jpg") -> Path:
    """A photo of the size that `regions` is of."""
    from PIL import Image

    Image.new("RGB", (120, 80), "teal").save(folder / name)
    return folder / name
