"""Sources of region features in training: a store on disk, or the network being fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor, nn

from regiontalk.data import RegionStore
from regiontalk.photos import open_photo, prepare
from regiontalk.settings import VisionSettings
from regiontalk.training.vision_net import VisionNet
from regiontalk.vision.boxes import WHOLE, roi_weights

SAMPLE_PHOTOS = 500
CHANGES = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@dataclass(frozen=True)
class Views:
    """Augmentation by random views: a crop with colour jitter, mirrored half of the time.

    Attributes:
        smallest: smallest crop, as a share of the photo's sides. At 0.75 nearly all objects that a
            caption mentions stay in view.
        jitter: brightness, contrast and colour are multiplied by 1 - jitter to 1 + jitter.
    """

    smallest: float = 0.75
    jitter: float = 0.0


@dataclass(frozen=True)
class SeenBatch:
    """B photos for the vision network.

    Attributes:
        pixels: (B, S, S, 3) uint8.
        weights: (B, M, C) float32, RoIAlign weights of each region; zero for missing ones.
        mask: (B, M), True on regions.
        boxes: B arrays (m, 4) xyxy in 0..1, the regions without the whole photo.
    """

    pixels: np.ndarray
    weights: np.ndarray
    mask: np.ndarray
    boxes: list[np.ndarray]


MIN_VISIBLE = 0.4
"""Share of a box's area that must be visible in a view for the box to be kept."""
STORED_VIEWS = Views(smallest=0.7, jitter=0.2)
"""Augmentation of `store_view`."""


class CachedFeatures:
    """Cached features of a fixed vision network, of photos and possibly random views of them."""

    def __init__(self, store: RegionStore, device: str, views: Sequence[RegionStore] = ()) -> None:
        self.store, self.device, self.views = store, device, views

    def load(
        self, rows: np.ndarray, rng: np.random.Generator | None, settings: VisionSettings
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features and mask of photos, all in one view drawn by `rng`; of whole photos without."""
        looks = (self.store, *self.views)
        store = looks[0 if rng is None else rng.integers(len(looks))]
        features = store.features[rows].astype(np.float32)
        return features, np.arange(features.shape[1]) < np.asarray(store.counts[rows])[:, None]

    def features(self, loaded: Any) -> tuple[Tensor, Tensor]:
        features, mask = (torch.from_numpy(each).to(self.device) for each in loaded)
        return features, mask


class LiveFeatures:
    """Features computed by the vision network that is being fine-tuned, on the boxes of a store."""

    def __init__(
        self,
        network: VisionNet,
        store: RegionStore,
        files: list[Path],
        device: str,
        views: Views = Views(),
        max_pixels: int | None = None,
    ) -> None:
        self.network, self.store, self.files, self.device, self.views = (
            network,
            store,
            files,
            device,
            views,
        )
        self.max_pixels = max_pixels

    def load(
        self, rows: np.ndarray, rng: np.random.Generator | None, settings: VisionSettings
    ) -> SeenBatch:
        """The photos and their boxes: random views by `rng`, or whole photos without it."""
        pixels, regions = [], []
        for row in rows:
            image = open_photo(
                self.files[row], max_pixels=self.max_pixels, min_side=settings.size
            ).image
            proposed = unit_boxes(self.store, row)[1 : self.store.counts[row]]
            seen, found, _ = see_view(image, proposed, settings.size, rng, self.views)
            pixels.append(seen)
            regions.append(np.concatenate([WHOLE[None], found]))
        weights, mask = region_weights(regions, settings.side, self.store.features.shape[1])
        return SeenBatch(
            np.stack(pixels), weights, mask, [each[1:].astype(np.float32) for each in regions]
        )

    def features(self, loaded: Any) -> tuple[Tensor, Tensor]:
        return self.read(self.network.see(loaded.pixels, self.device), loaded)

    def read(self, feature_map: Tensor, loaded: SeenBatch) -> tuple[Tensor, Tensor]:
        """RoIAlign on a map (B, D, side, side) → features (B, M, D), mask (B, M)."""
        features = read_map(feature_map, torch.from_numpy(loaded.weights).to(self.device))
        return features, torch.from_numpy(loaded.mask).to(self.device)


def region_weights(
    regions: Sequence[np.ndarray], side: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """RoIAlign weights (B, most, C) of B photos' regions (m, 4), zero-padded; mask (B, most)."""
    mask = np.arange(most) < np.array([len(each) for each in regions])[:, None]
    return pad_rows([roi_weights(each, side) for each in regions], most), mask


def read_map(feature_map: Tensor, weights: Tensor) -> Tensor:
    """RoIAlign by its weights (B, M, C) on a map (B, D, side, side).  # (B, M, D)"""
    return weights @ feature_map.float().flatten(2).transpose(1, 2)


def random_view(rng: np.random.Generator, smallest: float) -> tuple[np.ndarray, bool]:
    """A random crop window, xyxy in 0..1, and whether it is mirrored.

    Args:
        smallest: least share of the photo's sides.
    """
    extent = rng.uniform(smallest, 1)
    origin = rng.uniform(0, 1 - extent, size=2)
    return np.concatenate([origin, origin + extent]), bool(rng.random() < 0.5)


def see_view(
    image: Image.Image, boxes: np.ndarray, size: int, rng: np.random.Generator | None, views: Views
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random view of a photo, or all of it without `rng`.

    Args:
        boxes: (n, 4) xyxy in 0..1 of the photo.
        size: S, pixels a side.
        views: the augmentation.

    Returns:
        pixels (S, S, 3), the visible boxes (m, 4) in 0..1 of the view, and which these are, (n,)
            bool.
    """
    window, mirror = (WHOLE, False) if rng is None else random_view(rng, views.smallest)
    corners = np.round(window.reshape(2, 2) * image.size).astype(int).ravel()
    found, visible = boxes_in_crop(boxes, corners / np.tile(image.size, 2), mirror)
    view = image.crop(tuple(corners))
    squashed = prepare(view if rng is None else jittered(view, rng, views.jitter), size)
    return squashed[:, ::-1] if mirror else squashed, found, visible


def boxes_in_crop(
    boxes: np.ndarray, crop: np.ndarray, mirror: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) of a photo in the coordinates of a crop, without mostly hidden ones.

    (m, 4), all in 0..1; and which of them are kept, (n,) bool.
    """
    origin, extent = crop[:2], crop[2:] - crop[:2]
    moved = (boxes.reshape(-1, 2, 2) - origin) / extent
    clipped = moved.clip(0, 1)
    area, visible = (moved[:, 1] - moved[:, 0]).prod(-1), (clipped[:, 1] - clipped[:, 0]).prod(-1)
    kept = visible > MIN_VISIBLE * area
    found = clipped[kept].reshape(-1, 4)
    return found[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0] if mirror else found, kept


def jittered(image: Image.Image, rng: np.random.Generator, jitter: float) -> Image.Image:
    """Colour jitter: brightness, contrast and colour, in random order, see `Views`."""
    if jitter > 0:
        for which in rng.permutation(len(CHANGES)):
            image = CHANGES[which](image).enhance(rng.uniform(1 - jitter, 1 + jitter))
    return image


FeatureSource = CachedFeatures | LiveFeatures
"""Gives features of the regions of some photos in two steps: `load` may be prefetched by another
thread or process and uses no GPU, `features` converts its result to features (B, M, D) and a mask
(B, M) on the network's device."""


def resized(settings: VisionSettings, size: int) -> VisionSettings:
    """The settings of the same network for photos of `size` pixels a side."""
    return replace(settings, size=size, side=size * settings.side // settings.size)


def sample_features(source: FeatureSource) -> np.ndarray:
    """Region features of the first photos, for standardisation.  # (n, D)"""
    rows = np.arange(min(SAMPLE_PHOTOS, len(source.store.counts)))
    counts = np.asarray(source.store.counts[rows])
    present = np.arange(source.store.features.shape[1]) < counts[:, None]
    return np.asarray(source.store.features[rows], np.float32)[present]


def unit_boxes(store: RegionStore, row: int) -> np.ndarray:
    """A photo's boxes in 0..1.  # (M, 4)"""
    width, height = store.sizes[row]
    return np.asarray(store.boxes[row], np.float64) / [width, height, width, height]


def freeze_normalisation(network: nn.Module) -> None:
    """Keep batch normalisation at its running statistics: batches are small and homogeneous."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def pad_rows(arrays: list[np.ndarray], rows: int) -> np.ndarray:
    """Arrays (m, ...) → (B, rows, ...), zero-padded."""
    padded = np.zeros((len(arrays), rows, *arrays[0].shape[1:]), np.float32)
    for target, array in zip(padded, arrays, strict=True):
        target[: len(array)] = array
    return padded
