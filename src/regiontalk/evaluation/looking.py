"""Photos of a dataset looked at by a model, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from regiontalk.evaluation.results import Progress
from regiontalk.model import Model
from regiontalk.structures import Regions
from regiontalk.vision.session import BATCH


def photo_regions(model: Model, files: Sequence[Path], progress: Progress) -> Iterator[list[Regions]]:
    """The regions of the photos, in order, in batches.

    Raises:
        PhotoError: if a photo is broken.
    """
    progress.expect(len(files), "photos")
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        yield model.look(batch)
        progress.advance(len(batch))
