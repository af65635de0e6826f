"""What travels with every number: the settings and checksums that are needed to get it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import regiontalk
from regiontalk.evaluation.contamination import NEVER_SEEN, training_signature
from regiontalk.files import MAX_TEXT_BYTES, open_regular, sha256_hex

if TYPE_CHECKING:
    from regiontalk.data import BoxedDataset, Dataset
    from regiontalk.evaluation.looking import Progress
    from regiontalk.model import Model
    from regiontalk.pack import Pack

NORMALISATION = "lower case, words are runs of letters and digits, all else dropped"
TIES = "count against the system"


def pack_signature(pack: Pack) -> dict[str, str]:
    """Which program and which pack."""
    return {"regiontalk": regiontalk.__version__, "pack": pack.settings.name, "pack_sha256": pack.checksum}


def dataset_signature(dataset: Dataset) -> dict[str, Any]:
    """Which photos and captions, and how the texts are normalised."""
    counts = photo_counts(np.array([len(photo.captions) for photo in dataset.photos]))
    return {"dataset": dataset.name, "split": dataset.split, **counts, "normalisation": NORMALISATION}


def photo_counts(captions: np.ndarray) -> dict[str, Any]:
    """How many photos and captions, from the number of captions of each photo, (N,)."""
    return {"photos": len(captions), "captions": int(captions.sum()), "captions_per_photo": span(captions.tolist())}


def evaluation_signature(model: Model, dataset: Dataset, progress: Progress) -> dict[str, Any]:
    """All that an evaluation of a model on a dataset says about itself, but what the kind of evaluation adds.

    Raises:
        PhotoError: if a photo is broken.
    """
    files = dataset.files
    return {
        **pack_signature(model.pack),
        **dataset_signature(dataset),
        **training_signature(model.pack, dataset.name, dataset.split, files, progress, model.max_pixels),
    }


def box_signature(
    model: Model, dataset: BoxedDataset, selection: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """All that an evaluation on boxes says about itself, but what the kind of evaluation adds.

    Args:
        model: that was measured.
        dataset: that it was measured on.
        selection: how its photos were chosen, for people: `{}` if all took part.
        progress: is told how far it is.

    Raises:
        PhotoError: if a photo is broken.
    """
    files = dataset.files
    return {
        **pack_signature(model.pack),
        **boxes_signature(dataset, selection),
        **training_signature(model.pack, dataset.name, dataset.split, files, progress, model.max_pixels),
        NEVER_SEEN: model.pack.settings.trained_on.get(NEVER_SEEN, "the pack does not say"),
    }


def boxes_signature(dataset: BoxedDataset, selection: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the boxes alone, whatever was measured on them; arguments as of `box_signature`."""
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
    """A file's checksum, hexadecimal, read a little at a time.

    Raises:
        DataError: if it cannot be read.
    """
    with open_regular(file, MAX_TEXT_BYTES) as stream:
        return sha256_hex(stream)


def span(numbers: Sequence[int]) -> str:
    """The least and the greatest, "5" or "1 to 7"."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
