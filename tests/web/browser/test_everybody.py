"""The page is everybody's.

On a phone, by keyboard, with a screen reader, in the dark, and when the server is busy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .page import Page

SENTENCE = "a smiling woman in an orange suit"


def fill(page: Page, samples: Path) -> None:
    """All that the page can show at once."""
    page.choose(samples / "astronaut.jpg", samples / "coffee.jpg")
    page.align(SENTENCE)
    page.one("#advanced summary").click()
    page.one("#filters summary").click()
    page.search("a man in a red shirt")
    page.leave()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(page: Page, samples: Path, axe: str, dark: bool, width: int) -> None:
    page.look(width, 800, dark=dark, touch=width == 360)
    assert page.violations(axe) == []
    page.choose(samples / "astronaut.jpg")
    page.one(".rt-fold summary").click()
    assert page.violations(axe) == []
    fill(page, samples)
    assert page.violations(axe) == []


@pytest.mark.parametrize("width", [320, 360, 768, 1920])
def test_nothing_is_wider_than_the_screen(page: Page, samples: Path, width: int) -> None:
    page.look(width, 740, touch=width < 768)
    wide = "return document.documentElement.scrollWidth"
    assert page.run(wide) == width
    page.choose(
        samples / "astronaut.jpg",
        samples / "coffee.jpg",
        samples / "rocket.jpg",
        samples / "camera.jpg",
    )
    assert page.run(wide) == width
    fill(page, samples)
    assert page.run(wide) == width
    page.picture(f"width-{width}")


def test_a_phone_shows_small_cards(page: Page, samples: Path) -> None:
    """Several on a screen: photos to be captioned as rows, results side by side."""
    page.look(360, 740, touch=True)
    names = ("astronaut.jpg", "coffee.jpg", "rocket.jpg")
    page.give(*(samples / name for name in names))
    page.wait(lambda: page.text("#count") == "3 of 3 captioned", "the captions are there")
    page.search("a man in a red shirt")
    sizes = (
        "return [...document.querySelectorAll(arguments[0])].map((each) => "
        "each.getBoundingClientRect())"
    )
    cards, results = page.run(sizes, ".card"), page.run(sizes, "#results > li")
    assert all(card["height"] < 740 / 3 for card in cards)
    assert all(found["width"] < 180 for found in results)
    assert results[0]["top"] == results[1]["top"]
    assert page.run("return document.documentElement.scrollWidth") == 360
    page.picture("phone-cards")


def test_a_phone_gives_fingers_room(page: Page, samples: Path) -> None:
    page.look(360, 740, touch=True)
    fill(page, samples)
    script = (
        "return [...document.querySelectorAll('main button:not(.rt-box), main input:not(.unseen), "
        "summary')].filter((each) => each.checkVisibility({ visibilityProperty: true "
        "})).map((each) => [each.outerHTML.slice(0, 100), each.getBoundingClientRect()])"
    )
    sizes = page.run(script)
    assert len(sizes) > 15
    assert [what for what, at in sizes if at["height"] < 24 or at["width"] < 12] == []


def test_all_of_it_by_keyboard(page: Page, samples: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page.keys(Keys.TAB)
    assert page.focused.get_attribute("id") == "files"
    ring = "return getComputedStyle(document.getElementById('drop')).outlineStyle"
    assert page.run(ring) == "solid"
    page.keys(Keys.TAB)
    assert page.focused.get_attribute("id") == "folder"
    page.choose(samples / "astronaut.jpg")
    page.run("document.getElementById('files').focus()")
    while page.focused.get_attribute("id") != "sentence":
        page.keys(Keys.TAB)
        assert page.run("return document.activeElement !== document.body"), (
            "the sentence's field is never reached"
        )
    page.keys(SENTENCE, Keys.ENTER)
    page.wait(
        lambda: len(page.all("#view .rt-word")) == len(SENTENCE.split()), "the words are there"
    )

    stops = _tab_to(page, "rt-slider")
    assert all(outline != "none" for _, outline in stops), "each stop shows the focus"
    assert [name for name, _ in stops if name.startswith("rt-word")] != []
    assert [name for name, _ in stops if name.startswith("rt-box")] != []
    before = page.focused.get_attribute("aria-valuetext")
    page.keys(*[Keys.ARROW_RIGHT] * 40)
    assert page.focused.get_attribute("aria-valuetext") != before

    page.run("document.querySelector('.rt-reset').focus()")
    page.keys(Keys.ENTER)
    found = "#view .rt-word:not(.rt-weak)"  # what was not found has no box
    page.run("document.querySelector(arguments[0]).focus()", found)
    region = page.focused.get_attribute("data-region")
    assert page.lit(".rt-box") == [region]
    page.keys(Keys.ENTER, Keys.TAB)
    assert page.one(found).get_attribute("aria-pressed") == "true"
    page.keys(Keys.ESCAPE)
    assert page.all("[aria-pressed=true]") == []


def _tab_to(page: Page, name: str) -> list[tuple[str, str]]:
    """Presses Tab until an element of a class has the focus: class and outline of each stop."""
    from selenium.webdriver.common.keys import Keys

    stops: list[tuple[str, str]] = []
    while name not in (stops[-1][0] if stops else ""):
        page.keys(Keys.TAB)
        script = (
            "const e = document.activeElement; return [e.className, "
            "getComputedStyle(e).outlineStyle]"
        )
        stops.append(tuple(page.run(script)))
        assert len(stops) < 60
    return stops


def test_what_happens_is_said(page: Page, samples: Path) -> None:
    page.choose(samples / "coffee.jpg")
    assert page.text("#status").startswith("Caption: ")
    page.align("a red cup on a table")
    assert "region" in page.text("#status")
    live = page.run(
        "return [...document.querySelectorAll('[role=status], "
        "[role=alert]')].map((each) => each.id)"
    )
    assert {"status", "problem", "found"} <= set(live)


def test_whoever_wants_it_still_sees_nothing_move(page: Page) -> None:
    moving = "return getComputedStyle(document.getElementById('drop')).transitionDuration"
    assert page.run(moving) == "0s"
    page.look(1280, 900, still=False)
    assert page.run(moving) != "0s"


def test_a_busy_server_is_asked_once_more(page: Page, samples: Path) -> None:
    page.keep_busy(1)
    page.choose(samples / "coffee.jpg")
    assert page.run("return window.asked") == 2
    assert page.text("#problem") == ""


def test_a_server_that_stays_busy_is_left_alone(page: Page, samples: Path) -> None:
    page.keep_busy(9)
    page.give(samples / "coffee.jpg")
    page.wait(lambda: page.text("#problem").startswith("Too many requests"), "the page says so")
    assert page.run("return window.asked") == 2


def test_the_watch_sees_what_it_watches_for(page: Page) -> None:
    """Else it would prove nothing that other tests end without a request to another host."""
    from .page import foreign

    page.load()
    assert page.url + "api/version" in page.requests()
    asked = [page.url, f"blob:{page.url}1", "https://fonts.example/a.woff", "data:,"]
    assert foreign(asked, page.url) == ["https://fonts.example/a.woff"]
    page.run("console.error('a word')")
    assert "a word" in page.complaints()[0]
