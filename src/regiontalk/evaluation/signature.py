"""What travels with every number: the settings and checksums that are needed to get it again, and honest warnings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import regiontalk

if TYPE_CHECKING:
    from regiontalk.data import Dataset
    from regiontalk.pack import Pack

NORMALISATION = "lower case, words are runs of letters and digits, all else dropped"
TIES = "count against the system"

_ALL = "all"
_NEVER_SEEN = "never_seen"
_UNKNOWN = "unknown: the pack does not say what it was trained on"


def pack_signature(pack: Pack) -> dict[str, str]:
    """Which program and which pack."""
    return {"regiontalk": regiontalk.__version__, "pack": pack.settings.name, "pack_sha256": pack.checksum}


def dataset_signature(dataset: Dataset) -> dict[str, Any]:
    """Which photos and captions, and how the texts are normalised."""
    per_photo = np.array([len(photo.captions) for photo in dataset.photos])
    return {
        "dataset": dataset.name,
        "split": dataset.split,
        **photo_counts(per_photo),
        "normalisation": NORMALISATION,
    }


def photo_counts(captions: np.ndarray) -> dict[str, Any]:
    """How many photos and captions, from the number of captions of each photo, (N,)."""
    return {"photos": len(captions), "captions": int(captions.sum()), "captions_per_photo": span(captions.tolist())}


def evaluation_signature(pack: Pack, dataset: Dataset) -> dict[str, Any]:
    """All that an evaluation of a pack on a dataset says about itself, but what the kind of evaluation adds."""
    return {
        **pack_signature(pack),
        **dataset_signature(dataset),
        "seen_in_training": seen_in_training(pack.settings.trained_on, dataset.name, dataset.split),
    }


def seen_in_training(trained_on: Mapping[str, Any], name: str, split: str) -> str:
    """Whether a pack says that it was trained on a split of a dataset.

    Looked for are objects `{"dataset": name, "split": split}` anywhere in what the pack says, and texts that name the
    dataset and right after it the split ("Flickr8k train: 6,000 photos"). Letter case and punctuation do not matter.
    What stands under "never_seen" does not count. Names are compared, not photos: the same photos under another name
    are not recognised.

    Args:
        trained_on: from `pack.json`.
        name: of the dataset.
        split: several joined by "+", or "all", ask for each of them.

    Returns:
        "yes: ..." with the pack's words, "no: ..." or "unknown: ..."; for people, beside the numbers.

    >>> seen_in_training({"captions": "Flickr8k train: 6,000 photos"}, "flickr8k", "train")
    'yes: "Flickr8k train: 6,000 photos"'
    >>> seen_in_training({"captions": "Flickr8k train: 6,000 photos"}, "flickr8k", "test")[:3]
    'no:'
    """
    if not trained_on:
        return _UNKNOWN
    for part in split.split("+"):
        for claim in _claims(trained_on, _words(name), [] if part == _ALL else _words(part)):
            return f'yes: "{claim}"'
    return "no: the pack names no training on this dataset's split"


def training_warning(pack: Pack, dataset: Dataset) -> str | None:
    """What must be said loudly before a pack is measured on what it learnt; None if it does not say that it was."""
    seen = seen_in_training(pack.settings.trained_on, dataset.name, dataset.split)
    if not seen.startswith("yes"):
        return None
    return (
        f"WARNING: the pack {pack.settings.name} was trained on these photos ({seen.removeprefix('yes: ')}). "
        "The numbers show what it remembers, not how well it does on new photos: do not compare or publish them."
    )


def file_sha256(file: Path) -> str:
    """A file's checksum, hexadecimal, read a little at a time."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def span(numbers: Sequence[int]) -> str:
    """The least and the greatest, "5" or "1 to 7"."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _claims(value: Any, name: list[str], split: list[str]) -> Iterator[str]:
    """What names a dataset and its split, wherever it stands; an empty split is any."""
    if isinstance(value, str):
        said, wanted = _words(value), name + split
        if any(said[start : start + len(wanted)] == wanted for start in range(len(said) - len(wanted) + 1)):
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _claims(each, name, split)
    elif isinstance(value, Mapping) and isinstance(value.get("dataset"), str) and isinstance(value.get("split"), str):
        splits = [_words(part) for part in value["split"].split("+")]
        if _words(value["dataset"]) == name and (not split or split in splits):
            yield f"{value['dataset']} {value['split']}"
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key != _NEVER_SEEN:
                yield from _claims(each, name, split)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
