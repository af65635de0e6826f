"""Flickr8k, or any dataset laid out like it: `images/`, `captions.csv`, and a list of file names for each split."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from pathlib import Path

from regiontalk.data.captions import Dataset, Problems, captioned_photos, exists, read_csv, safe_names
from regiontalk.errors import DataError
from regiontalk.files import read_text

SPLITS = ("train", "dev", "test")


def is_flickr8k(folder: Path) -> bool:
    """Whether a folder is laid out like Flickr8k, by its names alone."""
    return (folder / "images").is_dir() and any((folder / f"{split}.txt").is_file() for split in SPLITS)


def read_flickr8k(folder: str | Path, split: str) -> Dataset:
    """Reads one split of Flickr8k.

    The folder holds `images/`, `captions.csv` with the columns image,caption (a line for each caption, as people wrote
    it) and `train.txt`, `dev.txt`, `test.txt` with a file name on each line. Photos in no split are fine. The whole
    folder is checked, not only the split that is asked for.

    Args:
        folder: where it lies.
        split: "train", "dev" or "test".

    Raises:
        DataError: if a file is missing or damaged, a photo is listed but missing, a caption has no photo or no word, a
            photo has no caption or is listed twice or in two splits. It names the first few and counts all.
    """
    folder = Path(folder)
    lists = {name: _read_list(folder / f"{name}.txt") for name in SPLITS if (folder / f"{name}.txt").is_file()}
    if split not in lists:
        found = ", ".join(lists) or "none"
        raise DataError(f"{folder}: has no {split}.txt for the split {split!r}; splits found: {found}")
    images = folder / "images"
    if not images.is_dir():
        raise DataError(f"{folder}: has no folder images")
    captions = _read_captions(folder / "captions.csv")

    problems = Problems(folder)
    safe_names(chain(captions, *lists.values()), problems)
    problems.raise_if_any()
    problems.add("photos in two splits", _in_two(lists))
    problems.add("photos with captions but no file", [name for name in captions if not exists(images / name)])
    problems.raise_if_any()
    return Dataset(folder.resolve().name, split, captioned_photos(folder, lists[split], images, captions))


def _read_list(file: Path) -> list[str]:
    return [line.strip() for line in read_text(file).split("\n") if line.strip()]


def _read_captions(file: Path) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = defaultdict(list)
    for _, row in read_csv(file, ("image", "caption")):
        captions[row["image"]].append(row["caption"])
    return dict(captions)


def _in_two(lists: dict[str, list[str]]) -> list[str]:
    splits_of: dict[str, set[str]] = defaultdict(set)
    for split, names in lists.items():
        for name in names:
            splits_of[name].add(split)
    return [f"{name} ({' and '.join(sorted(splits))})" for name, splits in splits_of.items() if len(splits) > 1]
