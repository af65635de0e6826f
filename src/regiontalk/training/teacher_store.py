"""The photos that the vision network learns from, where things are in them, and its teacher.

The layout is written by a recipe's teaching script (`recipes/flickr8k_small/teach.py` lists its files). Photos are read
from disk as they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regiontalk.data import read_json, read_text
from regiontalk.errors import DataError
from regiontalk.training.teacher_net import TeacherNet, read_teacher
from regiontalk.vision.boxes import WHOLE

HELD_OUT, HELD_OUT_SEED = 256, 0
"""Photos that no run on a store trains on: the same ones for all, since one run may go on from another."""
MIN_VISIBLE = 0.4
"""A box stays in a crop while at least this share of it is visible there."""
MIN_CROP_AREA, MAX_CROP_ASPECT = 0.25, 4 / 3
"""Of a random crop: the share of its photo, and how much longer one side may be than the other."""


@dataclass(frozen=True)
class ViewBatch:
    """B views: what student and teacher see.

    Attributes:
        pixels: (B, S, S, 3) uint8.
        boxes: B arrays (boxes, 4) xyxy in 0..1 of the view.
    """

    pixels: np.ndarray
    boxes: list[np.ndarray]


class TeacherStore:
    """N photos with boxes.

    Raises:
        DataError: if a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if missing := [name for name in ("photos.npy", "boxes.json") if not (folder / name).exists()]:
            raise DataError(f"{folder}: not a teacher store, {', '.join(missing)} missing; run the recipe's teach.py")
        self.photos = open_array(folder / "photos.npy", 4)  # (N, pixels, pixels, 3)

    def __len__(self) -> int:
        return len(self.photos)

    def held_out_and_others(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the photos to measure on, and of those to train on.

        Raises:
            DataError: if there are none to train on.
        """
        if len(self) <= HELD_OUT:
            raise DataError(f"{self.folder}: {len(self)} photos, of which {HELD_OUT} are held out; give it more")
        order = np.random.default_rng(HELD_OUT_SEED).permutation(len(self))
        return order[:HELD_OUT], order[HELD_OUT:]

    @cached_property
    def boxes(self) -> list[np.ndarray]:
        """Every photo's boxes, xyxy in 0..1.  # N arrays (boxes, 4)

        Raises:
            DataError: if they are damaged.
        """
        file = self.folder / "boxes.json"
        try:
            found = [np.asarray(boxes, np.float32).reshape(-1, 4) for boxes in read_json(file, read_text(file))]
        except (TypeError, ValueError) as error:
            raise DataError(f"{file}: lists of boxes expected ({error}); run the recipe's teach.py again") from error
        if len(found) != len(self):
            raise DataError(f"{file}: boxes of {len(self)} photos expected, of {len(found)} found; run teach.py again")
        return found

    @cached_property
    def labels(self) -> list[list[str | None]]:
        """For each of a photo's boxes the class that it shows, None where that is not known.

        Raises:
            DataError: if the store was written without them, or they do not fit its boxes.
        """
        file = self.folder / "labels.json"
        if not file.exists():
            raise DataError(f"{file}: not found; run the recipe's teach.py once more, it adds what the boxes show")
        labels: list[list[str | None]] = read_json(file, read_text(file))
        if not labels_fit(labels, self.boxes):
            raise DataError(f"{file}: a class or null for each of boxes.json expected; run the recipe's teach.py again")
        return labels

    def teacher(self) -> TeacherNet:
        """The network that is to be learnt from.

        Raises:
            DataError: if the store was written without it, or it is damaged.
        """
        return read_teacher(self.folder / "teacher.safetensors")

    def batch(self, rows: np.ndarray, size: int, rng: np.random.Generator | None) -> ViewBatch:
        """A random crop of each photo at `size` pixels a side, mirrored or not; without `rng` the whole photos."""
        count = len(rows)
        crops = np.tile(WHOLE, (count, 1)) if rng is None else draw_crops(count, rng)
        mirrored = np.zeros(count, bool) if rng is None else rng.random(count) < 0.5
        pixels = np.empty((count, size, size, 3), np.uint8)
        boxes = []
        for i, (row, crop, mirror) in enumerate(zip(rows, crops, mirrored, strict=True)):
            seen = crop_photo(self.photos[row], crop, size)
            pixels[i] = seen[:, ::-1] if mirror else seen
            boxes.append(boxes_in_crop(self.boxes[row], crop, mirror)[0])
        return ViewBatch(pixels, boxes)


def draw_crops(count: int, rng: np.random.Generator) -> np.ndarray:
    """Random windows on photos, xyxy in 0..1.  # (n, 4)"""
    area = rng.uniform(MIN_CROP_AREA, 1, count)
    aspect = MAX_CROP_ASPECT ** rng.uniform(-1, 1, count)
    sides = np.stack([np.sqrt(area * aspect), np.sqrt(area / aspect)], axis=1).clip(0, 1)
    origin = rng.random((count, 2)) * (1 - sides)
    return np.concatenate([origin, origin + sides], axis=1)


def crop_photo(photo: np.ndarray, crop: np.ndarray, size: int) -> np.ndarray:
    """A window, xyxy in 0..1, of a photo (H, W, 3) uint8, squashed to (size, size, 3)."""
    box = tuple(float(v) * side for v, side in zip(crop, photo.shape[1::-1] * 2, strict=True))
    return np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.BILINEAR, box=box))


def open_array(file: Path, axes: int) -> np.ndarray:
    """An array that is read from disk as it is asked for.

    Raises:
        DataError: if the file is damaged, or holds an array with another number of axes.
    """
    try:
        array: np.ndarray = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: damaged ({error}); remove it and run the recipe's teach.py again") from error
    if array.ndim != axes:
        raise DataError(
            f"{file}: an array of {axes} axes expected, {array.ndim} found; run the recipe's teach.py again"
        )
    return array


def labels_fit(labels: Any, boxes: list[np.ndarray]) -> bool:
    """Whether this is a list for each photo of a class, or None, for each of its boxes."""
    return (
        isinstance(labels, list)
        and all(isinstance(each, list) for each in labels)
        and [len(each) for each in labels] == [len(each) for each in boxes]
        and all(label is None or isinstance(label, str) for each in labels for label in each)
    )


def boxes_in_crop(boxes: np.ndarray, crop: np.ndarray, mirror: bool) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) of a photo as they stand in its crop, without those that are mostly hidden: (m, 4), all in 0..1;
    and which they are, (n,) bool."""
    origin, extent = crop[:2], crop[2:] - crop[:2]
    moved = (boxes.reshape(-1, 2, 2) - origin) / extent
    clipped = moved.clip(0, 1)
    area, visible = (moved[:, 1] - moved[:, 0]).prod(-1), (clipped[:, 1] - clipped[:, 0]).prod(-1)
    kept = visible > MIN_VISIBLE * area
    found = clipped[kept].reshape(-1, 4)
    return found[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0] if mirror else found, kept
