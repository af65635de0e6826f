"""Resumable on-disk stores of region features, filled once by a vision graph."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regiontalk.data import Dataset, RegionStore, RegionStoreWriter
from regiontalk.photos import open_photo, prepare
from regiontalk.settings import VisionSettings
from regiontalk.training.loop import progress_bar
from regiontalk.training.regions import STORED_VIEWS, pad_rows, see_view, unit_boxes
from regiontalk.vision.boxes import WHOLE, roi_align
from regiontalk.vision.session import BATCH, VisionSession

CHUNK = 64


def store_regions(
    graph: bytes,
    settings: VisionSettings,
    dataset: Dataset,
    folder: Path,
    max_pixels: int | None = None,
) -> RegionStore:
    """Store the region features of every photo of a dataset; resumable.

    Raises:
        DataError: if `folder` holds regions of another graph.
        PhotoError: if a photo cannot be read.
    """
    files = dataset.files

    def look(session: VisionSession, rows: range) -> list[PhotoRegions]:
        photos = [
            open_photo(files[row], max_pixels=max_pixels, min_side=settings.size) for row in rows
        ]
        return [
            PhotoRegions(r.features, r.boxes_xyxy, r.scores, (r.width, r.height))
            for r in session.look(photos)
        ]

    return fill_store(
        graph,
        settings,
        folder,
        names_below_common_folder(files),
        f"regions of {dataset.split}",
        look,
    )


def store_boxes(
    graph: bytes,
    settings: VisionSettings,
    files: Sequence[Path],
    boxes: Sequence[np.ndarray],
    folder: Path,
    max_pixels: int | None = None,
) -> RegionStore:
    """Store the features of given boxes (n, 4) in 0..1, the whole photo first.

    At most `settings.proposals` boxes of a photo, the first ones.

    Raises:
        DataError: if `folder` holds regions of another graph, or of other boxes.
    """
    names = [
        f"{row} {hashlib.sha256(each.tobytes()).hexdigest()[:16]}" for row, each in enumerate(boxes)
    ]

    def look(session: VisionSession, rows: range) -> list[PhotoRegions]:
        images = [
            open_photo(files[row], max_pixels=max_pixels, min_side=settings.size).image
            for row in rows
        ]
        some = [np.concatenate([WHOLE[None], boxes[row]])[: settings.proposals + 1] for row in rows]
        found = features_of(session, [prepare(image, settings.size) for image in images], some)
        return [PhotoRegions(f, own, np.ones(len(own))) for f, own in zip(found, some, strict=True)]

    return fill_store(graph, settings, folder, names, "named boxes", look)


def store_view(
    graph: bytes,
    settings: VisionSettings,
    dataset: Dataset,
    store: RegionStore,
    folder: Path,
    number: int,
    max_pixels: int | None = None,
) -> RegionStore:
    """Store the region features of a random view of every photo; resumable.

    Args:
        store: the photos' regions, of which those that stay visible are kept.
        number: of the view, a seed of its window.

    Raises:
        DataError: if `folder` holds regions of another graph.
        PhotoError: if a photo cannot be read.
    """
    files = dataset.files

    def look(session: VisionSession, rows: range) -> list[PhotoRegions]:
        pixels, boxes, scores = [], [], []
        for row in rows:
            image = open_photo(files[row], max_pixels=max_pixels, min_side=settings.size).image
            rng, count = np.random.default_rng([row, number, 4]), int(store.counts[row])
            own = unit_boxes(store, row)[1:count]
            seen, found, visible = see_view(image, own, settings.size, rng, STORED_VIEWS)
            pixels.append(seen)
            boxes.append(np.concatenate([WHOLE[None], found]).astype(np.float32))
            scores.append(np.concatenate([[1], store.scores[row, 1:count][visible]]))
        return list(map(PhotoRegions, features_of(session, pixels, boxes), boxes, scores))

    names = names_below_common_folder(files)
    return fill_store(graph, settings, folder, names, f"view {number} of {dataset.split}", look)


def store_views(
    graph: bytes,
    settings: VisionSettings,
    dataset: Dataset,
    store: RegionStore,
    folder: Path,
    count: int,
    max_pixels: int | None = None,
) -> list[RegionStore]:
    """`store_view` for numbers below `count`, in `folder` under the split's name and the number."""
    every = ((number, folder / f"{dataset.split}_view_{number}") for number in range(count))
    return [
        store_view(graph, settings, dataset, store, place, number, max_pixels)
        for number, place in every
    ]


@dataclass(frozen=True)
class PhotoRegions:
    """A photo's features (m, D), boxes (m, 4), scores (m,), and its (width, height)."""

    features: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    size: tuple[int, int] = (1, 1)


def fill_store(
    graph: bytes,
    settings: VisionSettings,
    folder: Path,
    names: list[str],
    what: str,
    look: Callable[[VisionSession, range], list[PhotoRegions]],
) -> RegionStore:
    """Create or resume a store of photos of these names; `look` computes a range of its rows."""
    most = settings.proposals + 1
    no_projection = {
        "W_m": np.zeros((settings.feature_dim, 1), np.float32),
        "b_m": np.zeros(1, np.float32),
    }
    session = VisionSession(graph, no_projection, settings)
    # Of all that determines the features
    checksum = hashlib.sha256(graph + json.dumps(settings.to_json()).encode()).hexdigest()
    writer = RegionStoreWriter.open(
        folder, names=names, regions=most, dim=settings.feature_dim, vision_checksum=checksum
    )
    with progress_bar() as progress:
        bar = progress.add_task(what, total=len(names), completed=writer.done)
        while writer.done < len(names):
            seen = look(session, range(writer.done, min(writer.done + CHUNK, len(names))))
            writer.append(
                features=pad_rows([each.features for each in seen], most),
                boxes=pad_rows([each.boxes for each in seen], most),
                scores=pad_rows([each.scores for each in seen], most),
                counts=np.array([len(each.boxes) for each in seen]),
                sizes=np.array([each.size for each in seen]),
            )
            progress.update(bar, completed=writer.done)
    store = writer.finish()
    store.verify()  # training would not notice damage to an old store
    return store


def features_of(
    session: VisionSession, pixels: list[np.ndarray], boxes: list[np.ndarray]
) -> list[np.ndarray]:
    """RoIAlign features (m, D) of the boxes (m, 4) of prepared photos (S, S, 3), in batches."""
    parts = np.array_split(np.stack(pixels), -(-len(pixels) // BATCH))
    maps = np.concatenate([session.run(some)[0] for some in parts])  # (B, C, D)
    return [roi_align(own, feature_map) for own, feature_map in zip(boxes, maps, strict=True)]


def names_below_common_folder(files: list[Path]) -> list[str]:
    """Unique names of files, relative to their common folder: a move of all keeps the names."""
    base = files[0].parent if len(files) == 1 else Path(os.path.commonpath(files))
    return [file.relative_to(base).as_posix() for file in files]
