from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regiontalk.evaluation.signature import file_sha256, photo_counts, seen_in_training, span

SHIPPED = {
    "vision": "13,862 photos without captions: Flickr8k without dev and test (6,091), 4,000 of COCO train2014",
    "captions": "Flickr8k train: 6,000 photos, 30,000 captions",
    "never_seen": "Flickr8k dev and test, every sixth Pascal VOC photo by file name",
}
STRUCTURED = {
    "datasets": [{"dataset": "my_photos", "split": "train+extra", "photos": 7}, {"dataset": "COCO", "split": "x"}]
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
def test_what_a_pack_says_about_a_split(trained_on: dict[str, Any], name: str, split: str, expected: str) -> None:
    assert seen_in_training(trained_on, name, split).split(":")[0] == expected


def test_the_words_are_repeated() -> None:
    assert seen_in_training(SHIPPED, "flickr8k", "train") == 'yes: "Flickr8k train: 6,000 photos, 30,000 captions"'


def test_counts() -> None:
    assert photo_counts(np.array([5, 4, 5])) == {"photos": 3, "captions": 14, "captions_per_photo": "4 to 5"}
    assert span([5, 5]) == "5"


def test_checksum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # The example of FIPS 180-2.
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
