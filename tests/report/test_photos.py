"""A report of photos: its parts, its size, its names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from regiontalk.alignment.mrf import align, viterbi
from regiontalk.errors import ConfigError
from regiontalk.report.photos import Entry, PhotoReport, alignment_data, shown_names
from regiontalk.structures import Caption, Description, Regions, Sentence

from .made import HOSTILE, alignment, assert_harmless, description

MEGABYTE = 1_000_000


def picture(most: int) -> str:
    """As large as it may be."""
    head = "data:image/jpeg;base64,"
    return head + "A" * (most - len(head))


def test_each_photo_has_its_views_and_its_image_once() -> None:
    report = PhotoReport(2, MEGABYTE)
    report.add(
        Entry("a.jpg", description(), alignment()), lambda most: "data:image/jpeg;base64,AAAA"
    )
    report.add(
        Entry("b.jpg", description(), None, "a remark"), lambda most: "data:image/jpeg;base64,BBBB"
    )
    html = report.html("Two photos", "the end").decode()
    page = assert_harmless(html)
    assert [each["href"][-4:] for each in page.all("image")] == ["AAAA", "BBBB"]
    assert page.all("use") == [{"href": "#photo-1-image"}]
    assert [each["id"] for each in page.all("article")] == ["photo-1", "photo-2"]
    assert [each["data-view"] for each in page.all("div") if "data-view" in each] == ["0", "1", "2"]
    (data,) = re.findall(
        r'<script type="application/json" id="report-data">(.*?)</script>', html, re.DOTALL
    )
    first, second, third = json.loads(data)
    assert first == {"kind": "Alignment", "data": alignment_data(alignment()) | {"file": "a.jpg"}}
    assert second == {"kind": "Description", "data": description().to_json() | {"file": "a.jpg"}}
    assert third["data"]["file"] == "b.jpg"
    assert "a remark" in page.text
    assert "the end" in page.text


def test_names_and_sentences_stay_texts() -> None:
    report = PhotoReport(6, MEGABYTE)
    for number in range(6):  # so many that there is a list of contents
        entry = Entry(
            f"{number}{HOSTILE}",
            description(HOSTILE, HOSTILE),
            alignment(HOSTILE, HOSTILE),
            HOSTILE,
        )
        report.add(entry, lambda most: "data:image/jpeg;base64,AAAA")
    page = assert_harmless(report.html(HOSTILE, HOSTILE).decode())
    assert page.text.count(HOSTILE) >= 2 + 6 * 3
    assert [each["href"] for each in page.all("a")] == [f"#photo-{n}" for n in range(1, 7)]
    assert page.all("img") == []


@pytest.mark.parametrize("photos", [1, 3, 10])
def test_a_report_uses_its_room_and_keeps_to_it(photos: int) -> None:
    report = PhotoReport(photos, MEGABYTE)
    for _ in range(photos):
        report.add(Entry("a.jpg", description(), alignment()), picture)
    size = len(report.html("title", ""))
    assert 0.8 * MEGABYTE < size <= MEGABYTE


def test_forty_photos_take_less_than_a_megabyte_beside_their_pictures() -> None:
    """Each with twelve regions, more than most, and all scores of a sentence of twelve words."""
    rng, sentence = (
        np.random.default_rng(0),
        "a brown dog jumps over two red balls in the white snow",
    )
    words = sentence.split()
    boxes = np.array(
        [[0, 0, 640, 480], *(rng.random((12, 4)) * 200 + (0, 0, 300, 200))], np.float32
    )
    vectors = rng.normal(size=(13, 8)).astype(np.float32)
    regions = Regions(
        "a holiday/photo.jpg", 640, 480, boxes, rng.random(13).astype(np.float32), vectors, vectors
    )
    read = Sentence(
        sentence, tuple(words), np.arange(12), rng.normal(size=(12, 8)).astype(np.float32)
    )
    described = Description(
        regions, Caption(sentence, -9.5), (Caption("a brown dog in snow", -4.5),) * 12
    )
    report = PhotoReport(40, 50 * MEGABYTE)
    for number in range(40):
        report.add(
            Entry(f"{number}.jpg", described, align(regions, read, 0.4)),
            lambda most: picture(100_000),
        )
    assert 0.4 * MEGABYTE < len(report.html("title", "")) - 40 * 100_000 < MEGABYTE


def test_room_that_one_leaves_is_the_others() -> None:
    report = PhotoReport(4, MEGABYTE)
    offered: list[int] = []

    def small(most: int) -> str:
        offered.append(most)
        return "data:image/jpeg;base64,AAAA"

    report.add(Entry("a.jpg", description()), small)
    report.skip(1)
    report.add(Entry("a.jpg", description()), small)
    report.add(Entry("a.jpg", description()), small)
    assert offered[0] < offered[1] < offered[2]
    assert len(report) == 3


def test_too_many_photos_are_refused_at_once_with_both_ways_out() -> None:
    with pytest.raises(
        ConfigError,
        match=r"--max-size 1: 1000 photos do not fit .* \(--limit 11\), or allow 81 meg",
    ):
        PhotoReport(1000, MEGABYTE)


def test_a_page_that_is_too_large_after_all_is_refused() -> None:
    report = PhotoReport(1, MEGABYTE)
    report.add(Entry("a.jpg", description()), lambda most: picture(2 * most))
    with pytest.raises(ConfigError, match=r"--max-size 1: the report would have .* megabytes"):
        report.html("title", "")


def test_scores_decode_to_the_same_words() -> None:
    found = alignment(beta=0.4)
    data = alignment_data(found)
    assert (data["beta"], np.array(data["scores"]).shape) == (0.4, (3, 3))
    path, _ = viterbi(np.array(data["scores"]), data["beta"])
    assert path.tolist() == [word["region"] for word in data["words"]]
    json.dumps(data, allow_nan=False)


def test_names_leave_out_folders_that_all_share(tmp_path: Path) -> None:
    home = Path("/home/ann")
    assert shown_names([]) == []
    assert shown_names([home / "private" / "a.jpg"]) == ["a.jpg"]
    assert shown_names([home / "x" / "a.jpg", home / "y" / "a.jpg"]) == ["x/a.jpg", "y/a.jpg"]
    assert shown_names([Path("a.jpg"), Path("a.jpg"), Path("./b/../c.jpg")]) == [
        "a.jpg",
        "a.jpg",
        "c.jpg",
    ]
    assert shown_names([Path("a\n\udcff.jpg")]) == ["a\\n\\udcff.jpg"]
