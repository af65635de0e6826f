"""Regions of a dataset's photos, computed by a model in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from regiontalk.data import BoxedDataset, BoxedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.results import Progress
from regiontalk.model import Model
from regiontalk.structures import Regions
from regiontalk.vision.session import BATCH

CLASSES = "classes; give Pascal VOC's, COCO's instances or boxes.jsonl"
"""End of messages about boxes without classes."""


def photo_regions(
    model: Model, files: Sequence[Path], progress: Progress, extra: bool = False
) -> Iterator[list[Regions]]:
    """The regions of the photos, in order, in batches; `extra` as of `Model.look`.

    Raises:
        PhotoError: if a photo is broken.
    """
    progress.expect(len(files), "photos")
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        yield model.look(batch, extra=extra)
        progress.advance(len(batch))


def boxed_regions(
    model: Model,
    photos: Sequence[BoxedPhoto],
    progress: Progress,
    given: bool = False,
    extra: bool = False,
) -> Iterator[tuple[Sequence[BoxedPhoto], list[Regions]]]:
    """Photos with boxes and their regions, in order, in batches.

    Args:
        given: use the photos' boxes as regions, instead of the model's own.
        extra: as of `Model.look`.

    Raises:
        DataError: if a photo is not of the size that its boxes were drawn on.
        PhotoError: if a photo is broken.
    """
    progress.expect(len(photos), "photos")
    for start in range(0, len(photos), BATCH):
        batch = photos[start : start + BATCH]
        boxes = [photo.boxes_xyxy for photo in batch] if given else None
        looked = model.look([photo.file for photo in batch], boxes, extra)
        for photo, regions in zip(batch, looked, strict=True):
            check_size(photo, regions)
        yield batch, looked
        progress.advance(len(batch))


def check_size(photo: BoxedPhoto, looked: Regions) -> None:
    """Checks that a photo has the size on which its boxes were drawn.

    Raises:
        DataError: if the photo has another.
    """
    if (photo.width, photo.height) != (looked.width, looked.height):
        raise DataError(
            f"{photo.file}: expected a photo of {photo.width} x {photo.height}, as its boxes were "
            f"drawn on, found one of {looked.width} x {looked.height}. Take the original, or scale "
            "the boxes as the photo was"
        )


def no_classes(dataset: BoxedDataset) -> DataError:
    """The error for boxes without classes."""
    return DataError(f"{dataset.name}: its boxes have no {CLASSES}")
