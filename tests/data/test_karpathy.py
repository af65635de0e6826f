from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from regiontalk.data import read_dataset, read_karpathy
from regiontalk.data.caption_rows import CaptionRow
from regiontalk.data.karpathy import karpathy_rows
from regiontalk.errors import DataError


def entry(name: str, split: str, *captions: str, **more: Any) -> dict[str, Any]:
    sentences = [{"raw": caption, "tokens": caption.lower().split(), "sentid": 1} for caption in captions]
    return {"filename": name, "split": split, "sentences": sentences, "imgid": 7, **more}


IMAGES = [
    entry("a.jpg", "train", "A dog .", "The dog runs"),
    entry("b.jpg", "val", "A cat"),
    entry("c.jpg", "test", "A bird"),
    entry("d.jpg", "restval", "A fish", filepath="val2014"),
]


def write(folder: Path, images: Any, photos: bool = True) -> Path:
    file = folder / "dataset_tiny.json"
    file.write_text(json.dumps({"dataset": "tiny", "images": images}))
    if photos:
        for image in images:
            photo = folder / "images" / image.get("filepath", "") / image["filename"]
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.touch()
    return file


def test_reads_each_split(tmp_path: Path) -> None:
    file = write(tmp_path, IMAGES)
    dataset = read_karpathy(file, tmp_path / "images", "train")
    assert (dataset.name, dataset.split) == ("tiny", "train")
    assert dataset.photos[0].file == tmp_path / "images" / "a.jpg"
    assert dataset.photos[0].captions == ("A dog .", "The dog runs")
    assert read_karpathy(file, tmp_path / "images", "dev").photos == read_dataset(file, "val").photos
    assert read_dataset(file, "restval").photos[0].file == tmp_path / "images" / "val2014" / "d.jpg"
    assert [photo.file.name for photo in read_dataset(file, "train+restval").photos] == ["a.jpg", "d.jpg"]


def test_rows() -> None:
    images = [
        entry("a.jpg", "val", "A dog .", filepath="val2014", cocoid=7),
        entry("a.jpg", "test", "A cat", cocoid="x"),
    ]
    assert karpathy_rows(Path("f"), {"images": images}) == [
        CaptionRow("val2014/a.jpg", "val", ["A dog ."], ("7",)),
        CaptionRow("a.jpg", "test", ["A cat"]),
    ]


def test_every_photo(tmp_path: Path) -> None:
    assert len(read_dataset(write(tmp_path, IMAGES), "all")) == 4


def test_photos_beside_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, IMAGES[:1], photos=False)
    (tmp_path / "a.jpg").touch()
    assert read_dataset(file, "train").photos[0].file == tmp_path / "a.jpg"


def test_only_the_photos_of_the_split_need_to_be_there(tmp_path: Path) -> None:
    file = write(tmp_path, IMAGES)
    (tmp_path / "images" / "a.jpg").unlink()
    assert len(read_dataset(file, "test")) == 1
    with pytest.raises(DataError, match=r"photos listed but missing: 1 \('a\.jpg'"):
        read_dataset(file, "train")


def test_photos_listed_twice(tmp_path: Path) -> None:
    file = write(tmp_path, [*IMAGES, entry("a.jpg", "test", "Again")])
    with pytest.raises(DataError, match=r"photos listed twice: 1 \('a\.jpg'"):
        read_dataset(file, "val")


def test_photos_without_a_caption(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"photos without a caption: 1 \('a\.jpg'"):
        read_dataset(write(tmp_path, [entry("a.jpg", "train")]), "train")


@pytest.mark.parametrize("more", [{"filename": "../a.jpg"}, {"filepath": "/etc"}, {"filepath": "a/../.."}])
def test_names_that_leave_the_folder(tmp_path: Path, more: dict[str, str]) -> None:
    file = write(tmp_path, [entry("a.jpg", "train", "A dog") | more], photos=False)
    with pytest.raises(DataError, match="file names that leave the folder: 1"):
        read_karpathy(file, tmp_path, "train")


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'valid'; splits found: restval, test, train, val"):
        read_dataset(write(tmp_path, IMAGES), "valid")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "expected an object with a list"),
        ({"a": 1}, "expected an object with a list"),
        ([3], "image 0: expected filename, split and sentences"),
        ([{"filename": "a.jpg", "split": "train"}], "image 0: expected filename, split and sentences"),
        ([{"filename": "a.jpg", "split": "train", "sentences": ["A dog"]}], "image 0: expected filename"),
        ([{"filename": 3, "split": "train", "sentences": []}], "image 0: filepath, filename, split and raw must"),
    ],
)
def test_damaged_content(tmp_path: Path, images: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_karpathy(write(tmp_path, images, photos=False), tmp_path, "train")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"text"'])
def test_damaged_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dataset.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json: not"):
        read_karpathy(file, tmp_path, "train")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_karpathy(tmp_path / "dataset.json", tmp_path, "train")
