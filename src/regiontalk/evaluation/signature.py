"""What travels with every number: the settings and checksums that are needed to get it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import regiontalk
from regiontalk.evaluation.contamination import training_signature
from regiontalk.files import MAX_TEXT_BYTES, open_regular, sha256_hex

if TYPE_CHECKING:
    from regiontalk.data import Dataset
    from regiontalk.evaluation.results import Progress
    from regiontalk.model import Model
from regiontalk.pack import Pack

NORMALISATION = "lower case, words are runs of letters and digits, all else dropped"
TIES = "count against the system"


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
