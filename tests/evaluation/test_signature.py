"""Counts and checksums.

Whether a pack learnt the photos that it is measured on, by the photos and by names.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regiontalk.errors import PhotoError
from regiontalk.evaluation.results import Silent
from regiontalk.evaluation.signature import (
    file_sha256,
    named_in_training,
    photo_counts,
    span,
    training_signature,
    training_warning,
)
from regiontalk.fingerprints import fingerprint_files, listed
from regiontalk.pack import Pack


def test_counts() -> None:
    assert photo_counts(np.array([5, 4, 5])) == {
        "photos": 3,
        "captions": 14,
        "captions_per_photo": "4 to 5",
    }
    assert span([5, 5]) == "5"


def test_checksum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # The example of FIPS 180-2.
    assert (
        file_sha256(tmp_path / "a")
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


SHIPPED = {
    "vision": (
        "13,862 photos without captions: Flickr8k without dev and test (6,091), "
        "4,000 of COCO train2014"
    ),
    "captions": "Flickr8k train: 6,000 photos, 30,000 captions",
    "never_seen": "Flickr8k dev and test, every sixth Pascal VOC photo by file name",
}
STRUCTURED = {
    "datasets": [
        {"dataset": "my_photos", "split": "train+extra", "photos": 7},
        {"dataset": "COCO", "split": "x"},
    ]
}


@pytest.mark.parametrize(
    ("trained_on", "name", "split", "expected"),
    [
        (SHIPPED, "flickr8k", "train", "yes"),
        (SHIPPED, "Flickr8K", "train", "yes"),
        (SHIPPED, "flickr8k", "all", "yes"),
        (SHIPPED, "flickr8k", "test", "no"),
        (SHIPPED, "flickr8k", "dev", "no"),
        (SHIPPED, "flickr30k", "train", "no"),
        (SHIPPED, "flickr", "train", "no"),
        (SHIPPED, "captions", "test", "no"),
        (STRUCTURED, "my_photos", "train", "yes"),
        (STRUCTURED, "my-photos", "extra", "yes"),
        (STRUCTURED, "my_photos", "test", "no"),
        (STRUCTURED, "coco", "test+x", "yes"),
        (STRUCTURED, "photos", "train", "no"),
        ({}, "flickr8k", "train", "unknown"),
        ({"photos": 12, "more": None}, "flickr8k", "train", "no"),
    ],
)
def test_what_a_pack_says_about_a_split(
    trained_on: dict[str, Any], name: str, split: str, expected: str
) -> None:
    assert named_in_training(trained_on, name, split).split(":")[0] == expected


def test_the_words_are_repeated() -> None:
    assert (
        named_in_training(SHIPPED, "flickr8k", "train")
        == 'yes: "Flickr8k train: 6,000 photos, 30,000 captions"'
    )


@pytest.fixture(scope="module")
def detailed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photos with enough detail to know their copies by."""
    folder = tmp_path_factory.mktemp("detailed")
    for seed in range(8):
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((96, 72), Image.Resampling.BILINEAR).save(
            folder / f"{seed}.png"
        )
    return sorted(folder.iterdir())


def pack_of(tiny_pack: Path, known: np.ndarray | None) -> Pack:
    pack = Pack.load(tiny_pack)
    settings = replace(pack.settings, trained_on={"captions": "mine train"})
    return replace(pack, settings=settings, training_photos=known)


def test_photos_decide_and_not_names(tiny_pack: Path, detailed: list[Path], tmp_path: Path) -> None:
    """Copies under another name and in another size are found; names that fit do not matter."""
    copies = []
    for file in detailed[:4]:
        copies.append(tmp_path / f"copy of {file.stem}.jpg")
        with Image.open(file) as image:
            image.resize((224, 224)).save(copies[-1], quality=85)
    pack = pack_of(tiny_pack, listed(fingerprint_files(detailed[:3])))
    signed = training_signature(pack, "mine", "train", [*copies, *detailed[4:]], Silent())
    assert signed == {
        "seen_in_training": "yes: 3 of 8 photos (37.5%) are among the 3 photos that the "
        "pack was trained on",
        "photos_seen_in_training": 3,
    }
    warning = training_warning(signed | {"pack": "tiny"})
    assert warning and warning.startswith(
        "WARNING: the pack tiny was trained on photos that it is measured on (3 of 8"
    )
    assert "never saw" not in warning
    signed = training_signature(pack, "mine", "train", detailed[4:], Silent())
    assert (
        signed["seen_in_training"]
        == "no: no photo is among the 3 photos that the pack was trained on"
    )
    assert signed["photos_seen_in_training"] == 0
    assert training_warning(signed) is None


def test_without_a_list_names_decide(tiny_pack: Path, files: list[Path]) -> None:
    signed = training_signature(pack_of(tiny_pack, None), "mine", "train", files, Silent())
    assert signed == {"seen_in_training": 'yes: "mine train"'}
    warning = training_warning(signed | {"pack": "tiny", "never_seen": "every sixth"})
    assert warning and "It never saw: every sixth. " in warning


def test_a_broken_photo_is_named(tiny_pack: Path, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    pack = pack_of(tiny_pack, listed(fingerprint_files(files)))
    with pytest.raises(PhotoError, match=r"broken\.jpg"):
        training_signature(pack, "mine", "train", [tmp_path / "broken.jpg"], Silent())
