"""Captions find their photos with boxes.

By every name that a file may give them, and nothing is joined by chance.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regiontalk.data import BoxedDataset, BoxedPhoto, Selection
from regiontalk.errors import DataError
from regiontalk.evaluation.objects.photo_captions import (
    PhotoCaptions,
    read_photo_captions,
    with_captions,
    write_photo_captions,
)
from regiontalk.model import Model

from ...caption_forms import PREDICTED, PREDICTIONS
from ..conftest import SIZE

BOX = np.array([[0, 0, 9, 9]], np.float32)


def dataset(*names: tuple[str, ...]) -> BoxedDataset:
    photos = tuple(
        BoxedPhoto(Path(name), 10, 10, BOX, (("dog",),), names=(name, *more))
        for name, *more in names
    )
    return BoxedDataset("boxes", "all", "labels", photos, classes=("dog",))


def put(file: Path, *entries: Any) -> Path:
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return file


@pytest.mark.parametrize("name", PREDICTIONS)
def test_every_form(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(PREDICTIONS[name])
    found = read_photo_captions(
        tmp_path / name, dataset(*((image,) for image in PREDICTED)), tmp_path
    )
    assert found.captions == {image: [text] for image, text in PREDICTED.items()}
    assert found.signature["captions_from"] == name
    assert found.signature["captions_of_other_photos"] == 0


def test_several_captions_a_photo_and_other_photos(tmp_path: Path) -> None:
    file = put(
        tmp_path / "c.jsonl",
        {"image": "a.jpg", "captions": ["one", "two"]},
        {"image": "a.jpg", "caption": "three"},
        {"image": "z.jpg", "captions": ["four", "five"]},
    )
    found = read_photo_captions(file, dataset(("a.jpg",), ("b.jpg",)), tmp_path)
    assert found.captions == {"a.jpg": ["one", "two", "three"]}
    assert found.signature["captions_of_other_photos"] == 2


def test_photos_go_by_number_path_and_bare_name(tmp_path: Path) -> None:
    photos = dataset(("COCO_42.jpg", "42"), ("sub/b.jpg",), ("c.jpg",))
    file = put(
        tmp_path / "c.jsonl",
        {"image_id": 42, "caption": "one"},
        {"file": str(tmp_path / "images" / "sub" / "b.jpg"), "caption": {"text": "two"}},
        {"file": "/elsewhere/c.jpg", "caption": {"text": "three"}},
    )
    found = read_photo_captions(file, photos, tmp_path)
    assert found.captions == {"COCO_42.jpg": ["one"], "sub/b.jpg": ["two"], "c.jpg": ["three"]}


def test_names_that_fit_several_photos(tmp_path: Path) -> None:
    file = put(tmp_path / "c.jsonl", {"image": "b.jpg", "caption": "one"})
    with pytest.raises(
        DataError, match=r"names that fit several photos of .*: 1 \('b.jpg'\).*as the boxes do"
    ):
        read_photo_captions(file, dataset(("x/b.jpg",), ("y/b.jpg",)), tmp_path)


def test_several_names_that_fit_one_photo(tmp_path: Path) -> None:
    file = put(
        tmp_path / "c.jsonl",
        *({"image": f"{folder}/b.jpg", "caption": "one"} for folder in ("x", "y")),
    )
    with pytest.raises(
        DataError, match=r"that several names fit: 1 \('b.jpg: x/b.jpg and y/b.jpg'\)"
    ):
        read_photo_captions(file, dataset(("b.jpg",)), tmp_path)


def test_plain_text_needs_a_list(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("a dog\na cat\n")
    photos = dataset(("a.jpg",), ("b.jpg",))
    found = read_photo_captions(tmp_path / "c.txt", photos, tmp_path, ["b.jpg", "a.jpg"])
    assert found.captions == {"b.jpg": ["a dog"], "a.jpg": ["a cat"]}
    with pytest.raises(DataError, match="plain text does not say which photos"):
        read_photo_captions(tmp_path / "c.txt", photos, tmp_path)


def test_a_folder_of_captioned_photos(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text("image,caption\na.jpg,one\na.jpg,two\n")
    found = read_photo_captions(tmp_path, dataset(("a.jpg",)), tmp_path)
    assert found.captions == {"a.jpg": ["one", "two"]}


def said(name: str, *photos: str) -> PhotoCaptions:
    return PhotoCaptions({photo: ["a dog"] for photo in photos}, {}, Path(name))


def test_photos_without_a_caption(tmp_path: Path) -> None:
    photos = dataset(("a.jpg",), ("b.jpg",), ("c.jpg",))
    sources = [said("mine.json", "a.jpg", "b.jpg"), said("people.json", "b.jpg", "c.jpg")]
    with pytest.raises(
        DataError, match=r"mine.json: photos without a caption: 1 \('c.jpg'\).*with --leave-out"
    ):
        with_captions(photos, sources, Selection())
    found = with_captions(photos, sources, Selection(leave_out=True))
    assert [photo.name for photo in found.photos] == ["b.jpg"]
    assert found.left_out == {
        "photos without a caption in mine.json": 1,
        "photos without a caption in people.json": 1,
    }
    assert with_captions(photos, [], Selection()) == photos
    with pytest.raises(DataError, match="has no caption of a photo of boxes"):
        with_captions(photos, [said("mine.json")], Selection(leave_out=True))


def test_a_models_captions(model: Model, files: list[Path]) -> None:
    photos = tuple(BoxedPhoto(file, *SIZE, BOX, (("dog",),)) for file in files)
    found = write_photo_captions(model, BoxedDataset("boxes", "all", "labels", photos), 2)
    expected = [model.caption([regions], 2)[0].text for regions in model.look(files)]
    assert found.captions == {file.name: [text] for file, text in zip(files, expected, strict=True)}
    assert (found.signature["pack"], found.signature["beam"], found.signature["photos"]) == (
        "tiny",
        2,
        11,
    )
