"""Two hundred photos from a folder to files and back, by keyboard, while the page stays quick.

REGIONTALK_PHOTOS=FOLDER REGIONTALK_SCREENSHOTS=shots pytest tests/web/browser/test_two_hundred.py
has the pack describe the first 200 photos of a folder, and writes what was measured into
shots/responsiveness-*.json. Without it the server answers at once, so that the page is what takes
time.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from .test_many import STUB, done, kept, texts

if TYPE_CHECKING:
    from .page import Page

PHOTOS = 200
REAL = os.environ.get("REGIONTALK_PHOTOS")
MEASURE = """
window.late = [];
const delay = ({ processingStart, startTime }) => processingStart - startTime;
new PerformanceObserver((list) => window.late.push(...list.getEntries().map(delay)))
  .observe({ type: "event", durationThreshold: 16 });
window.stalls = [];
const took = (each) => each.duration;
new PerformanceObserver((list) => window.stalls.push(...list.getEntries().map(took)))
  .observe({ type: "longtask" });
window.typed = 0;
document.addEventListener("keydown", () => window.typed++);
"""
"""Event Timing tells of events that took 16 ms or more until the next frame; all others came
sooner."""
WAIT = "await new Promise((done) => setTimeout(done, 5 + 20 * Math.random()));"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of photos."""
    made = tmp_path / "trip"
    made.mkdir()
    if REAL:
        for file in sorted(Path(REAL).glob("*.jpg"))[:PHOTOS]:
            shutil.copy(file, made)
    else:
        for number in range(PHOTOS):
            Image.new("RGB", (640, 480), (number, 255 - number, 90)).save(made / f"{number:03}.jpg")
    return made


def choose_folder(page: Page, folder: Path) -> None:
    if not REAL:
        page.run(STUB)
    page.run(MEASURE)
    page.browser.find_element("css selector", "#folder").send_keys(str(folder))


def type_until_all_are_captioned(page: Page) -> dict[str, Any]:
    """Types into a caption; how long keys waited, in milliseconds."""
    page.one(".card-text:enabled")
    page.run("document.querySelector('.card-text:enabled').focus()")
    while not page.text("#count").startswith(f"{PHOTOS} of "):
        page.keys("x")
    late, stalls, typed = page.run("return [window.late, window.stalls, window.typed]")
    return {
        "keys": typed,
        "keys that took 16 ms or more": len(late),
        "longest input delay, ms": max(late, default=0),
        "longest task, ms": max(stalls, default=0),
    }


def correct(page: Page, number: int, text: str) -> None:
    """Writes a caption of one's own, by keys."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.run("document.querySelectorAll('.card-text')[arguments[0]].focus()", number)
    chain = (
        ActionChains(page.browser, duration=0)
        .key_down(Keys.CONTROL)
        .send_keys("a")
        .key_up(Keys.CONTROL)
    )
    chain.send_keys(Keys.DELETE, text, Keys.ENTER).perform()


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (360, True)], ids=["desktop-light", "phone-dark"]
)
def test_from_a_folder_to_files_and_back(
    page: Page, axe: str, folder: Path, width: int, dark: bool
) -> None:
    page.look(width, 800, dark=dark, touch=width == 360)
    choose_folder(page, folder)
    measured = type_until_all_are_captioned(page)
    assert measured["keys"] > 0
    page.artefacts.mkdir(parents=True, exist_ok=True)
    (page.artefacts / f"responsiveness-{width}.json").write_text(json.dumps(measured))
    assert len(page.all(".card")) == PHOTOS

    correct(page, 0, "a “first” one; mine, =1")
    correct(page, 7, "")
    correct(page, PHOTOS - 1, "the last one")
    expected = texts(page)
    assert (expected[0], expected[7], expected[-1]) == (
        "a “first” one; mine, =1",
        "",
        "the last one",
    )
    assert page.violations(axe) == []
    assert page.run("return document.documentElement.scrollWidth") == width
    table, lines = (folder.parent / name for name in ("captions.csv", "captions.jsonl"))
    kept(page, "#save-csv", table)
    kept(page, "#save-json", lines)

    for file in (table, lines):
        page.load()
        choose_folder(page, folder)
        done(page, PHOTOS, patience=600)
        assert texts(page) != expected
        give_texts(page, file)
        page.wait(
            lambda name=file.name: name in page.text("#skipped"), "the page says what it took"
        )
        assert page.text("#skipped") == f"{file.name}: 200 captions taken."
        assert texts(page) == expected
        assert len(page.all(".card.edited")) == 3, "what was not corrected is as it was captioned"
    page.one("#clear").click()  # nothing is lost, so nothing is asked
    assert page.all(".card") == []


def give_texts(page: Page, file: Path) -> None:
    """Chooses a file of captions."""
    page.browser.find_element("css selector", "#texts").send_keys(str(file))


def test_all_tools_are_reached_by_keyboard(page: Page, samples: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page.give(samples / "coffee.jpg", samples / "rocket.jpg")
    done(page, 2)
    page.run("document.getElementById('folder').focus()")
    reached, outlines = [], []
    while "Remove: rocket.jpg" not in reached:
        page.keys(Keys.TAB)
        focused = (
            "const e = document.activeElement; return [e.id || e.ariaLabel, "
            "getComputedStyle(e).outlineStyle]"
        )
        name, outline = page.run(focused)
        reached.append(name)
        # It is its label that shows the focus
        outlines.append(outline if name != "texts" else "solid")
        assert len(reached) < 30
    card = ["coffee.jpg", "Caption of coffee.jpg", "Copy: coffee.jpg", "Remove: coffee.jpg"]
    assert reached[:9] == ["save-csv", "save-json", "save-xmp", "texts", "clear", *card]
    assert "none" not in outlines


def test_captions_appear_as_they_come(page: Page, samples: Path) -> None:
    """The first photo takes long: the others do not wait for it, and the page counts them."""
    held = (
        'if (options.body.get("photo").name === "astronaut.jpg") await new Promise((go) => '
        "(window.release = go));"
    )
    page.run(STUB.replace(WAIT, held))
    page.give(*(samples / name for name in ("astronaut.jpg", "coffee.jpg", "rocket.jpg")))
    done(page, 2)
    assert texts(page) == ["", "a photo called coffee.jpg", "a photo called rocket.jpg"]
    bar = "const p = document.querySelector('#progress'); return [p.hidden, p.value, p.max]"
    assert page.run(bar) == [False, 2, 3]
    page.run("window.release()")
    done(page, 3)
    assert texts(page)[0] == "a photo called astronaut.jpg"
    assert page.run(bar)[0] is True


def test_one_caption_is_copied(page: Page, samples: Path) -> None:
    page.run(STUB)
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.give(samples / "coffee.jpg", samples / "rocket.jpg")
    done(page, 2)
    page.one('[aria-label="Copy: rocket.jpg"]').click()
    page.wait(
        lambda: page.run("return window.copied") == "a photo called rocket.jpg",
        "the caption is copied",
    )
    assert page.text('[aria-label="Copy: rocket.jpg"]') == "Copied"
    correct(page, 0, "my own")
    page.thumb("coffee.jpg").click()
    page.one("#copy").click()
    page.wait(
        lambda: page.run("return window.copied") == "my own",
        "an open photo's too, as it was corrected",
    )


def test_a_caption_that_no_region_shows_says_so(page: Page, samples: Path) -> None:
    unsure = STUB.replace(
        "log_prob: -1 }", 'log_prob: -1, sure: file === "coffee.jpg" ? 0.31 : 0.8 }'
    )
    page.run(unsure)
    page.give(samples / "coffee.jpg", samples / "rocket.jpg")
    done(page, 2)
    said = "unsure (31 %): it may name what is not there"
    assert page.texts(".card-note") == [said, ""]
    correct(page, 0, "a cup")
    assert page.texts(".card-note") == ["", ""], "a text of one's own is sure"
    page.thumb("coffee.jpg").click()
    page.wait(
        lambda: said in page.texts("#view .rt-note"),
        "the open photo says so of the caption as it came",
    )
    page.one("#next").click()
    page.wait(
        lambda: "80 % sure" in page.texts("#view .rt-note"), "one that is shown has its share"
    )


def test_captions_may_come_before_their_photos(page: Page, samples: Path, tmp_path: Path) -> None:
    """Also from a table that a spreadsheet saved its own way.

    A dropped or pasted file of captions is no photo.
    """
    page.run(STUB)
    page.give(samples / "coffee.jpg")
    done(page, 1)
    table = tmp_path / "alt.csv"
    rows = '"a ""red""\r\n cup";1;./coffee.jpg\r\na rocket;2;rocket.jpg'
    table.write_bytes(f"\ufeffcaption;mine;file\r\n{rows}".encode())
    give_texts(page, table)
    said = "alt.csv: 1 caption taken, 1 caption of photos that are not here."
    page.wait(lambda: page.text("#skipped") == said, "the page says what it took")
    assert texts(page) == ['a "red" cup']
    page.give(samples / "rocket.jpg", samples / "camera.jpg")
    done(page, 3)
    assert texts(page) == ['a "red" cup', "a rocket", "a photo called camera.jpg"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "image,caption\na.jpg,x\n", "expected a table with the columns file and caption"),
        ("a.csv", 'file,caption\n"a.jpg" x,y\n', "row 2 is no CSV"),
        ("a.csv", "", "expected a table"),
        (
            "a.jsonl",
            '{"file": "a.jpg", "caption": {"text": "x"}}\n{"file": 1}\n',
            "line 2: expected",
        ),
        ("a.jsonl", "{\n", "line 1: expected"),
    ],
)
def test_what_holds_no_captions_is_told(
    page: Page, samples: Path, tmp_path: Path, name: str, text: str, said: str
) -> None:
    page.run(STUB)
    page.give(samples / "coffee.jpg")
    done(page, 1)
    (tmp_path / name).write_text(text)
    give_texts(page, tmp_path / name)
    page.wait(
        lambda: page.text("#skipped").startswith(f"{name}: {said}"), "the page says what is wrong"
    )
    assert texts(page) == ["a photo called coffee.jpg"]
