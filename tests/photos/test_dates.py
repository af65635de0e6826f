"""Dates of photos: the first valid one of EXIF's three, in whole seconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from regiontalk.photos.dates import date_taken

ORIGINAL, DIGITISED, WRITTEN = 0x9003, 0x9004, 0x0132
NOON = 1_719_748_800  # 2024-06-30T12:00:00


def photo_with(tmp_path: Path, tags: dict[int, str], kind: str = "JPEG") -> Path:
    exif = Image.Exif()
    for tag, text in tags.items():
        (exif if tag == WRITTEN else exif.get_ifd(0x8769))[tag] = text
    path = tmp_path / "photo"
    Image.new("RGB", (16, 12)).save(path, kind, exif=exif)
    return path


@pytest.mark.parametrize(
    "tags",
    [
        {
            ORIGINAL: "2024:06:30 12:00:00",
            DIGITISED: "2025:01:01 00:00:00",
            WRITTEN: "2026:01:01 00:00:00",
        },
        {
            ORIGINAL: "    :  :     :  :  ",
            DIGITISED: "2024:06:30 12:00:00",
            WRITTEN: "2026:01:01 00:00:00",
        },
        {ORIGINAL: "0000:00:00 00:00:00", DIGITISED: "", WRITTEN: "2024:06:30 12:00:00"},
        {ORIGINAL: "2024:13:30 12:00:00", WRITTEN: "2024:06:30 12:00:00"},
        {ORIGINAL: "2024:06:30 12:00:00.999"},
        {ORIGINAL: "2024:06:30 12:00:00+02:00"},
        {ORIGINAL: "2024-06-30 12:00:00"},
        {WRITTEN: "2024-06-30T12:00:00Z"},
        {DIGITISED: " 2024:06:30 12:00:00\0"},
    ],
)
def test_the_first_valid_date(tmp_path: Path, tags: dict[int, str]) -> None:
    path = photo_with(tmp_path, tags)
    assert date_taken(path) == date_taken(str(path)) == NOON
    with path.open("rb") as stream:
        stream.seek(0, 2)
        assert date_taken(stream) == NOON


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024:06:30", "2024:02:30 12:00:00", "2024:06:30 12:00:00 or so"]
)
def test_no_date(tmp_path: Path, text: str) -> None:
    assert date_taken(photo_with(tmp_path, {ORIGINAL: text})) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_kind_with_exif(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photo_with(tmp_path, {ORIGINAL: "unknown", WRITTEN: "2024:06:30 12:00:00"}, kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)  # a date hangs on no limit of Pillow's
    assert date_taken(path) == NOON


def test_what_is_no_photo_has_no_date(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("2024:06:30 12:00:00")
    assert date_taken(tmp_path / "a.txt") is None
    assert date_taken(tmp_path / "gone.jpg") is None
    assert date_taken(tmp_path) is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
        assert date_taken(tmp_path / "pipe.jpg") is None


def test_cases_of_dates(case: Callable[[str], Path]) -> None:
    assert date_taken(case("dates/blank_orig.jpg")) == NOON
    assert date_taken(case("dates/sub.jpg")) == NOON
