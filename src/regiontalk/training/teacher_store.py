"""What teachers said about the training photos, read from disk without loading it whole.

The layout is written by a recipe's teaching script (`recipes/flickr8k_small/teach.py` lists its files). A view is a
crop of a photo together with the teacher's map of that very crop, so that student and teacher see the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor

from regiontalk.data import read_json, read_text
from regiontalk.errors import DataError

HELD_OUT, HELD_OUT_SEED = 256, 0
"""Photos that no run on a store trains on: the same ones for all, since one run may go on from another."""
TEACHER_STRIDE = 32
"""Pixels a cell of the teacher's map."""
MIN_VISIBLE = 0.4
"""A box stays in a crop while at least this share of it is visible there."""


@dataclass(frozen=True)
class ViewBatch:
    """B views: what the student sees and what it should say.

    Attributes:
        pixels: (B, S, S, 3) uint8.
        maps: (B, 7, 7, teacher channels) uint8, times the store's `map_scale`.
        boxes: B arrays (boxes, 4) xyxy in 0..1 of the view.
    """

    pixels: np.ndarray
    maps: np.ndarray
    boxes: list[np.ndarray]


class TeacherStore:
    """N photos with K views each.

    Raises:
        DataError: if a file is missing or damaged, or the row counts disagree.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        needed = ["photos.npy", "crops.npy", "boxes.json", "view_00.npy", "classifier.safetensors"]
        if missing := [name for name in needed if not (folder / name).exists()]:
            raise DataError(f"{folder}: not a teacher store, {', '.join(missing)} missing; run the recipe's teach.py")
        self.photos = open_array(folder / "photos.npy", 4)  # (N, pixels, pixels, 3)
        self.crops = open_array(folder / "crops.npy", 3)  # (N, K, 4)
        self.views = [open_array(path, 4) for path in sorted(folder.glob("view_[0-9][0-9].npy"))]
        self.classifier_weight, self.classifier_bias, scale = read_classifier(folder / "classifier.safetensors")
        self.map_scale = float(scale[0])
        if len(self.views) != self.crops.shape[1] or {len(each) for each in (self.crops, *self.views)} != {len(self)}:
            raise DataError(
                f"{folder}: {self.crops.shape[1]} views of {len(self)} photos expected, "
                f"{len(self.views)} found; run the recipe's teach.py to its end"
            )

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def view_size(self) -> int:
        """Pixels a side of what the teacher saw."""
        return self.views[0].shape[1] * TEACHER_STRIDE

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

    @cached_property
    def stages(self) -> list[list[np.ndarray]]:
        """What the teacher's stages pass on for each view, last its map.  # views × stages of (N, side, side, channels)

        Raises:
            DataError: if the store was written without them.
        """
        found = []
        for view, last in enumerate(self.views):
            files = sorted(self.folder.glob(f"view_{view:02d}_stage_*.npy"))
            if len(files) != len(self.stage_scales) - 1:
                raise DataError(
                    f"{self.folder}: {len(self.stage_scales) - 1} stages of view {view} expected, {len(files)} found; "
                    "run the recipe's teach.py to its end"
                )
            found.append([*(open_array(file, 4) for file in files), last])
        return found

    @cached_property
    def stage_scales(self) -> list[tuple[float, int]]:
        """Scale and zero point of each stage's bytes."""
        file = self.folder / "stages.json"
        if not file.exists():
            raise DataError(f"{file}: not found; run the recipe's teach.py once more, it adds the teacher's stages")
        try:
            scales = [(float(scale), int(zero)) for scale, zero in read_json(file, read_text(file))]
        except (TypeError, ValueError) as error:
            raise DataError(f"{file}: pairs of numbers expected ({error}); run the recipe's teach.py again") from error
        return [*scales, (self.map_scale, 0)]

    def stage_maps(self, stage: int, rows: np.ndarray, views: np.ndarray) -> Tensor:
        """What a stage of the teacher passes on for one view of each photo.  # (B, channels, side, side) float32"""
        scale, zero = self.stage_scales[stage]
        maps = np.stack([self.stages[view][stage][row] for row, view in zip(rows, views, strict=True)])
        return ((torch.from_numpy(maps).float() - zero) * scale).permute(0, 3, 1, 2)  # channels last in memory

    def pixels(self, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        """One view of each photo, at the size that the teacher saw.  # (B, S, S, 3) uint8"""
        return np.stack([self._pixels(row, view, self.view_size) for row, view in zip(rows, views, strict=True)])

    def channel_statistics(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of every teacher channel over the cells of some whole photos."""
        maps = self.views[0][np.sort(rows)].reshape(-1, self.views[0].shape[-1]).astype(np.float32) * self.map_scale
        return maps.mean(0), maps.std(0) + 1e-3

    def batch(self, rows: np.ndarray, size: int, rng: np.random.Generator | None) -> ViewBatch:
        """A random view of each photo at `size` pixels; without `rng` the whole photos.

        None is mirrored: the teacher pads its maps right and below only, so a mirrored map is not a mirrored photo's.
        """
        views = np.zeros(len(rows), int) if rng is None else rng.integers(len(self.views), size=len(rows))
        picks = list(zip(rows, views, strict=True))
        return ViewBatch(
            pixels=np.stack([self._pixels(row, view, size) for row, view in picks]),
            maps=np.stack([self.views[view][row] for row, view in picks]),
            boxes=[boxes_in_crop(self.boxes[row], self.crops[row, view], False)[0] for row, view in picks],
        )

    def _pixels(self, row: int, view: int, size: int) -> np.ndarray:
        photo = self.photos[row]
        crop = tuple(float(v) * side for v, side in zip(self.crops[row, view], photo.shape[1::-1] * 2, strict=True))
        return np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.BILINEAR, box=crop))


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


def read_classifier(file: Path) -> list[np.ndarray]:
    """The teacher's last layer: weight, bias, and what its map's bytes are multiplied by.

    Raises:
        DataError: if it is damaged.
    """
    try:
        tensors = load_file(file)
        return [tensors[name] for name in ("weight", "bias", "map_scale")]
    except (SafetensorError, OSError, KeyError) as error:
        raise DataError(f"{file}: damaged ({error}); remove it and run the recipe's teach.py again") from error


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
