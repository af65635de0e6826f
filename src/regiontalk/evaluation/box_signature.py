"""What travels with numbers that come from photos with boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regiontalk.data import BoxedDataset, BoxedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.contamination import training_signature
from regiontalk.evaluation.results import Progress
from regiontalk.evaluation.signature import NORMALISATION, pack_signature
from regiontalk.model import Model
from regiontalk.structures import Regions

_NEVER_SEEN = "never_seen"


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
        _NEVER_SEEN: model.pack.settings.trained_on.get(_NEVER_SEEN, "the pack does not say"),
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


def check_size(photo: BoxedPhoto, looked: Regions) -> None:
    """Boxes only fit a photo of the size that they were drawn on.

    Raises:
        DataError: if the photo has another.
    """
    if (photo.width, photo.height) != (looked.width, looked.height):
        raise DataError(
            f"{photo.file}: expected a photo of {photo.width} x {photo.height}, as its boxes were drawn on, found one "
            f"of {looked.width} x {looked.height}. Take the original, or scale the boxes as the photo was"
        )
