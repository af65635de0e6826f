"""A report in a browser, from a file.

Its figures become views, nothing is asked of anybody, nothing complains.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regiontalk.cli import main
from regiontalk.report.page import embedded_json

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from .page import Page

SENTENCES = {
    "astronaut.jpg": "an astronaut in an orange suit in front of a flag",
    "coffee.jpg": "a red cup of coffee on a wooden table",
}


def asked(browser: Chrome) -> set[str]:
    """The addresses that were asked since the last call.

    Not those that the page's own policy kept from being asked.
    """
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    events = [(each["method"], each["params"]) for each in messages]
    kept = {
        said["requestId"]
        for name, said in events
        if name == "Network.loadingFailed" and said.get("blockedReason") == "csp"
    }
    sent = [
        said
        for name, said in events
        if name == "Network.requestWillBeSent" and said["requestId"] not in kept
    ]
    return {
        each["request"]["url"]
        for each in sent
        if not each["request"]["url"].startswith(("data:", "blob:"))
    }


@pytest.fixture(scope="module")
def written(browser: Chrome, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two samples with a sentence each."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "sentences.txt").write_text("\n".join(SENTENCES.values()))
    photos = [str(samples / name) for name in SENTENCES]
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "report",
                *photos,
                "--sentences",
                str(folder / "sentences.txt"),
                "-o",
                str(folder / "report.html"),
            ]
        )
    assert ended.value.code == 0
    return folder / "report.html"


def all_views(report: Page) -> None:
    """All four figures as views: each is scrolled to, and waited for."""
    for place in range(4):
        report.run("document.querySelectorAll('[data-view]')[arguments[0]].scrollIntoView()", place)
        report.wait(
            lambda n=place: report.all("[data-view]")[n].find_elements("css selector", ".rt-view"),
            "a view",
        )


@pytest.fixture
def report(browser: Chrome, written: Path, tmp_path: Path) -> Iterator[Page]:
    """The report, opened from its file.

    After each test: no word in the console, no request but for the file.
    """
    from .page import Page

    page = Page(
        browser, written.as_uri(), Path(os.environ.get("REGIONTALK_SCREENSHOTS") or tmp_path)
    )
    page.complaints(), page.foreign_requests()  # what earlier tests left
    page.look(1280, 900)
    browser.get(page.url)
    page.one(".rt-view")
    yield page
    assert page.complaints() == []
    assert asked(browser) <= {page.url}


def test_figures_become_views_as_they_come_near(report: Page) -> None:
    all_views(report)
    assert report.all("[data-view] > figure") == []
    assert report.texts("h2")[0].startswith("astronaut.jpg")
    for place, sentence in enumerate(SENTENCES.values()):
        group = report.all(".rt-alignment .rt-words")[place]
        words = report.run(
            "return [...arguments[0].querySelectorAll('.rt-word > span:first-child')].map((e) => "
            "e.textContent)",
            group,
        )
        assert words == sentence.split()
    loaded = (
        "return [...document.images].every((image) => image.complete && image.naturalWidth > 0)"
    )
    report.wait(lambda: report.run(loaded), "all photos are there")
    report.picture("report")


def test_words_light_their_box_and_boxes_their_words(report: Page) -> None:
    word = report.one(".rt-alignment .rt-word:not(.rt-weak)")
    report.hover(word)
    region = word.get_attribute("data-region")
    assert set(report.lit(".rt-alignment .rt-box")) == {region}
    report.hover(report.one("h1"))
    assert report.lit(".rt-box") == []
    box = report.one(f".rt-alignment .rt-box[data-region='{region}']")
    report.run("arguments[0].focus()", box)
    assert set(report.lit(".rt-alignment .rt-word")) == {region}


def test_the_slider_makes_one_phrase_of_the_sentence(report: Page) -> None:
    all_views(report)
    aligned = report.one("#photo-2 .rt-alignment")
    assert len(aligned.find_elements("css selector", ".rt-word.rt-start")) > 1
    report.run(
        "const slider = arguments[0].querySelector('.rt-slider'); slider.value = slider.max;"
        "slider.dispatchEvent(new Event('input'))",
        aligned,
    )
    assert len(aligned.find_elements("css selector", ".rt-word.rt-start")) == 1


def test_filters_leave_photos_by_their_words(report: Page) -> None:
    shown = (
        "return [...document.querySelectorAll('article.photo:not([hidden])')].map((each) => "
        "each.id)"
    )
    field = report.one(".filters input")
    assert report.run(shown) == ["photo-1", "photo-2"]
    field.send_keys("ＣＯＦＦＥＥ table")
    assert report.run(shown) == ["photo-2"], "its sentence has both words"
    assert report.text(".filters [role=status]") == "1 of 2 photos"
    report.wait(lambda: len(report.all("#photo-2 .rt-view")) == 2, "what came near is a view")
    field.clear()
    field.send_keys("astronaut.jpg")
    assert report.run(shown) == ["photo-1"], "its name"
    field.clear()
    field.send_keys("no such words")
    assert report.run(shown) == []
    field.clear()
    assert report.run(shown) == ["photo-1", "photo-2"]
    assert report.text(".filters [role=status]") == ""


def test_filters_leave_photos_by_their_kind(report: Page, tmp_path: Path) -> None:
    """Unsure captions, and sentences of which something was not found."""
    html = Path(report.url.removeprefix("file://")).read_text()
    (data,) = re.findall(
        r'<script type="application/json" id="report-data">(.*?)</script>', html, re.DOTALL
    )
    views = json.loads(data)
    for view, sure, found in zip(views[1::2], (0.3, 0.9), (True, False), strict=True):
        view["data"]["caption"]["sure"] = sure
        for phrase in views[views.index(view) - 1]["data"]["phrases"]:
            phrase |= {"sure": 0.9 if found else 0.1, "found": found}
    (tmp_path / "r.html").write_text(html.replace(data, embedded_json(views)))
    assert asked(report.browser) == {report.url}
    report.url = (tmp_path / "r.html").as_uri()
    report.browser.get(report.url)
    kinds = ["All photos", "Unsure captions", "Sentences not wholly found"]
    assert report.texts(".filters option") == kinds
    for kind, shown in zip(kinds, (["1", "2"], ["1"], ["2"]), strict=True):
        next(each for each in report.all(".filters option") if each.text == kind).click()
        script = (
            "return [...document.querySelectorAll('article.photo:not([hidden])')].map((each) => "
            "each.id)"
        )
        assert report.run(script) == [f"photo-{number}" for number in shown]


def test_captions_are_copied(report: Page) -> None:
    report.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    caption = report.run(
        "return JSON.parse(document.getElementById('report-data').textContent)[3].data.caption.text"
    )
    button = report.one("#photo-2 .copy")
    assert button.get_attribute("aria-label") == "Copy caption of coffee.jpg"
    report.run("arguments[0].focus()", button)
    report.keys("\n")
    report.wait(lambda: report.run("return window.copied") == caption, "the caption is copied")
    assert button.text == "Copied"


def test_it_stands_in_the_middle_of_a_wide_window(report: Page) -> None:
    report.look(2200, 900)
    sides = report.run(
        "const at = document.querySelector('main').getBoundingClientRect();"
        "return [at.left, document.documentElement.clientWidth - at.right];"
    )
    assert abs(sides[0] - sides[1]) < 2
    assert sides[0] > 200


@pytest.mark.parametrize(("width", "dark"), [(375, False), (375, True), (1280, True)])
def test_it_fits_phones_and_dark_rooms(report: Page, width: int, dark: bool) -> None:
    report.look(width, 800, dark=dark, touch=width < 500)
    assert report.run("return document.documentElement.scrollWidth") <= width
    paper = report.run("return getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in paper.removeprefix("rgb(").rstrip(")").split(",")) > 3 * 128
    assert light != dark
    report.picture(f"report-{width}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(report: Page, axe: str, dark: bool) -> None:
    report.look(1280, 900, dark=dark)
    all_views(report)
    assert report.violations(axe) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_in_an_evaluation(
    report: Page,
    samples: Path,
    axe: str,
    dark: bool,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "captioned"
    shutil.copytree(samples, folder, ignore=shutil.ignore_patterns("*.md"))
    (folder / "captions.csv").write_text(
        "image,caption\n" + "".join(f"{name},{s}\n" for name, s in SENTENCES.items())
    )
    size = {"width": 512, "height": 512, "boxes_xyxy": [[100, 50, 400, 500]], "labels": ["person"]}
    boxes = tmp_path / "boxed"
    (boxes / "images").mkdir(parents=True)
    shutil.copy(samples / "astronaut.jpg", boxes / "images")
    (boxes / "boxes.jsonl").write_text(json.dumps({"file_name": "astronaut.jpg", **size}))
    out = tmp_path / "evaluation.html"
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "report",
                "--evaluation",
                str(folder),
                "--split",
                "all",
                "--boxes",
                str(boxes),
                "-o",
                str(out),
            ]
        )
    assert ended.value.code == 0
    assert asked(report.browser) == {report.url}
    report.url = out.as_uri()
    report.look(1280, 900, dark=dark)
    report.browser.get(report.url)
    report.one(".curve")
    assert report.violations(axe) == []
    report.picture(f"evaluation-{'dark' if dark else 'light'}")


def test_it_can_be_read_without_scripts(report: Page) -> None:
    report.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        report.browser.get(report.url)
        assert len(report.all("[data-view] > figure")) == 4
        assert len(report.all("article svg")) == 4
        assert report.all(".rt-view") == []
        report.picture("report-without-scripts")
    finally:
        report.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_script_that_got_in_would_not_run(report: Page, tmp_path: Path) -> None:
    """The policy holds: even markup that were not escaped could neither run nor load anything."""
    html = Path(report.url.removeprefix("file://")).read_text()
    evil = "<img src='https://elsewhere.invalid/a.png'><script>document.title = 'bad'</script>"
    (tmp_path / "evil.html").write_text(html.replace("<main>", f"<main>{evil}"))
    assert asked(report.browser) == {report.url}
    report.url = (tmp_path / "evil.html").as_uri()
    report.browser.get(report.url)
    report.one(".rt-view")
    assert report.browser.title != "bad"
    said = report.complaints()
    assert len(said) == 2
    assert all("Content Security Policy" in each for each in said)
