"""Flickr8k, or any dataset laid out like it: `images/`, `captions.csv`, and a list of file names for each split."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from regiontalk.data.caption_formats import read_rows
from regiontalk.data.caption_rows import Captions, joined
from regiontalk.data.captions import Dataset, Problems, captioned_photos, exists, safe_names
from regiontalk.errors import DataError
from regiontalk.files import read_text

SPLITS = ("train", "dev", "test")
CAPTIONS = "captions.csv"


def is_flickr8k(folder: Path) -> bool:
    """Whether a folder is laid out like Flickr8k, by its names alone."""
    return (folder / "images").is_dir() and has_split_lists(folder)


def has_split_lists(folder: Path) -> bool:
    """Whether any of `train.txt`, `dev.txt` and `test.txt` is in a folder."""
    return any((folder / f"{split}.txt").is_file() for split in SPLITS)


def listed_captions(folder: Path) -> Captions:
    """The captions of `captions.csv`, and the lists beside it: `train.txt`, `dev.txt`, `test.txt`, a name on each line.

    Photos in no list are in no split. Only captions that are in the file count: a list may name photos without any.

    Raises:
        DataError: if a file is missing or damaged, or a photo is in two splits.
    """
    return joined(folder, read_rows(folder / CAPTIONS), split_lists(folder))


def split_lists(folder: Path) -> dict[str, list[str]]:
    """The names in each of `train.txt`, `dev.txt` and `test.txt` that a folder has.

    Raises:
        DataError: if one cannot be read.
    """
    return {name: read_names(folder / f"{name}.txt") for name in SPLITS if (folder / f"{name}.txt").is_file()}


def read_flickr8k(folder: str | Path, split: str) -> Dataset:
    """Reads one split of Flickr8k.

    The folder holds `images/`, `captions.csv` with the columns image,caption (a line for each caption, as people wrote
    it) and `train.txt`, `dev.txt`, `test.txt` with a file name on each line. Photos in no split are fine. The whole
    folder is checked, not only the split that is asked for.

    Args:
        folder: where it lies.
        split: "train", "dev" or "test"; several joined by `+`, or "all" for every photo with captions.

    Raises:
        DataError: if a file is missing or damaged, a photo is listed but missing, a caption has no photo or no word, a
            photo has no caption or is listed twice or in two splits. It names the first few and counts all.
    """
    folder = Path(folder)
    images = folder / "images"
    if not images.is_dir():
        raise DataError(f"{folder}: has no folder images")
    found = listed_captions(folder)
    names = found.names(split)

    problems = Problems(folder)
    safe_names(chain(found.captions, *found.lists.values()), problems)
    problems.raise_if_any()
    problems.add("photos with captions but no file", [name for name in found.captions if not exists(images / name)])
    problems.raise_if_any()
    return Dataset(folder.resolve().name, split, captioned_photos(folder, names, images, found.captions))


def read_names(file: Path) -> list[str]:
    """The names of a list, one on each line, without blank lines."""
    return [line.strip() for line in read_text(file).split("\n") if line.strip()]
