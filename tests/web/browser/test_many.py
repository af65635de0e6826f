"""Many photos: a grid that fills while they are captioned, texts to correct, files to keep."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from regiontalk.model import Model

if TYPE_CHECKING:
    from .page import Page

NAMES = ("astronaut.jpg", "camera.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg")
STUB = """
const real = window.fetch;
window.most = window.now = 0;
window.fetch = async (path, options) => {
  if (path !== "/api/describe") return real(path, options);
  window.most = Math.max(window.most, ++window.now);
  await new Promise((done) => setTimeout(done, 5 + 20 * Math.random()));
  window.now--;
  const file = options.body.get("photo").name;
  const caption = { text: `a photo called ${file}`, log_prob: -1 };
  const answer = { file, width: 64, height: 48, caption, regions: [] };
  return new Response(JSON.stringify(answer), { headers: { "Content-Type": "application/json" } });
};
window.long = [];
const took = (each) => Math.round(each.duration);
new PerformanceObserver((list) => window.long.push(...list.getEntries().map(took)))
  .observe({ type: "longtask" });
"""


@pytest.fixture
def grid(page: Page, samples: Path) -> Page:
    """The page with all sample photos, captioned."""
    page.give(*(samples / name for name in NAMES))
    done(page, len(NAMES))
    return page


def done(page: Page, count: int, patience: float = 60.0) -> None:
    page.wait(
        lambda: page.text("#count").startswith(f"{count} of "),
        f"{count} photos are captioned",
        patience,
    )


def cards(page: Page) -> dict[str, Any]:
    return dict(zip(page.texts(".card-name"), page.all(".card"), strict=True))


def texts(page: Page) -> list[str]:
    found: list[str] = page.run(
        "return [...document.querySelectorAll('.card textarea')].map((each) => each.value)"
    )
    return found


def kept(page: Page, button: str, file: Path) -> bytes:
    """What a button downloads."""
    where = {"behavior": "allow", "downloadPath": str(file.parent)}
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    page.one(button).click()
    page.wait(file.is_file, f"{file.name} is there")
    return file.read_bytes()


def test_captions_come_side_by_side(grid: Page, samples: Path, model: Model) -> None:
    assert grid.texts(".card-name") == list(NAMES)
    assert texts(grid) == [model.describe(samples / name).caption.text for name in NAMES]
    assert grid.text("#count") == "5 of 5 captioned"
    assert not grid.one("#progress").is_displayed()
    assert not grid.one("#work").is_displayed()
    drawn = "return document.querySelectorAll('canvas[data-drawn]').length"
    grid.wait(lambda: grid.run(drawn) == len(NAMES), "the small pictures are there")


def test_a_photo_opens_and_the_arrows_go_on(grid: Page, model: Model, samples: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    grid.thumb("camera.jpg").click()
    caption = model.describe(samples / "camera.jpg").caption.text
    grid.wait(lambda: grid.text(".rt-caption") == caption, "the photo is open")
    assert grid.text("#place") == "2 of 5"
    grid.keys(Keys.ARROW_RIGHT)
    grid.wait(lambda: grid.text("#place") == "3 of 5", "the next one is open")
    grid.keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    grid.wait(lambda: grid.text("#place") == "1 of 5", "the first one is open")
    grid.keys(Keys.ARROW_LEFT)
    assert grid.text("#place") == "1 of 5"
    grid.one("#sentence").send_keys("a cat", Keys.ARROW_LEFT)
    assert grid.text("#place") == "1 of 5", "a field keeps its arrows"
    grid.one("#next").click()
    assert grid.text("#place") == "2 of 5"
    grid.browser.back()
    grid.wait(lambda: not grid.one("#work").is_displayed(), "Back leads to all photos")
    assert grid.one("#shelf").is_displayed()
    grid.browser.forward()
    grid.wait(lambda: grid.text(".rt-caption") == caption, "and forward to the photo")
    grid.one("#overview").click()
    assert not grid.one("#work").is_displayed()


def test_the_grid_by_keyboard(grid: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    def name() -> str | None:
        return grid.focused.get_attribute("aria-label")

    grid.run("document.querySelector('.thumb').focus()")
    grid.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert name() == "chelsea.jpg"
    grid.keys(Keys.END)
    assert name() == "rocket.jpg"
    grid.keys(Keys.HOME, Keys.ARROW_DOWN)
    across = grid.run(
        "const all = [...document.querySelectorAll('.card')];"
        "return all.filter((each) => each.offsetTop === all[0].offsetTop).length"
    )
    assert name() == NAMES[across % 5 if across < 5 else 0]
    grid.keys(Keys.HOME, Keys.ENTER)
    grid.one(".rt-caption")
    assert grid.text("#place") == "1 of 5"
    grid.keys(Keys.ARROW_RIGHT)
    assert name() == "camera.jpg"


def test_a_caption_is_corrected_in_place(grid: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    before = texts(grid)
    field = grid.one(".card textarea")
    field.clear()
    field.send_keys("a woman  in a space suit", Keys.ENTER)
    assert grid.focused.get_attribute("aria-label") == "Caption of camera.jpg"
    assert texts(grid) == ["a woman in a space suit", *before[1:]]
    grid.keys("x", Keys.ESCAPE)
    assert texts(grid)[1] == before[1]
    grid.thumb("astronaut.jpg").click()
    text = grid.one("#text")
    grid.wait(
        lambda: text.get_attribute("value") == "a woman in a space suit",
        "the open photo has the text",
    )
    grid.one("#original").click()
    assert text.get_attribute("value") == before[0]
    text.send_keys("!")
    grid.one("#overview").click()
    assert texts(grid)[0] == before[0] + "!"


def test_files_to_keep(grid: Page, model: Model, samples: Path, tmp_path: Path) -> None:
    field = grid.one(".card textarea")
    field.clear()
    field.send_keys("a \u201cwoman\u201d, smiling")
    expected = [model.describe(samples / name) for name in NAMES]
    said = ["a \u201cwoman\u201d, smiling", *(each.caption.text for each in expected[1:])]

    table = kept(grid, "#save-csv", tmp_path / "captions.csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [row["file"] for row in rows] == list(NAMES)
    assert [row["caption"] for row in rows] == said
    assert [row["regions"] for row in rows] == [
        "; ".join(c.text for c in each.region_captions) for each in expected
    ]
    assert (rows[0]["width"], rows[0]["height"]) == (
        str(expected[0].regions.width),
        str(expected[0].regions.height),
    )

    lines = [
        json.loads(line)
        for line in kept(grid, "#save-json", tmp_path / "captions.jsonl").splitlines()
    ]
    assert [line["file"] for line in lines] == list(NAMES)
    assert [line["caption"]["text"] for line in lines] == said
    assert lines[0]["caption"] == {"text": said[0]}
    assert [r["caption"]["text"] for r in lines[1]["regions"]] == [
        c.text for c in expected[1].region_captions
    ]

    with zipfile.ZipFile(io.BytesIO(kept(grid, "#save-xmp", tmp_path / "sidecars.zip"))) as packed:
        assert packed.namelist() == [f"{name}.xmp" for name in NAMES]
        assert all(
            text in packed.read(f"{name}.xmp").decode()
            for name, text in zip(NAMES[1:], said[1:], strict=True)
        )


def test_removing_and_clearing(grid: Page) -> None:
    buttons: Callable[[str], Any] = lambda name: next(  # noqa: E731
        each
        for each in grid.all(".card button")
        if each.get_attribute("aria-label") == f"Remove: {name}"
    )
    buttons("camera.jpg").click()
    assert grid.texts(".card-name") == [name for name in NAMES if name != "camera.jpg"]
    assert grid.text("#count") == "4 of 4 captioned"
    assert grid.focused.get_attribute("aria-label") == "chelsea.jpg"
    grid.one("#clear").click()
    assert grid.all(".card") == []
    assert not grid.one("#tools").is_displayed()


def test_a_photo_is_taken_once_and_names_differ(page: Page, samples: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), "red").save(tmp_path / "coffee.jpg")
    page.give(samples / "coffee.jpg", samples / "rocket.jpg")
    page.give(samples / "coffee.jpg", samples / "rocket.jpg")
    page.give(tmp_path / "coffee.jpg", samples / "rocket.jpg")
    done(page, 3)
    assert page.texts(".card-name") == ["coffee.jpg", "rocket.jpg", "coffee (2).jpg"]


def test_a_failed_photo_says_why_and_can_be_tried_again(
    page: Page, samples: Path, tmp_path: Path
) -> None:
    page.may_fail.append("/api/describe")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo at all")
    page.give(samples / "coffee.jpg", broken)
    page.wait(lambda: page.text("#count") == "1 of 2 captioned, 1 failed", "one failed")
    assert "broken.jpg" in page.texts(".card-note")[1]
    page.wait(lambda: "broken.jpg" in page.all(".card")[1].text, "its name stands for its picture")
    page.run("window.before = performance.getEntriesByType('resource').length")
    page.one("#retry").click()
    again = "return performance.getEntriesByType('resource').length > window.before"
    page.wait(lambda: page.run(again), "the server is asked again")
    page.wait(lambda: page.text("#count") == "1 of 2 captioned, 1 failed", "it fails again")
    page.thumb("broken.jpg").click()
    page.wait(lambda: "broken.jpg" in page.text("#problem"), "the problem is told")
    assert page.one("#again-failed").is_displayed()


def test_a_busy_server_is_waited_for(page: Page, samples: Path) -> None:
    page.keep_busy(3)
    page.give(samples / "coffee.jpg", samples / "rocket.jpg")
    page.wait(
        lambda: "It is asked again in 1 second" in page.text("#wait"), "the page says that it waits"
    )
    done(page, 2)
    assert page.run("return window.asked") == 5
    assert page.text("#wait") == ""


def test_two_hundred_photos(page: Page, tmp_path: Path) -> None:
    """With a server that answers at once, so that the page is what takes time."""
    files = []
    for number in range(200):
        files.append(tmp_path / f"{number:03}.png")
        Image.new("RGB", (640, 480), (number, 255 - number, 90)).save(files[-1], compress_level=1)
    page.run(STUB)
    page.give(*files)
    done(page, 200)
    assert page.run("return window.most") <= 4, "a few at a time"
    assert texts(page) == [f"a photo called {number:03}.png" for number in range(200)]
    assert len(page.all(".card")) == 200
    near = page.run("return document.querySelectorAll('canvas[data-drawn]').length")
    assert near < 200, "what is far from the screen is not drawn"


def test_a_chosen_folder_gives_its_photos(page: Page, tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.png", "a.png", ".hidden/3.png", "b/@eaDir/4.png"):
        file = tmp_path / "trip" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), "blue").save(file)
    (tmp_path / "trip" / "notes.txt").write_text("no photo")
    page.run(STUB)
    page.browser.find_element("css selector", "#folder").send_keys(str(tmp_path / "trip"))
    done(page, 3)
    assert page.run(
        "return [...document.querySelectorAll('.thumb')].map((each) => each.ariaLabel)"
    ) == [
        "trip/a.png",
        "trip/b/2.png",
        "trip/b/10.png",
    ]


def test_a_dropped_folder_gives_its_photos(page: Page, tmp_path: Path) -> None:
    (tmp_path / "trip" / "b").mkdir(parents=True)
    for name in ("b/2.png", "b/10.png", "a.png"):
        Image.new("RGB", (64, 48), "blue").save(tmp_path / "trip" / name)
    Image.new("RGB", (64, 48), "red").save(tmp_path / "alone.png")
    page.run(STUB)
    given = [str(tmp_path / "trip"), str(tmp_path / "alone.png")]
    data = {"items": [], "files": given, "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.browser.execute_cdp_cmd(
            "Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data}
        )
    done(page, 4)
    assert page.texts(".card-name") == ["a.png", "2.png", "10.png", "alone.png"]
    assert page.run("return document.querySelector('.thumb').ariaLabel") == "trip/a.png"


def test_texts_that_are_in_no_file_are_not_lost_by_a_click(grid: Page) -> None:
    from selenium.webdriver.common.alert import Alert

    grid.one(".card textarea").send_keys(" twice")
    for answer, left in ((Alert.dismiss, 5), (Alert.accept, 0)):
        grid.one("#clear").click()
        answer(grid.browser.switch_to.alert)
        assert len(grid.all(".card")) == left


def test_texts_that_are_in_a_file_may_go(grid: Page, tmp_path: Path) -> None:
    grid.one(".card textarea").send_keys(" twice")
    kept(grid, "#save-csv", tmp_path / "captions.csv")
    grid.wait(lambda: grid.one("#save-csv").is_enabled(), "it is done")
    grid.one(".card textarea").click()  # looking at a text does not change it
    grid.one("#clear").click()
    assert grid.all(".card") == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_in_the_grid(
    page: Page, axe: str, samples: Path, width: int, dark: bool
) -> None:
    page.look(width, 800, dark=dark, touch=width == 360)
    page.give(*(samples / name for name in NAMES[:2]))
    done(page, 2)
    assert page.violations(axe) == []
    assert page.run("return document.documentElement.scrollWidth") == width
    page.thumb("camera.jpg").click()
    page.one(".rt-caption")
    assert page.violations(axe) == []
