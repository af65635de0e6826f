"""Signatures of evaluations, to reproduce a number.

They hold settings, checksums, and contamination by training photos: by fingerprints of the photos
if the pack lists those of its training photos, else by the dataset's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import regiontalk
from regiontalk.data.captions import ALL
from regiontalk.files import MAX_TEXT_BYTES, open_regular, sha256_hex
from regiontalk.fingerprints import fingerprint_files, recognised

if TYPE_CHECKING:
    from regiontalk.data import BoxedDataset, Dataset
    from regiontalk.evaluation.results import Progress
    from regiontalk.model import Model
    from regiontalk.pack import Pack

NORMALISATION = "lower case, words are runs of letters and digits, all else dropped"
TIES = "count against the system"

_NEVER_SEEN = "never_seen"
_UNKNOWN = "unknown: the pack does not say what it was trained on"


def photo_counts(captions: np.ndarray) -> dict[str, Any]:
    """Numbers of photos and captions, from the number of captions of each photo, (N,)."""
    return {
        "photos": len(captions),
        "captions": int(captions.sum()),
        "captions_per_photo": span(captions.tolist()),
    }


def evaluation_signature(model: Model, dataset: Dataset, progress: Progress) -> dict[str, Any]:
    """Signature of a model on a dataset, without what the kind of evaluation adds.

    Raises:
        PhotoError: if a photo is broken.
    """
    counts = photo_counts(np.array([len(photo.captions) for photo in dataset.photos]))
    data = {
        "dataset": dataset.name,
        "split": dataset.split,
        **counts,
        "normalisation": NORMALISATION,
    }
    return _signed(model, dataset, data, progress)


def box_signature(
    model: Model, dataset: BoxedDataset, selection: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Signature of a model on boxes, without what the kind of evaluation adds.

    Args:
        model, dataset: the evaluated model, and its data.
        selection: how its photos were chosen, for people: `{}` if all took part.

    Raises:
        PhotoError: if a photo is broken.
    """
    signature = _signed(model, dataset, boxes_signature(dataset, selection), progress)
    return signature | {
        _NEVER_SEEN: model.pack.settings.trained_on.get(_NEVER_SEEN, "the pack does not say")
    }


def _signed(
    model: Model, dataset: Dataset | BoxedDataset, data: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    pack, files = model.pack, dataset.files
    return {
        "regiontalk": regiontalk.__version__,
        "pack": pack.settings.name,
        "pack_sha256": pack.checksum,
        **data,
        **training_signature(pack, dataset.name, dataset.split, files, progress, model.max_pixels),
    }


def boxes_signature(dataset: BoxedDataset, selection: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a signature about the boxes; arguments as of `box_signature`."""
    return {
        "dataset": dataset.name,
        "split": dataset.split,
        "photos": len(dataset),
        "boxes": sum(len(photo.boxes_xyxy) for photo in dataset.photos),
        "selection": dict(selection) or "all photos of the split",
        "left_out": dict(dataset.left_out),
        "remarks": dict(dataset.remarks),
        "normalisation": NORMALISATION,
    }


def file_sha256(file: Path) -> str:
    """SHA-256 of a file, hexadecimal, read in chunks.

    Raises:
        DataError: if it cannot be read.
    """
    with open_regular(file, MAX_TEXT_BYTES) as stream:
        return sha256_hex(stream)


def span(numbers: Sequence[int]) -> str:
    """The range of some numbers, "5" or "1 to 7"."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def training_signature(
    pack: Pack,
    name: str,
    split: str,
    files: Sequence[Path],
    progress: Progress,
    max_pixels: int | None = None,
) -> dict[str, Any]:
    """Contamination: how many of the measured photos were trained on.

    Args:
        pack: the evaluated one.
        name, split: of the dataset; they only matter if the pack has no fingerprints of its
            training photos.
        files: the photos.
        max_pixels: of the photos, see `open_photo`.

    Returns:
        `{"seen_in_training": "yes: ...", "no: ..." or "unknown: ..."}`, and
        `"photos_seen_in_training"`, how many of `files` were recognised, if the pack has a list.

    Raises:
        PhotoError: if a photo is broken.
    """
    if pack.training_photos is None:
        return {"seen_in_training": named_in_training(pack.settings.trained_on, name, split)}
    progress.expect(len(files), "photos compared with the pack's training photos")
    asked = fingerprint_files(files, progress.advance, max_pixels)
    seen = int(recognised(asked, pack.training_photos).sum())
    those = f"the {len(pack.training_photos):,} photos that the pack was trained on"
    said = (
        f"yes: {seen:,} of {len(files):,} photos ({seen / len(files):.1%}) are"
        if seen
        else "no: no photo is"
    )
    return {"seen_in_training": f"{said} among {those}", "photos_seen_in_training": seen}


def training_warning(signature: Mapping[str, Any]) -> str | None:
    """The warning beside contaminated numbers; None if no contamination is known."""
    seen = str(signature["seen_in_training"])
    if not seen.startswith("yes"):
        return None
    counted = "photos_seen_in_training" in signature
    never = (
        "" if counted else f" It never saw: {signature.get(_NEVER_SEEN, 'the pack does not say')}."
    )
    return (
        f"WARNING: the pack {signature['pack']} was trained on photos that it is measured on "
        f"({seen.removeprefix('yes: ')}).{never} The numbers show what it remembers, not how well "
        "it does on new photos: do not compare or publish them."
    )


def named_in_training(trained_on: Mapping[str, Any], name: str, split: str) -> str:
    """Contamination by name: whether a pack says that it was trained on a split of a dataset.

    Matches objects `{"dataset": name, "split": split}` anywhere in `trained_on`, and texts in which
    the split follows the dataset's name ("Flickr8k train: 6,000 photos"), except under
    "never_seen". Letter case and punctuation are ignored. Names are compared, not photos: photos in
    a dataset of another name are missed.

    Args:
        trained_on: from `pack.json`.
        name: of the dataset.
        split: several joined by "+", or "all", match any of them.

    Returns:
        "yes: ..." with the pack's words, "no: ..." or "unknown: ..."; for people, beside the
        numbers.

    >>> named_in_training({"captions": "Flickr8k train: 6,000 photos"}, "flickr8k", "train")
    'yes: "Flickr8k train: 6,000 photos"'
    >>> named_in_training({"captions": "Flickr8k train: 6,000 photos"}, "flickr8k", "test")[:3]
    'no:'
    """
    if not trained_on:
        return _UNKNOWN
    for part in split.split("+"):
        for claim in _claims(trained_on, _words(name), [] if part == ALL else _words(part)):
            return f'yes: "{claim}"'
    return "no: the pack names no training on this dataset's split"


def _claims(value: Any, name: list[str], split: list[str]) -> Iterator[str]:
    """Entries that name a dataset and its split, at any depth; an empty split matches any."""
    if isinstance(value, str):
        said, wanted = _words(value), name + split
        if any(
            said[start : start + len(wanted)] == wanted
            for start in range(len(said) - len(wanted) + 1)
        ):
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _claims(each, name, split)
    elif (
        isinstance(value, Mapping)
        and isinstance(value.get("dataset"), str)
        and isinstance(value.get("split"), str)
    ):
        splits = [_words(part) for part in value["split"].split("+")]
        if _words(value["dataset"]) == name and (not split or split in splits):
            yield f"{value['dataset']} {value['split']}"
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key != _NEVER_SEEN:
                yield from _claims(each, name, split)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
