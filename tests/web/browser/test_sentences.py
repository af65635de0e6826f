"""A sentence's words find their regions: by pointer, by finger, by keyboard, for any β."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from regiontalk.alignment.mrf import phrases, viterbi
from regiontalk.model import Model
from regiontalk.structures import Alignment

if TYPE_CHECKING:
    from .page import Page

SENTENCE = "a man in a black coat looks through a camera on a tripod in a field"
REQUESTS = "return performance.getEntriesByType('resource').length"
PUT_SLIDER = (
    "const s = document.querySelector('.rt-slider'); s.value = arguments[0]; "
    "s.dispatchEvent(new Event('input'))"
)


@pytest.fixture
def aligned(page: Page, samples: Path) -> Page:
    """The page with a photo and a sentence."""
    page.choose(samples / "camera.jpg")
    page.align(SENTENCE)
    return page


@pytest.fixture(scope="module")
def expected(model: Model, samples: Path) -> Alignment:
    """What the page must show."""
    return model.align(samples / "camera.jpg", SENTENCE)


def regions(page: Page) -> list[int]:
    """The region of each word on the page."""
    found: list[str] = page.run(
        "return [...document.querySelectorAll('.rt-word')].map((each) => each.dataset.region)"
    )
    return [int(each) for each in found]


def shown_phrases(page: Page) -> list[str]:
    """The phrases on the page."""
    script = (
        "return [...document.querySelectorAll('.rt-phrase')].map((phrase) =>"
        "[...phrase.children].map((word) => word.firstChild.textContent).join(' '))"
    )
    found: list[str] = page.run(script)
    return found


def test_words_bear_the_colour_of_their_region(aligned: Page, expected: Alignment) -> None:
    assert regions(aligned) == expected.word_regions.tolist()
    assert shown_phrases(aligned) == [each.text for each in expected.phrases]
    script = (
        "const box = (word) => `.rt-box[data-region='${word.dataset.region}']`; "
        "return [...document.querySelectorAll('.rt-word:not(.rt-weak)')].map((word) => "
        "[getComputedStyle(word).backgroundColor, "
        "getComputedStyle(document.querySelector(box(word))).borderTopColor])"
    )
    colours = aligned.run(script)
    assert len(colours) == int(expected.shown.sum())
    assert all(word == box for word, box in colours)
    assert len({word for word, _ in colours}) == len(
        set(expected.word_regions[expected.shown].tolist())
    )


def test_hovering_a_word_lights_its_box(aligned: Page, expected: Alignment) -> None:
    boxed = set(expected.word_regions[expected.shown].tolist())  # what was not found has no box
    for word in aligned.all(".rt-word"):
        aligned.hover(word)
        region = str(word.get_attribute("data-region"))
        assert aligned.lit(".rt-box") == ([region] if int(region) in boxed else [])
    aligned.leave()
    assert aligned.lit("[data-region]") == []


def test_hovering_a_box_lights_its_words(aligned: Page) -> None:
    box = aligned.all(".rt-box:not(.rt-quiet)")[-1]  # the smallest lies on top
    region = str(box.get_attribute("data-region"))
    aligned.hover(box)
    assert aligned.lit(".rt-word") == [region] * regions(aligned).count(int(region))


def test_a_click_pins_and_escape_lets_go(aligned: Page) -> None:
    word = aligned.all(".rt-word")[0]
    region = word.get_attribute("data-region")
    word.click()
    aligned.leave()
    assert aligned.lit(".rt-box") == [region]
    assert word.get_attribute("aria-pressed") == "true"
    from selenium.webdriver.common.keys import Keys

    aligned.keys(Keys.ESCAPE)
    assert aligned.lit(".rt-box") == []


def test_the_slider_decodes_anew_without_the_server(aligned: Page, expected: Alignment) -> None:
    unary = expected.unary
    most = 0.25
    while len(set(viterbi(unary, most)[0].tolist())) > 1:
        most *= 2
    before, seen = aligned.run(REQUESTS), set()
    for step in (0, 100, 250, 400, 600, 800, 1000):
        aligned.run(PUT_SLIDER, step)
        path, _ = viterbi(unary, 1000 * (step / 1000) ** 4 if step < 1000 else max(1000, most))
        assert regions(aligned) == path.tolist()
        cut = phrases(expected.sentence.words, path, unary, expected.regions.boxes_xyxy)
        assert shown_phrases(aligned) == [each.text for each in cut]
        assert f"{len(cut)} phrase" in str(
            aligned.one(".rt-slider").get_attribute("aria-valuetext")
        )
        seen.add(len(cut))
    assert len(seen) > 2, "choose a sentence whose phrases change"
    assert aligned.run(REQUESTS) == before
    aligned.one(".rt-reset").click()
    assert regions(aligned) == expected.word_regions.tolist()


def test_a_beta_has_one_place_on_the_slider(aligned: Page, expected: Alignment) -> None:
    """Whatever the photo and the sentence, so that places are learnt once."""
    place = (
        "return [document.querySelector('.rt-slider').value, "
        "document.querySelector('.rt-beta').textContent]"
    )
    seen = []
    for sentence in ("", "two dogs", "a very tall building far behind a lake under a grey sky"):
        if sentence:
            aligned.align(sentence)
        start = aligned.run(place)
        aligned.run(PUT_SLIDER, 300)
        seen.append((start[0], start[1].split(" · ")[0], aligned.run(place)[1].split(" · ")[0]))
    assert len(set(seen)) == 1
    assert seen[0][1:] == (f"β {expected.beta:.2f}", "β 8.10")


def test_the_map_of_scores(aligned: Page, expected: Alignment) -> None:
    unary = expected.unary
    assert aligned.texts(".rt-heat tbody th") == list(expected.sentence.words)
    cells = np.array(aligned.texts(".rt-heat tbody td")).reshape(unary.shape)
    shown = np.vectorize(lambda text: float(text.replace("−", "-")))(cells)
    assert np.abs(shown - unary).max() <= 0.0501
    chosen = aligned.run(
        "return [...document.querySelectorAll('.rt-heat tbody tr')].map((row) =>"
        "[...row.querySelectorAll('td')].findIndex((cell) => cell.classList.contains('rt-chosen')))"
    )
    assert chosen == expected.word_regions.tolist()


def test_back_to_the_caption(aligned: Page) -> None:
    aligned.one("#back").click()
    aligned.one(".rt-caption")
    assert aligned.focused.get_attribute("id") == "sentence"
    assert not aligned.one("#back").is_displayed()


def test_a_finger_lights_and_lets_go(aligned: Page) -> None:
    aligned.look(360, 740, touch=True)
    box = aligned.all(".rt-box:not(.rt-quiet)")[-1]  # the smallest, above all others
    region = box.get_attribute("data-region")
    word = next(
        each for each in aligned.all(".rt-word") if each.get_attribute("data-region") != region
    )
    aligned.tap(word)
    aligned.wait(
        lambda: aligned.lit(".rt-box") == [word.get_attribute("data-region")],
        "the word's box is lit",
    )
    aligned.tap(box)
    aligned.wait(lambda: set(aligned.lit(".rt-word")) == {region}, "the box's words are lit")
    aligned.tap(box)
    aligned.wait(lambda: not aligned.lit(".rt-word"), "nothing is lit")
