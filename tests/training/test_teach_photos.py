"""Photos that are learnt and held out, and what counts as worse on these."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regiontalk.data import CaptionedPhoto, Dataset, read_dataset
from regiontalk.errors import DataError
from regiontalk.evaluation.retrieval.metric import retrieval
from regiontalk.evaluation.retrieval.ranks import Ranks
from regiontalk.training.teach_photos import (
    HeldOutScores,
    TaughtPhotos,
    hold_out,
    read_taught_photos,
    without_shared,
    worsened,
)

from .taught_world import write_photos


def dataset(count: int) -> Dataset:
    photos = [
        CaptionedPhoto(Path(f"/photos/{number % 3}/{number:04}.jpg"), ("a dog",))
        for number in range(count)
    ]
    return Dataset("photos", "train", tuple(photos))


@pytest.mark.parametrize(
    ("count", "held_out"), [(40, 20), (200, 20), (204, 20), (206, 21), (500, 50)]
)
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
    moved = tuple(
        replace(photo, file=Path("/elsewhere") / photo.file.relative_to("/"))
        for photo in every.photos
    )
    names = {file.name for file in hold_out(Dataset("photos", "train", moved)).held_out.files}
    assert names == {file.name for file in chosen}
    hashes = {
        file: hashlib.sha256(file.relative_to("/photos").as_posix().encode()).digest()
        for file in every.files
    }
    assert max(hashes[file] for file in chosen) < min(
        hashes[file] for file in set(every.files) - chosen
    )


def test_a_dev_split_of_the_datas_own_is_taken_and_test_is_left_alone(tmp_path: Path) -> None:
    folder = write_photos(
        tmp_path / "photos", 40, splits=("train", "train", "train", "val", "test")
    )
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
        (
            39,
            (),
            (
                "39 captioned photos, expected at least 40, "
                "of which 20 are held out to measure on; caption more"
            ),
        ),
        (
            30,
            ("train", "dev"),
            "15 photos in train and 15 in dev, expected at least 20 and 2; caption more photos",
        ),
        (
            41,
            ("train",) * 40 + ("dev",),
            "40 photos in train and 1 in dev, expected at least 20 and 2",
        ),
        (40, ("test",), "has no split 'train'; splits found: test"),
    ],
)
def test_too_few_photos_are_told(
    count: int, splits: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=told):
        read_taught_photos(write_photos(tmp_path / "photos", count, splits))


def test_no_captions_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no captions found; expected captions\.csv"):
        read_taught_photos(tmp_path)


def test_the_checksum_is_of_names_and_captions_alone() -> None:
    every = dataset(60)
    photos = hold_out(every)
    moved = [
        replace(photo, file=Path("/elsewhere") / photo.file.relative_to("/photos"))
        for photo in photos.taught.photos
    ]
    same = TaughtPhotos(Dataset("other", "train", tuple(moved)), photos.held_out)
    assert same.checksum == photos.checksum
    changed = (replace(every.photos[0], captions=("a cat",)), *every.photos[1:])
    assert hold_out(Dataset("photos", "train", changed)).checksum != photos.checksum


def scores(
    photos: list[int], sentences: list[int], photo_of: list[int], cider: list[float]
) -> HeldOutScores:
    return HeldOutScores(
        Ranks(np.array(photos), np.array(sentences), np.array(photo_of)), np.array(cider)
    )


def test_numbers_by_hand() -> None:
    """Two photos; the second has three of the four captions."""
    found = scores([1, 3], [1, 2, 6, 1], [0, 1, 1, 1], [50.0, 100.0])
    assert found.numbers() == {
        "image_to_text_r1": 50,
        "image_to_text_r5": 100,
        "text_to_image_r1": 50,
        "text_to_image_r5": 75,
        "mean_recall": 68.75,
        "cider": 75,
    }
    twice = np.array([0.0, 2.0])  # the second photo alone
    assert found.recalls(twice) == pytest.approx(
        {
            "image_to_text_r1": 0,
            "image_to_text_r5": 100,
            "text_to_image_r1": 100 / 3,
            "text_to_image_r5": 200 / 3,
        }
    )
    assert found.mean_cider(twice) == 100


def some(hits: int, cider: float, photos: int = 40) -> HeldOutScores:
    """Photos with a caption each, so many of which are found first."""
    ranks = [1] * hits + [9] * (photos - hits)
    return scores(ranks, ranks, list(range(photos)), [cider + n % 7 for n in range(photos)])


def test_what_is_the_same_or_better_is_not_worse() -> None:
    assert worsened(some(20, 60), some(20, 60)) == []
    assert worsened(some(20, 60), some(30, 90)) == []


def test_a_few_photos_less_are_noise() -> None:
    assert worsened(some(20, 60), some(19, 60)) == []


def test_recalls_or_captions_that_fall_are_told() -> None:
    (recalls,) = worsened(some(30, 60), some(10, 60))
    assert recalls.startswith(
        "the mean of the recalls falls from 75.0 to 25.0 (95 % interval of the difference: -"
    )
    (captions,) = worsened(some(20, 60), some(20, 40))
    assert (
        captions
        == "CIDEr falls from 62.9 to 42.9 (95 % interval of the difference: -20.0 to -20.0)"
    )
    assert len(worsened(some(30, 60), some(10, 40))) == 2


def test_captions_that_several_photos_have_are_wrong_for_none() -> None:
    """Brute force over random captions of three kinds."""
    rng = np.random.default_rng(0)
    photo_of = np.sort(rng.integers(0, 6, 20))
    captions, values = rng.integers(0, 3, 20).tolist(), rng.normal(size=(6, 20))
    found = without_shared(values, photo_of, captions)
    for photo in range(6):
        own = {captions[n] for n in range(20) if photo_of[n] == photo}
        for n in range(20):
            if photo_of[n] != photo and captions[n] in own:
                assert found[photo, n] < values.min()
            else:
                assert found[photo, n] == values[photo, n]


def test_photos_alike_in_all_they_are_said_to_show_find_each_other() -> None:
    values = np.ones((3, 3))
    found = retrieval(
        without_shared(values, np.arange(3), ["a dog", "a dog", "a dog"]), np.arange(3)
    )
    assert found.image_to_text.r1 == found.text_to_image.r1 == 100
