"""Which photos are learnt and which are held out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from regiontalk.data import CaptionedPhoto, Dataset, read_dataset
from regiontalk.errors import DataError
from regiontalk.training.taught_photos import TaughtPhotos, hold_out, read_taught_photos

from .taught_world import write_photos


def dataset(count: int) -> Dataset:
    photos = [CaptionedPhoto(Path(f"/photos/{number % 3}/{number:04}.jpg"), ("a dog",)) for number in range(count)]
    return Dataset("photos", "train", tuple(photos))


@pytest.mark.parametrize(("count", "held_out"), [(40, 20), (200, 20), (204, 20), (206, 21), (500, 50)])
def test_one_photo_in_ten_and_at_least_twenty_are_held_out(count: int, held_out: int) -> None:
    every = dataset(count)
    photos = hold_out(every)
    assert (len(photos.taught), len(photos.held_out)) == (count - held_out, held_out)
    assert sorted([*photos.taught.files, *photos.held_out.files]) == sorted(every.files)
    assert (photos.taught.split, photos.held_out.split) == ("train", "dev")


def test_names_choose_whatever_the_order_and_wherever_the_photos_lie() -> None:
    every = dataset(60)
    chosen = set(hold_out(every).held_out.files)
    backwards = Dataset("photos", "train", every.photos[::-1])
    assert set(hold_out(backwards).held_out.files) == chosen
    moved = tuple(replace(photo, file=Path("/elsewhere") / photo.file.relative_to("/")) for photo in every.photos)
    names = {file.name for file in hold_out(Dataset("photos", "train", moved)).held_out.files}
    assert names == {file.name for file in chosen}
    hashes = {file: hashlib.sha256(file.relative_to("/photos").as_posix().encode()).digest() for file in every.files}
    assert max(hashes[file] for file in chosen) < min(hashes[file] for file in set(every.files) - chosen)


def test_a_dev_split_of_the_datas_own_is_taken_and_test_is_left_alone(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", 40, splits=("train", "train", "train", "val", "test"))
    photos = read_taught_photos(folder)
    assert (len(photos.taught), len(photos.held_out)) == (24, 8)
    assert photos.held_out.files == read_dataset(folder, "val").files


def test_without_splits_some_are_held_out(tmp_path: Path) -> None:
    photos = read_taught_photos(write_photos(tmp_path / "photos", 44))
    assert (len(photos.taught), len(photos.held_out)) == (24, 20)
    assert photos.taught.photos[0].captions[0].startswith("Ein ")


def test_texts_beside_photos_are_captions(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", 40)
    (folder / "captions.csv").unlink()
    for number in range(40):
        (folder / f"{number:03}.png.txt").write_text(f"Waldi auf Foto {number}", encoding="utf-8")
    photos = read_taught_photos(folder)
    assert (len(photos.taught), len(photos.held_out)) == (20, 20)


@pytest.mark.parametrize(
    ("count", "splits", "told"),
    [
        (39, (), "39 captioned photos, expected at least 40, of which 20 are held out to measure on; caption more"),
        (30, ("train", "dev"), "15 photos in train and 15 in dev, expected at least 20 and 2; caption more photos"),
        (41, ("train",) * 40 + ("dev",), "40 photos in train and 1 in dev, expected at least 20 and 2"),
        (40, ("test",), "has no split 'train'; splits found: test"),
    ],
)
def test_too_few_photos_are_told(count: int, splits: tuple[str, ...], told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        read_taught_photos(write_photos(tmp_path / "photos", count, splits))


def test_no_captions_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no captions found; expected captions\.csv"):
        read_taught_photos(tmp_path)


def test_the_checksum_is_of_names_and_captions_alone() -> None:
    every = dataset(60)
    photos = hold_out(every)
    moved = [
        replace(photo, file=Path("/elsewhere") / photo.file.relative_to("/photos")) for photo in photos.taught.photos
    ]
    same = TaughtPhotos(Dataset("other", "train", tuple(moved)), photos.held_out)
    assert same.checksum == photos.checksum
    changed = (replace(every.photos[0], captions=("a cat",)), *every.photos[1:])
    assert hold_out(Dataset("photos", "train", changed)).checksum != photos.checksum
