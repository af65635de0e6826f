"""Sample photos to begin with, sentences to try.

And labels on boxes, which never hide each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .page import Page

NAMES = ("astronaut.jpg", "camera.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg")
HIDING = """
const tags = "#view .rt-box:not(.rt-quiet):not(.rt-crowded) .rt-tag";
const shown = [...document.querySelectorAll(tags)];
const places = shown.map((each) => [each.textContent, each.getBoundingClientRect()]);
const frame = document.querySelector("#view .rt-frame").getBoundingClientRect();
const [pairs, out] = [[], []];
places.forEach(([text, a], i) => {
  if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1) out.push(text);
  for (const [other, b] of places.slice(0, i)) {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 0.5 && down > 0.5) pairs.push([text, other]);
  }
});
return [places.length, pairs, out];
"""


def test_a_sample_and_its_sentence(page: Page) -> None:
    names = [
        str(each.get_attribute("aria-label")).removeprefix("Sample photo ")
        for each in page.all(".sample")
    ]
    assert names == list(NAMES)
    loaded = (
        "return [...document.querySelectorAll('.sample img')].every((each) => each.naturalWidth > "
        "0)"
    )
    page.wait(lambda: page.run(loaded), "the samples are seen")
    page.one('.sample[aria-label="Sample photo coffee.jpg"]').click()
    page.one(".rt-caption")
    assert not page.one("#samples").is_displayed()
    example = page.text("#example").removeprefix("Try: ")
    page.one("#example").click()
    page.wait(
        lambda: example in str(page.one(".rt-image").get_attribute("alt")),
        "the sentence is aligned",
    )
    assert page.focused.get_attribute("id") == "sentence"
    assert not page.one("#example").is_displayed()
    page.one("#clear").click()
    assert page.one("#samples").is_displayed()


def test_the_packs_know_the_samples_words(page: Page) -> None:
    for name in NAMES:
        page.one(f'.sample[aria-label="Sample photo {name}"]').click()
        page.one("#view .rt-caption")
        page.one("#example").click()
        page.one("#view .rt-words")
        page.one("#clear").click()


def test_own_photos_have_no_sample_sentence(page: Page, samples: Path) -> None:
    page.choose(samples / "coffee.jpg")
    assert not page.one("#example").is_displayed()


@pytest.mark.parametrize("width", [360, 1280])
def test_labels_never_hide_each_other(page: Page, samples: Path, width: int) -> None:
    page.look(width, 800, touch=width == 360)
    shown = 0
    for name in NAMES:
        page.choose(samples / name)
        page.wait(
            lambda: page.run("return document.querySelectorAll('#view .rt-box').length"),
            "there are boxes",
        )
        for sentence in (
            "",
            "a man in a black coat and a woman with a red cup near a white dog on the green grass",
        ):
            if sentence:
                page.align(sentence)
                page.run(
                    "const s = document.querySelector('.rt-slider'); s.value = 0; "
                    "s.dispatchEvent(new Event('input'))"
                )
            count, pairs, out = page.run(HIDING)
            assert (pairs, out) == ([], [])
            shown += count
        page.one("#clear").click()
    assert shown > 20
