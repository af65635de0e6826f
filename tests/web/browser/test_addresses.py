"""What the page shows has an address: a search, a photo of the index.

And all results come by scrolling.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from PIL import Image

from regiontalk.model import Model

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from .page import Page

PHOTOS = 60


def files(page: Page) -> list[str]:
    return page.texts("#results .rt-file")


def at(page: Page) -> str:
    return urlsplit(page.browser.current_url).fragment


def go(page: Page, fragment: str) -> None:
    """Opens a link in a new page."""
    page.browser.get("about:blank")
    page.browser.get(f"{page.url}#{fragment}")
    page.leave()
    page.wait(lambda: page.text("#about"), "the page says what serves it")


def test_a_search_has_an_address(page: Page) -> None:
    page.search("a cat")
    found = files(page)
    assert at(page) == "/search?q=a+cat"
    page.one("#query").send_keys(" & a dog")
    page.wait(lambda: "“a cat & a dog”" in page.text("#found"), "the second answer is there")
    link = at(page)
    page.browser.back()
    page.wait(lambda: at(page) == "", "one search takes the place of another one in the history")
    go(page, "/search?q=a+cat")
    page.wait(lambda: files(page) == found, "the link shows the same photos")
    go(page, link)
    page.wait(lambda: "“a cat & a dog”" in page.text("#found"), "a link holds any sentence")


def test_back_clears_a_search_and_forward_restores_it(page: Page) -> None:
    page.search("a cat")
    found = files(page)
    page.browser.back()
    page.wait(lambda: not files(page), "no photo is shown")
    assert (page.one("#query").get_attribute("value"), page.text("#found")) == ("", "")
    assert not page.one("#copy-search").is_displayed()
    page.browser.forward()
    page.wait(lambda: files(page) == found, "they are shown again")
    assert page.one("#query").get_attribute("value") == "a cat"


def test_photos_like_one_of_the_index_have_an_address(page: Page) -> None:
    page.search("a cat")
    found = files(page)
    page.all("#results .actions button")[1].click()
    page.wait(
        lambda: page.text("#found").endswith(f"like {found[0]}"), "the photos like it are there"
    )
    link, like = at(page), files(page)
    assert link.startswith("/search?like=")
    page.browser.back()
    page.wait(
        lambda: "“a cat”" in page.text("#found") and files(page) == found,
        "Back leads to the search before",
    )
    go(page, link)
    page.wait(lambda: files(page) == like, "the link shows the same photos")
    assert page.text("#found").endswith(f"like {found[0]}")


def test_links_are_copied(page: Page, samples: Path) -> None:
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.search("a cat")
    page.one("#copy-search").click()
    page.wait(
        lambda: page.run("return window.copied") == f"{page.url}#/search?q=a+cat",
        "the search's link is copied",
    )
    page.one("#results .actions button").click()
    page.one(".rt-caption")
    page.one("#copy-link").click()
    page.wait(
        lambda: page.run("return window.copied") == page.browser.current_url,
        "the photo's link is copied",
    )
    page.choose(samples / "coffee.jpg")
    page.wait(
        lambda: not page.one("#copy-link").is_displayed(),
        "a chosen photo has no address that lasts",
    )


def test_a_photo_of_the_index_has_an_address(page: Page) -> None:
    page.search("a cat")
    name = files(page)[0]
    page.one("#results .actions button").click()
    caption = page.one(".rt-caption").text
    link = at(page)
    assert link.startswith("/photo/")
    assert page.one(".thumb").get_attribute("aria-label") == name
    page.browser.back()
    page.wait(lambda: not page.one("#work").is_displayed(), "Back leads to the search")
    assert (at(page), files(page)[0]) == ("/search?q=a+cat", name)
    page.browser.forward()
    page.wait(lambda: page.text(".rt-caption") == caption, "forward opens the photo")
    go(page, link)
    page.wait(lambda: page.text(".rt-caption") == caption, "the link opens it too")


@pytest.mark.parametrize(
    "fragment", ["/photo/7-000000000000", "/photo/", "/photo/..%2f..", "/photo/%"]
)
def test_an_address_of_no_photo_says_so(page: Page, fragment: str) -> None:
    page.may_fail.append("/api/photo/")
    go(page, fragment)
    page.wait(lambda: page.text("#problem"), "the page says so")
    assert not page.one("#work").is_displayed()
    page.search("a cat")


def test_an_unknown_address_is_the_start(page: Page) -> None:
    go(page, "/mine/7?x=<b>")
    assert page.one("#drop").is_displayed()
    assert not page.one("#work").is_displayed()


@pytest.fixture(scope="module")
def many(browser: Chrome, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an index of many photos."""
    from regiontalk.cli import main

    from .conftest import serving

    folder = tmp_path_factory.mktemp("many")
    for number in range(PHOTOS):
        file = folder / ("even" if number % 2 == 0 else "odd") / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True)
        exif = Image.Exif()
        exif[0x0132] = f"20{number:02}:01:01 12:00:00"
        Image.new("RGB", (64, 48), (4 * number, 250 - 4 * number, 99)).save(file, exif=exif)
    with pytest.raises(SystemExit) as ended:
        main(["index", "add", str(folder), "--index", str(folder / "photos.index")])
    assert not ended.value.code
    yield from serving(model, folder / "photos.index")


@pytest.fixture
def many_page(
    browser: Chrome, many: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Page]:
    from .conftest import watched

    yield from watched(browser, many, request, tmp_path)


def test_all_results_come_by_scrolling(many_page: Page) -> None:
    page = many_page
    page.one("#query").send_keys("a red wall")
    page.wait(lambda: files(page), "photos are there")
    assert page.text("#found").startswith(f"{PHOTOS} photos for “a red wall”")
    first = len(files(page))
    assert first < PHOTOS

    def scrolled() -> bool:
        page.run("window.scrollTo(0, document.body.scrollHeight)")
        return len(files(page)) == PHOTOS

    page.wait(scrolled, "all photos are there")
    assert len(set(files(page))) == PHOTOS
    assert not page.one("#more").is_displayed()


def test_filters(many_page: Page) -> None:
    page = many_page
    page.one("#query").send_keys("a red wall")
    page.wait(lambda: page.text("#found").startswith("60 photos"), "photos are there")
    page.one("#filters summary").click()
    page.run(
        "for (const [id, value] of Object.entries(arguments[0])) {const field = "
        "document.getElementById(id); field.value = value; field.dispatchEvent(new "
        "Event('change')); }",
        {"in-path": "/odd/", "taken-from": "2050-01-01", "taken-to": "2055-01-01"},
    )
    page.wait(lambda: page.text("#found").startswith("3 photos"), "those that fit are there")
    assert sorted(files(page)) == ["51.jpg", "53.jpg", "55.jpg"]
    link = at(page)
    go(page, link)
    page.wait(
        lambda: sorted(files(page)) == ["51.jpg", "53.jpg", "55.jpg"], "the link holds the filters"
    )
    assert page.one("#in-path").get_attribute("value") == "/odd/"
    page.wait(
        lambda: page.texts("#in-folder option") == ["All folders", "even (30)", "odd (30)"],
        "folders are listed",
    )
    page.run(
        "const field = document.getElementById('in-folder'); field.selectedIndex = 1;"
        "field.dispatchEvent(new Event('change'))"
    )
    page.wait(
        lambda: page.text("#found") == "No photo fits the filters.", "no photo is in both folders"
    )
    page.one("#in-path").clear()
    page.keys("\n")
    page.wait(
        lambda: sorted(files(page)) == ["50.jpg", "52.jpg", "54.jpg"],
        "those of the folder are there",
    )
    go(page, at(page))
    page.wait(
        lambda: sorted(files(page)) == ["50.jpg", "52.jpg", "54.jpg"], "the link holds the folder"
    )
    page.wait(
        lambda: (
            page.run("return document.getElementById('in-folder').selectedOptions[0].text")
            == "even (30)"
        ),
        "and names it",
    )
    page.one("#in-path").send_keys("nothing")
    page.keys("\n")
    page.one("#query").click()
    page.wait(lambda: page.text("#found") == "No photo fits the filters.", "none is there")


@pytest.mark.parametrize(
    ("width", "dark"), [(360, True), (1280, False)], ids=["phone-dark", "desktop-light"]
)
def test_axe_finds_nothing_in_the_filters(
    many_page: Page, axe: str, width: int, dark: bool
) -> None:
    many_page.look(width, 800, dark=dark, touch=width == 360)
    many_page.one("#query").send_keys("a red wall")
    many_page.wait(lambda: files(many_page), "photos are there")
    many_page.one("#filters summary").click()
    many_page.wait(lambda: len(many_page.texts("#in-folder option")) == 3, "folders are listed")
    assert many_page.violations(axe) == []
    assert many_page.run("return document.documentElement.scrollWidth") == width
