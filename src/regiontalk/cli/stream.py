"""Photos as a stream: opened and looked at a few at a time, broken ones named and left out, order kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from regiontalk.cli.console import Report
from regiontalk.errors import PhotoError

if TYPE_CHECKING:
    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.structures import Regions


def find_inputs(given: Sequence[str], report: Report) -> list[Path]:
    """The photos that the arguments name, in order; folders searched. What names none is reported as failed.

    A photo that is named twice is there twice: as many results as a program asked for.
    """
    from regiontalk.photos import find_photos

    found: list[Path] = []
    for name in given:
        if not name:
            report.failure("''", "an empty file name; name a photo or a folder of photos")
            continue
        try:
            photos = find_photos([name])
        except PhotoError as error:
            report.failure(name, str(error))
            continue
        if not photos:
            report.failure(name, "no photo in this folder; name one that holds JPEG, PNG or other pictures")
        found += photos
    return found


def look_at(model: Model, files: Sequence[Path], report: Report) -> Iterator[list[tuple[Path, Regions]]]:
    """The regions of each photo that can be opened, in batches as they are ready.

    However many files there are, and however large their photos, only a batch at the network's size is in memory.
    """
    from regiontalk.vision.session import BATCH

    size = model.pack.settings.vision.size
    for start in range(0, len(files), BATCH):
        names, photos = [], []
        for file in files[start : start + BATCH]:
            photo = _open(file, size, report)
            if photo is not None:
                names.append(file)
                photos.append(photo)
        yield list(zip(names, model.look(photos), strict=True))
        report.bar.advance(len(files[start : start + BATCH]))


def _open(file: Path, size: int, report: Report) -> Photo | None:
    """A photo squashed as the vision network will see it; None if it is broken, which is reported."""
    from PIL import Image

    from regiontalk.photos import open_photo
    from regiontalk.vision.session import prepare

    try:
        photo = open_photo(file, min_side=size)
    except PhotoError as error:
        report.failure(str(file), str(error))
        return None
    return replace(photo, image=Image.fromarray(prepare(photo.image, size)))
