"""The pictures of docs/web.md.

REGIONTALK_SCREENSHOTS=docs/pictures pytest tests/web/browser/test_pictures.py
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from .page import Page

SENTENCE = "a man with a black coat and a camera in a field"


def check(file: Path) -> None:
    """A picture that is small enough to keep, and shows something."""
    with Image.open(file) as picture:
        assert len(picture.convert("RGB").resize((32, 32)).getcolors(32 * 32) or []) > 20
    assert file.stat().st_size < 150_000


def test_caption(page: Page, samples: Path) -> None:
    page.look(1120, 800)
    page.choose(samples / "coffee.jpg", samples / "camera.jpg", samples / "astronaut.jpg")
    page.wait(lambda: page.text("#count").startswith("3 of 3"), "all are captioned")
    check(page.picture("page_caption"))


def test_sentence(page: Page, samples: Path) -> None:
    page.look(1120, 800)
    page.choose(samples / "camera.jpg")
    page.align(SENTENCE)
    check(page.picture("page_sentence"))


def test_hovered_in_the_dark(page: Page, samples: Path) -> None:
    page.look(1120, 800, dark=True)
    page.choose(samples / "camera.jpg")
    page.align(SENTENCE)
    page.hover(page.all("#view .rt-word")[5])
    check(page.picture("page_dark", "#view"))


def test_phone(page: Page, samples: Path) -> None:
    page.look(360, 740, touch=True)
    page.choose(samples / "camera.jpg")
    page.align(SENTENCE)
    check(page.picture("page_phone"))


def test_many(page: Page, samples: Path) -> None:
    page.look(1120, 800)
    page.give(*sorted(samples.glob("*.jpg")))
    page.wait(lambda: page.text("#count").startswith("5 of 5"), "all are captioned")
    drawn = "return document.querySelectorAll('canvas[data-drawn]').length"
    page.wait(lambda: page.run(drawn) == 5, "the small pictures are there")
    check(page.picture("page_many"))


def test_search(page: Page) -> None:
    page.look(1120, 800)
    page.search("a man in a red shirt")
    check(page.picture("page_search"))
