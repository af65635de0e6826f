"""A box of one's own: drawn on the photo, or moved by keys.

And a click finds the smallest region.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from regiontalk.model import Model

from .test_samples import HIDING

if TYPE_CHECKING:
    from .page import Page

SENTENCE = "a red cup on a table"


@pytest.fixture
def coffee(page: Page, samples: Path) -> Page:
    page.choose(samples / "coffee.jpg")
    return page


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draws over the photo; points in 0..1 of it."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    page.run("document.querySelector('#view .rt-frame').scrollIntoView({block: 'center'})")
    script = "const at = document.querySelector('#view .rt-frame').getBoundingClientRect();"
    x, y, width, height = page.run(f"{script} return [at.x, at.y, at.width, at.height]")
    actions: Any = ActionBuilder(page.browser, duration=20)
    actions.pointer_action.move_to_location(
        round(x + start[0] * width), round(y + start[1] * height)
    )
    actions.pointer_action.pointer_down()
    actions.pointer_action.move_to_location(
        round(x + (start[0] + end[0]) / 2 * width), round(y + end[1] * height)
    )
    actions.pointer_action.move_to_location(round(x + end[0] * width), round(y + end[1] * height))
    actions.pointer_action.pointer_up()
    actions.perform()


def answered(page: Page) -> str:
    page.wait(lambda: page.text("#box-answer > p").startswith("Your box: "), "the box is answered")
    return page.text("#box-answer > p").removeprefix("Your box: ")


def shares(page: Page) -> list[float]:
    """Where the box lies, in 0..1 of the photo."""
    script = (
        "const a = document.querySelector('#view .rt-frame').getBoundingClientRect();"
        "const b = document.querySelector('.own-box').getBoundingClientRect();"
        "return [(b.left - a.left) / a.width, (b.top - a.top) / a.height,"
        "(b.right - a.left) / a.width, (b.bottom - a.top) / a.height]"
    )
    found: list[float] = page.run(script)
    return found


def caption(model: Model, photo: Path, place: list[float]) -> str:
    (whole,) = model.look(photo)
    box = np.array([place], np.float32) * (whole.width, whole.height, whole.width, whole.height)
    (regions,) = model.look(photo, [box])
    return model.describe_regions([regions])[0].region_captions[0].text


def test_a_drawn_box_is_captioned(coffee: Page, samples: Path, model: Model) -> None:
    drag(coffee, (0.75, 0.75), (0.2, 0.1))
    said = answered(coffee)
    assert shares(coffee) == pytest.approx([0.2, 0.1, 0.75, 0.75], abs=0.01)
    assert said == caption(model, samples / "coffee.jpg", [0.2, 0.1, 0.75, 0.75])
    assert coffee.text(".own-box .rt-tag") == said
    assert coffee.all("[aria-pressed=true]") == [], "a drag pins nothing"
    coffee.align(SENTENCE)
    assert coffee.all(".own-box") == []
    assert coffee.text("#box-answer") == ""
    drag(coffee, (0.3, 0.3), (0.8, 0.9))
    answered(coffee)
    words = coffee.texts(".box-words span")
    assert [each.split()[0] for each in words] == SENTENCE.split()


def test_its_label_hides_none_of_the_regions(coffee: Page) -> None:
    hiding = HIDING.replace(
        '"#view .rt-box', '"#view .own-box:not(.rt-crowded) .rt-tag, #view .rt-box'
    )
    for place in ((0.05, 0.05, 0.6, 0.6), (0.3, 0.2, 0.9, 0.8)):
        drag(coffee, place[:2], place[2:])
        answered(coffee)
        assert coffee.run(hiding)[1:] == [[], []]


def test_a_click_is_no_box(coffee: Page) -> None:
    drag(coffee, (0.02, 0.02), (0.02, 0.02))
    assert coffee.all(".own-box") == []
    coffee.all(".rt-box")[-1].click()
    assert len(coffee.all(".rt-box[aria-pressed=true]")) == 1


def test_a_click_finds_the_smallest_region(coffee: Page) -> None:
    """Also one that is not drawn, where no other is."""
    coffee.run(
        "for (const box of document.querySelectorAll('.rt-box')) box.classList.add('rt-quiet')"
    )
    drag(coffee, (0.5, 0.5), (0.5, 0.5))
    script = (
        "const at = document.querySelector('#view .rt-frame').getBoundingClientRect();const [x, "
        "y] = [at.x + at.width / 2, at.y + at.height / 2];return "
        "[...document.querySelectorAll('.rt-box')].map((each) => "
        "[each.dataset.region,each.getBoundingClientRect()]).filter(([, b]) => b.left <= x && x "
        "<= b.right && b.top <= y && y <= b.bottom).map(([region, b]) => [b.width * b.height, "
        "region]).sort((a, b) => a[0] - b[0])[0][1]"
    )
    assert coffee.lit(".rt-box") == [coffee.run(script)]


def test_a_box_by_keyboard(coffee: Page, samples: Path, model: Model) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    coffee.run("document.getElementById('draw').focus()")
    coffee.keys(Keys.ENTER)
    assert "own-box" in str(coffee.focused.get_attribute("class"))
    coffee.keys(*[Keys.ARROW_LEFT] * 5, *[Keys.ARROW_DOWN] * 3)
    chain = ActionChains(coffee.browser, duration=0).key_down(Keys.SHIFT)
    chain.send_keys(*[Keys.ARROW_RIGHT] * 10).key_up(Keys.SHIFT).perform()
    assert shares(coffee) == pytest.approx([0.2, 0.36, 0.8, 0.76], abs=0.005)
    coffee.keys(Keys.ENTER)
    assert answered(coffee) == caption(model, samples / "coffee.jpg", [0.2, 0.36, 0.8, 0.76])
    coffee.keys(Keys.ESCAPE)
    assert coffee.all(".own-box") == []
    assert coffee.focused.get_attribute("id") == "draw"


def test_a_finger_scrolls_unless_it_is_to_draw(coffee: Page) -> None:
    coffee.look(360, 740, touch=True)
    touch = "return getComputedStyle(document.querySelector('#view .rt-frame')).touchAction"
    assert coffee.run(touch) == "auto"
    coffee.one("#draw").click()
    assert coffee.run(touch) == "none"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(coffee: Page, axe: str, dark: bool) -> None:
    coffee.look(1280, 900, dark=dark)
    coffee.align(SENTENCE)
    drag(coffee, (0.3, 0.3), (0.8, 0.9))
    answered(coffee)
    coffee.leave()  # words are dim while the mouse lights a box
    assert coffee.violations(axe) == []
    coffee.picture("page_box")


def frame(page: Page) -> dict[str, float]:
    found: dict[str, float] = page.run(
        "return document.querySelector('#view .rt-frame').getBoundingClientRect()"
    )
    return found


def test_zoom(coffee: Page, samples: Path, model: Model, axe: str) -> None:
    before = frame(coffee)
    boxes = (
        "const photo = document.querySelector('#view .rt-image').getBoundingClientRect();return "
        "[...document.querySelectorAll('#view .rt-box')].map((box) => { const at = "
        "box.getBoundingClientRect();return [(at.left - photo.left) / photo.width, (at.bottom - "
        "photo.top) / photo.height]; }).flat()"
    )
    places = coffee.run(boxes)
    assert not coffee.one("#zoom-out").is_enabled()
    coffee.one("#zoom-in").click()
    coffee.one("#zoom-in").click()
    assert frame(coffee)["width"] == pytest.approx(2.25 * before["width"], rel=0.01)
    assert coffee.run(boxes) == pytest.approx(places, abs=0.01)
    pane = coffee.run("return document.querySelector('.zoom-pane').getBoundingClientRect()")
    assert pane["width"] == pytest.approx(before["width"], abs=1)
    assert pane["height"] == pytest.approx(before["height"], abs=1)
    assert coffee.run("return document.documentElement.scrollWidth") == 1280
    assert coffee.violations(axe) == []
    coffee.one("#zoom-out").click()
    coffee.one("#zoom-out").click()
    assert frame(coffee)["width"] == pytest.approx(before["width"], abs=1)
    assert coffee.all(".zoom-pane") == []


def test_the_wheel_zooms_where_it_points(coffee: Page) -> None:
    script = (
        "const frame = document.querySelector('#view .rt-frame'); let at = "
        "frame.getBoundingClientRect();const [x, y] = [at.left + 0.75 * at.width, at.top + 0.25 * "
        "at.height];const wheel = new WheelEvent('wheel', { deltaY: -200, ctrlKey: true, clientX: "
        "x, clientY: y, bubbles: true, cancelable: true }); frame.dispatchEvent(wheel); at = "
        "frame.getBoundingClientRect();return [wheel.defaultPrevented, (x - at.left) / at.width, "
        "(y - at.top) / at.height]"
    )
    assert coffee.run(script) == [
        True,
        pytest.approx(0.75, abs=0.01),
        pytest.approx(0.25, abs=0.01),
    ]
    coffee.align(SENTENCE)
    assert coffee.all(".zoom-pane") == []
    assert not coffee.one("#zoom-out").is_enabled()
