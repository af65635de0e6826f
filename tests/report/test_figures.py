"""Figures that need no script: what is in them, and that texts stay texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import regiontalk
from regiontalk.drawing import PALETTE
from regiontalk.report import figures
from regiontalk.report.figures import (
    Mark,
    Picture,
    alignment_figure,
    badge,
    css,
    description_figure,
    html_of,
    picture,
    regions_figure,
)

from .made import HOSTILE, Reader, alignment, assert_harmless, description, photo, regions

FIRST, SECOND = css(PALETTE[0]), css(PALETTE[1])
IMAGE = Picture("data:image/jpeg;base64,AAAA", "photo-1-image")


def frames(page: Reader) -> list[tuple[str, ...]]:
    """The coloured boxes: colour, left, top, width, height."""
    coloured = [each for each in page.all("rect") if each.get("stroke") not in (None, "#000")]
    return [
        tuple(each[name] for name in ("stroke", "x", "y", "width", "height")) for each in coloured
    ]


def test_a_description_has_its_regions_the_surest_first() -> None:
    page = assert_harmless(description_figure(description(), IMAGE))
    assert page.all("svg")[0]["viewBox".lower()] == "0 0 120 80"
    assert page.all("image") == [
        {
            "id": IMAGE.name,
            "href": IMAGE.url,
            "width": "120",
            "height": "80",
            "preserveaspectratio": "none",
        }
    ]
    assert frames(page) == [  # the surest one is drawn last, and so lies above
        (SECOND, "10.0", "10.0", "40.0", "30.0"),
        (FIRST, "60.0", "45.0", "50.0", "30.0"),
    ]
    words = [piece.strip() for piece in page.pieces if piece.strip()]
    assert words == ["2", "1", "a dog runs", "1", "a dog runs", "90%", "2", "a red block", "40%"]


@pytest.mark.parametrize(("sure", "said"), [(0.31, True), (0.5, False), (None, False)])
def test_an_unsure_caption_says_so(sure: float | None, said: bool) -> None:
    described = description()
    told = replace(described, caption=replace(described.caption, sure=sure))
    text = assert_harmless(description_figure(told, IMAGE)).text
    assert ("unsure (31%): it may name what is not there" in text) == said == ("unsure" in text)


def test_words_of_a_caption_are_underlined_in_the_colour_of_their_region() -> None:
    plain = description(text=f"{HOSTILE} dog runs")
    traced = replace(
        plain,
        caption=replace(plain.caption, word_regions=(None,) * (len(HOSTILE.split())) + (2, 0)),
    )
    page = assert_harmless(description_figure(traced, IMAGE))
    (line,) = [each for each in page.all("span") if "underline" in each["style"]]
    assert FIRST in line["style"]  # region 2 is the surest


def test_an_alignment_colours_words_as_their_boxes() -> None:
    page = assert_harmless(alignment_figure(alignment(), IMAGE))
    assert frames(page) == [
        (SECOND, "60.0", "45.0", "50.0", "30.0"),
        (FIRST, "10.0", "10.0", "40.0", "30.0"),
    ]
    words = [each for each in page.all("span") if "title" in each]
    assert [each["title"] for each in words] == ["score 2.00", "score 3.00", "score -0.20"]
    for each, look in zip(words, (FIRST, SECOND, "opacity"), strict=True):
        assert look in each["style"]
    texts = [piece.strip() for piece in page.pieces if piece.strip()]
    assert texts == ["2", "1", "red", "1", "dog", "2", "the", "score 4.80, β 0.1."]


def test_words_on_the_whole_photo_say_so() -> None:
    page = Reader(alignment_figure(alignment(beta=100), None))
    # With so large a β all words are on one box, and it is not the photo
    assert "is the whole photo" not in page.text
    strong = alignment(beta=0)
    object.__setattr__(strong, "word_regions", strong.word_regions * 0)
    assert "1 is the whole photo." in Reader(alignment_figure(strong, None)).text


def test_regions_say_how_sure_they_are() -> None:
    page = assert_harmless(regions_figure(regions(), None))
    assert page.pieces == ["40%", "90%", "2 regions"]
    assert page.all("image") == []


def test_a_photo_is_shown_again_by_its_name() -> None:
    page = assert_harmless(description_figure(description(), Picture("", IMAGE.name, again=True)))
    assert page.all("use") == [{"href": f"#{IMAGE.name}"}]
    assert page.all("image") == []


@pytest.mark.parametrize("image", [None, IMAGE])
def test_texts_stay_texts(image: Picture | None) -> None:
    for html in (
        description_figure(description(HOSTILE, HOSTILE), image),
        alignment_figure(alignment(HOSTILE, HOSTILE), image),
        picture(9, 9, [Mark((0, 0, 1, 1), HOSTILE, PALETTE[0])], image, HOSTILE),
        badge(HOSTILE, PALETTE[1]),
    ):
        page = assert_harmless(html)
        assert {"script", "img"}.isdisjoint(tag for tag, _ in page.elements)
        assert HOSTILE in page.text or HOSTILE in page.all("svg")[0]["aria-label"]


@pytest.mark.parametrize("make", [regions, description, alignment])
def test_with_its_photo(tmp_path: Path, make: object) -> None:
    assert callable(make)
    page = assert_harmless(html_of(make(str(photo(tmp_path)))))
    assert page.all("image")[0]["href"].startswith("data:image/jpeg;base64,")
    assert page.all("script") == []


@pytest.mark.parametrize("make", [regions, description, alignment])
@pytest.mark.parametrize("file", ["gone.jpg", "", "<bytes>", "\0", HOSTILE, "."])
def test_without_it(make: object, file: str) -> None:
    assert callable(make)
    page = assert_harmless(html_of(make(file)))
    assert page.all("image") == []
    assert len(page.all("rect")) > 4


def test_a_photo_of_another_size_is_another_photo(tmp_path: Path) -> None:
    Image.new("RGB", (121, 80)).save(tmp_path / "a.png")
    assert "<image" not in html_of(regions(str(tmp_path / "a.png")))


def test_whatever_goes_wrong_with_the_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("anything")

    monkeypatch.setattr(figures, "data_url", broken)
    assert "<image" not in html_of(regions(str(photo(tmp_path))))


def test_what_a_model_finds_shows_itself(tiny_pack: Path, photo_file: Path) -> None:
    model = regiontalk.load(tiny_pack)
    for found in (
        *model.look(photo_file),
        model.describe(photo_file),
        model.align(photo_file, "a red dog"),
    ):
        assert "<image" in found._repr_html_()
