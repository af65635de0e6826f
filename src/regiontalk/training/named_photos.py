"""Photos with named boxes: they teach words of things that captions seldom speak of, and where in a photo these are.

Axis names: B photos, M regions, N names, C cells of the map, T words, h shared space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from regiontalk.data import RegionStore
from regiontalk.errors import DataError
from regiontalk.evaluation.class_words import Words, known, synonyms
from regiontalk.language import Vocabulary
from regiontalk.settings import VisionSettings
from regiontalk.training.regions import Views, see_view
from regiontalk.training.snippets import Snippets
from regiontalk.training.teacher_store import TeacherStore
from regiontalk.vision.boxes import iou
from regiontalk.vision.roi_align import roi_weights

FEWEST = 30
"""A class with fewer boxes is not taught: the detector's rare classes are mostly its mistakes."""
MOST_BOXES = 12
"""Of one photo, in one batch."""
WINDOWS = 12
"""Other windows on each photo, so that a name is told from what lies around its thing."""
SMALLEST_VIEW = 0.5
"""Of a photo's sides: unlike a caption, a name holds for what is left of its box."""
SENTENCES = ("{}", "a {}", "the {}")
"""A name is read by itself or after an article, as chance has it."""


@dataclass(frozen=True)
class NamedBatch:
    """B photos with regions that show named things, parts of them, or none.

    Attributes:
        pixels: (B, S, S, 3) uint8.
        weights: (B, M, C) float32, RoIAlign's weights of each region; zero for missing ones.
        mask: (B, M), True on regions.
        overlap: (B, M, N) float32, the IoU of each region with the nearest box of each name.
        boxes: B arrays (m, 4) xyxy in 0..1, all boxes of the view, named or not.
        sentence: one of `SENTENCES`.
    """

    pixels: np.ndarray
    weights: np.ndarray
    mask: np.ndarray
    overlap: np.ndarray
    boxes: list[np.ndarray]
    sentence: str


class NamedPhotos:
    """The photos of a teacher store with the names of their boxes, an endless row of batches.

    Rare names come more often than they occur: a name is drawn by the square root of the number of its photos, then one
    of these. A batch is a function of the seed and the step alone.

    Args:
        store: the photos, their boxes and what these show.
        names: for each class what it is called, see `class_names`; boxes of other classes have no name.
        settings: size and side of the network that will see the photos.
        photos: B at most; a photo that is drawn twice counts once.
        seed: of all chance.
        jitter: see `Views`.

    Raises:
        DataError: if there is no name to learn.
    """

    def __init__(
        self,
        store: TeacherStore,
        names: dict[str, Words],
        settings: VisionSettings,
        photos: int,
        seed: int,
        jitter: float = 0.0,
    ) -> None:
        self.store, self.settings, self.photos, self.seed = store, settings, photos, seed
        self.views = Views(SMALLEST_VIEW, jitter)
        self.names = tuple(dict.fromkeys(names.values()))
        rows = {name: row for row, name in enumerate(self.names)}
        self.labels = [
            np.array([rows.get(names.get(label or "", ()), -1) for label in labels], np.int64)
            for labels in self.store.labels
        ]
        self.photos_of = [np.array([p for p, each in enumerate(self.labels) if row in each]) for row in rows.values()]
        if not self.names:
            raise DataError(no_names(store.folder))
        self.chance = np.sqrt([len(each) for each in self.photos_of])
        self.chance /= self.chance.sum()

    def batch(self, step: int) -> NamedBatch:
        rng = np.random.default_rng([self.seed, step, 3])
        drawn = rng.choice(len(self.names), self.photos, p=self.chance)
        rows = np.unique([rng.choice(self.photos_of[name]) for name in drawn])
        size, side = self.settings.size, self.settings.side
        most = MOST_BOXES + WINDOWS
        pixels = np.empty((len(rows), size, size, 3), np.uint8)
        weights = np.zeros((len(rows), most, side * side), np.float32)
        mask, overlap = np.zeros((len(rows), most), bool), np.zeros((len(rows), most, len(self.names)), np.float32)
        every = []
        for i, row in enumerate(rows):
            pixels[i], boxes, labels = self.view(row, rng)
            regions = draw_regions(boxes[labels >= 0], rng)
            count = len(regions)
            mask[i, :count] = True
            weights[i, :count] = roi_weights(regions, side)
            overlap[i, :count] = overlap_with_names(regions, boxes, labels, len(self.names))
            every.append(boxes)
        sentence = SENTENCES[rng.integers(len(SENTENCES))]
        return NamedBatch(pixels, weights, mask, overlap, every, sentence)

    def view(self, row: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A photo's pixels through a random window, the boxes in it (m, 4) and their names' rows (m,), -1 for none."""
        photo = Image.fromarray(self.store.photos[row])
        pixels, boxes, visible = see_view(photo, self.store.boxes[row], self.settings.size, rng, self.views)
        return pixels, boxes.astype(np.float32), self.labels[row][visible]


def class_names(store: TeacherStore, vocabulary: Container[str]) -> dict[str, Words]:
    """What each class that is frequent enough is called: its first synonym that the vocabulary knows, else its first.

    Two classes may be called alike (Pascal VOC's and COCO's names of one thing).
    """
    counts = Counter(synonyms(label)[0] for labels in store.labels for label in labels if label is not None)
    labels = sorted({label for each in store.labels for label in each if label is not None})
    frequent = [label for label in labels if counts[synonyms(label)[0]] >= FEWEST]
    return {label: (*known(synonyms(label), vocabulary), synonyms(label)[0])[0] for label in frequent}


def named_texts(photos: TeacherStore, store: RegionStore, vocabulary: Vocabulary) -> Snippets:
    """Every named box as a text, "a cat", about its region.

    Args:
        store: the features of the boxes, see `store_boxes`.

    Raises:
        DataError: if there is no name to learn.
    """
    names = sayable_names(photos, vocabulary)
    if not names:
        raise DataError(no_names(photos.folder))
    said = {name: vocabulary.encode(with_article(name)) for name in sorted(set(names.values()))}
    ids, rows, regions = [], [], []
    for photo, labels in enumerate(photos.labels):
        kept = labels[: int(store.counts[photo]) - 1]
        for region, name in enumerate((names.get(label or "") for label in kept), start=1):
            if name is not None:
                ids.append(said[name])
                rows.append(photo)
                regions.append(region)
    return Snippets(tuple(ids), np.array(rows, np.int64), np.array(regions, np.int64))


def with_article(name: Words) -> Words:
    """A name as a caption would have it.

    >>> with_article(("umbrella",)), with_article(("skis",)), with_article(("wine", "glass"))
    (('an', 'umbrella'), ('skis',), ('a', 'wine', 'glass'))
    """
    plural = name[-1].endswith("s") and not name[-1].endswith(("ss", "us"))
    return name if plural else ("an" if name[0][0] in "aeiou" else "a", *name)


def sayable_names(store: TeacherStore, vocabulary: Container[str]) -> dict[str, Words]:
    """Those of `class_names` of which the vocabulary knows every word."""
    names = class_names(store, vocabulary)
    return {label: name for label, name in names.items() if known([name], vocabulary)}


def no_names(folder: Path) -> str:
    return f"{folder}: no class with {FEWEST} boxes has a name that the vocabulary knows; there are no names to learn"


def draw_regions(named: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Regions about the named boxes (n, 4): nearly each of them, windows askew of them, windows anywhere.  # (M, 4)"""
    chosen = named[rng.permutation(len(named))[:MOST_BOXES]]
    askew = chosen[rng.integers(len(chosen), size=WINDOWS // 2)] if len(chosen) else named[:0]
    sides = rng.uniform(0.1, 1, (WINDOWS - WINDOWS // 2, 2))
    origin = rng.random(sides.shape) * (1 - sides)
    anywhere = np.concatenate([origin, origin + sides], axis=1)
    return np.concatenate([move_boxes(chosen, 0.05, 0.1, rng), move_boxes(askew, 0.4, 0.8, rng), anywhere])


def move_boxes(boxes: np.ndarray, shift: float, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Boxes (n, 4) in 0..1 with each side moved by up to `shift` of it and scaled by up to e^±`scale`, kept inside."""
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + sides * (0.5 + rng.uniform(-shift, shift, sides.shape))
    half = sides * np.exp(rng.uniform(-scale, scale, sides.shape)) / 2
    return np.concatenate([centres - half, centres + half], axis=1).clip(0, 1)


def overlap_with_names(regions: np.ndarray, boxes: np.ndarray, labels: np.ndarray, names: int) -> np.ndarray:
    """The IoU of each region with the nearest box of each name; 0 for names that the photo has no box of.  # (M, N)"""
    overlap = np.zeros((len(regions), names), np.float32)
    each = iou(regions, boxes)
    for name in np.unique(labels[labels >= 0]):
        overlap[:, name] = each[:, labels == name].max(1)
    return overlap


def encode_names(
    names: tuple[Words, ...], sentence: str, vocabulary: Vocabulary
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Names in a sentence: ids (N, T), mask (N, T), and where the name itself stands (N, T)."""
    before = sentence.split("{}")[0].split()
    words = [[*before, *name] for name in names]
    longest = max(map(len, words))
    ids = np.zeros((len(names), longest), np.int64)
    for row, each in enumerate(words):
        ids[row, : len(each)] = vocabulary.encode(each)
    places, lengths = np.arange(longest), np.array([len(each) for each in words])[:, None]
    mask = places < lengths
    return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(mask & (places >= len(before)))
