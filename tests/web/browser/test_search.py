"""Search while typing, photos like others, and a page without an index."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regiontalk.cli import main
from regiontalk.model import Model

from .conftest import serving, watched

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from .page import Page

SLOW_FIRST = """
const real = window.fetch;
window.asked = [];
window.fetch = async (path, options) => {
  const q = new URL(path, location).searchParams.get("q");
  if (q === null) return real(path, options);
  window.asked.push(q);
  const answer = await real(path);  // never aborted, so that the late answer does come
  if (window.asked.length === 1) await new Promise((done) => { window.release = done; });
  return answer;
};
"""


def files(page: Page) -> list[str]:
    """The photos that are shown, in order."""
    return page.texts("#results .rt-file")


def test_results_come_while_typing_with_the_boxes_of_the_phrases(
    page: Page, samples: Path, model: Model
) -> None:
    sentence = "a man in a red shirt on grass"
    page.search(sentence)
    photos = sorted(samples.glob("*.jpg"))
    scores = model.score(photos, [sentence])[:, 0]
    assert files(page)[0] == photos[int(scores.argmax())].name
    assert sorted(files(page)) == [photo.name for photo in photos]
    for photo, card in zip(files(page), page.all("#results > li"), strict=True):
        # An index has no extra regions
        alignment = model.align(*model.look(samples / photo), sentence)
        words = [each.text for each in card.find_elements("css selector", ".rt-word")]
        assert " ".join(words) == sentence
        boxes = card.find_elements("css selector", ".rt-box")
        # What was not found has no box
        found = {phrase.region for phrase in alignment.phrases if phrase.found}
        assert {int(str(each.get_attribute("data-region"))) for each in boxes} == found


def test_one_search_for_many_keys_and_stale_answers_are_dropped(page: Page) -> None:
    page.run(SLOW_FIRST)
    page.one("#query").send_keys("a cat")
    page.wait(
        lambda: page.run("return window.release !== undefined"), "the first search is on its way"
    )
    page.one("#query").send_keys(" sleeps")
    page.wait(lambda: "“a cat sleeps”" in page.text("#found"), "the second answer is shown")
    page.run("window.release()")
    page.browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert "“a cat sleeps”" in page.text("#found")
    asked = page.run("return window.asked")
    assert asked[-1] == "a cat sleeps"
    assert len(asked) < len("a cat sleeps") / 2  # a search for a pause, not for a key


def test_an_emptied_field_empties_the_results(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.search("a cat")
    page.one("#query").send_keys(*[Keys.BACKSPACE] * len("a cat"))
    page.wait(lambda: not files(page), "no photo is shown")
    assert page.text("#found") == ""


def test_more_like_this(page: Page) -> None:
    page.search("a cat")
    buttons = {
        str(each.get_attribute("aria-label")): each for each in page.all("#results .actions button")
    }
    buttons["More like this: chelsea.jpg"].click()
    page.wait(
        lambda: page.text("#found").endswith("like chelsea.jpg"), "the photos like it are there"
    )
    assert files(page)[0] == "chelsea.jpg"  # nothing is so like a photo as itself
    assert page.focused.get_attribute("id") == "query"


def test_photos_like_an_uploaded_one(page: Page, samples: Path) -> None:
    page.choose(samples / "rocket.jpg")
    page.one("#like").click()
    page.wait(
        lambda: page.text("#found").endswith("like rocket.jpg"), "the photos like it are there"
    )
    assert files(page)[0] == "rocket.jpg"


def test_a_result_can_be_opened(page: Page) -> None:
    page.search("a cat")
    name = files(page)[0]
    page.one("#results .actions button").click()
    page.one(".rt-caption")
    assert page.one(".thumb").get_attribute("aria-label") == name


def test_without_an_index_there_is_no_search(plain_page: Page, samples: Path) -> None:
    plain_page.choose(samples / "coffee.jpg")
    assert not plain_page.one("#find").is_displayed()
    assert not plain_page.one("#like").is_displayed()


@pytest.fixture
def page_with_texts(
    browser: Chrome, model: Model, samples: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Page]:
    """The page of an index of three photos, two of which have a text of their own."""
    for name in ("camera.jpg", "chelsea.jpg", "rocket.jpg"):
        shutil.copy(samples / name, tmp_path)
    (tmp_path / "rocket.jpg.txt").write_text("Großmutter Anna's rocket, 東京タワー", "utf-8")
    (tmp_path / "camera.jpg.txt").write_text("<b>Anna</b>", "utf-8")
    index = tmp_path / "photos.index"
    with pytest.raises(SystemExit) as ended:
        main(["index", "add", str(tmp_path), "--index", str(index), "--captions", str(tmp_path)])
    assert not ended.value.code
    for url in serving(model, index):
        yield from watched(browser, url, request, tmp_path)


def test_texts_of_ones_own_are_shown_and_their_words_marked(page_with_texts: Page) -> None:
    page = page_with_texts
    page.search("großmutter 東京")
    assert files(page) == ["rocket.jpg"]  # the pack knows no word of it
    assert page.texts("#results .rt-own") == ["Großmutter Anna's rocket, 東京タワー"]
    assert page.texts("#results mark") == ["Großmutter", "東京タワー"]
    assert page.text("#results .rt-note").endswith(", its text has großmutter, 東京")
    page.one("#query").clear()
    page.search("Anna with a cat")
    assert len(files(page)) == 3
    assert page.texts("#results mark") == ["Anna", "Anna"]
    assert "<b>Anna</b>" in page.texts("#results .rt-own")
    page.one("#query").clear()
    page.may_fail.append("/api/search")
    page.one("#query").send_keys("xyzzy")
    page.wait(
        lambda: "knows none" in page.text("#found"), "a word that no text has is none that is known"
    )
