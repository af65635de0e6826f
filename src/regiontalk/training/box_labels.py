"""Box labels: photos whose boxes have class names, as a training signal beside captions.

Axis names: B photos, M regions, N names, C cells of the map, T words, h shared space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from regiontalk.data import RegionStore
from regiontalk.data.boxes import json_objects
from regiontalk.errors import DataError
from regiontalk.evaluation.class_words import Words, known, synonyms
from regiontalk.language import Vocabulary
from regiontalk.photos import open_photo
from regiontalk.settings import VisionSettings
from regiontalk.training.regions import Views, pad_rows, region_weights, see_view
from regiontalk.training.sentences import Snippets
from regiontalk.vision.boxes import area, iou

FEWEST = 15
"""Names with fewer boxes are left out: a detector's rare classes are mostly its mistakes."""
MOST_BOXES = 12
"""Labelled boxes of a photo in a batch, at most."""
WINDOWS = 12
"""Random windows on each photo beside them, so that a name is learnt apart from the surroundings of
its object."""
SMALLEST_VIEW = 0.5
"""Smallest random crop, as a share of a photo's sides: unlike a caption, a box label stays valid
for the visible part of its box."""
LARGEST_THING = 0.95
"""Share of a photo's area. Larger boxes describe the whole photo, do not localise an object, and
are no targets of proposals."""
SENTENCES = ("{}", "a {}", "the {}")
"""Templates of a name, one of them drawn for each batch: alone or after an article."""


@dataclass(frozen=True)
class BoxLabels:
    """Photos with labelled boxes.

    Attributes:
        file: they were read from.
        photos: N files.
        boxes: N arrays (n, 4) float32, xyxy in 0..1 of the photo's sides.
        names: class names of each box of each photo, possibly none, the most confident first.
    """

    file: Path
    photos: tuple[Path, ...]
    boxes: tuple[np.ndarray, ...]
    names: tuple[tuple[tuple[str, ...], ...], ...]

    def __len__(self) -> int:
        return len(self.photos)

    def some(self, rows: np.ndarray) -> BoxLabels:
        """The subset of these photos."""
        photos, boxes = (
            tuple(self.photos[row] for row in rows),
            tuple(self.boxes[row] for row in rows),
        )
        return BoxLabels(self.file, photos, boxes, tuple(self.names[row] for row in rows))

    @cached_property
    def counts(self) -> Counter[str]:
        """Number of boxes of each name."""
        return Counter(name for photo in self.names for box in photo for name in box)


def read_box_labels(file: Path) -> BoxLabels:
    """Read box labels from `boxes.jsonl`, one JSON object per line and photo.

    {"file_name", "boxes": [{"box": [x1, y1, x2, y2], "names": [...]}]}. Boxes are in 0..1 of the
    photo's sides, file names relative to the file's folder.

    Raises:
        DataError: if the file cannot be read, a line is not such an object, or there is none.
    """
    photos, boxes, names = [], [], []
    for number, entry in json_objects(file):
        try:
            things = entry["boxes"]
            found = np.array([thing["box"] for thing in things], np.float32).reshape(-1, 4)
            said = tuple(tuple(thing["names"]) for thing in things)
            path = file.parent / entry["file_name"]
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(f"{file}, line {number}: {LINE} expected ({error})") from error
        if not is_sound(found, said):
            raise DataError(
                f"{file}, line {number}: {LINE} expected, "
                "boxes with an area in 0..1 and names in words"
            )
        photos.append(path)
        boxes.append(found)
        names.append(said)
    if not photos:
        raise DataError(f"{file}: holds no photo")
    return BoxLabels(file, tuple(photos), tuple(boxes), tuple(names))


LINE = '{"file_name", "boxes": [{"box": [x1, y1, x2, y2], "names": [...]}]}'


def is_sound(boxes: np.ndarray, names: tuple[tuple[Any, ...], ...]) -> bool:
    """Whether boxes (n, 4) lie in 0..1 with a positive area, and names are non-blank strings."""
    inside = (
        np.isfinite(boxes).all()
        and (boxes >= 0).all()
        and (boxes <= 1).all()
        and (area(boxes) > 0).all()
    )
    return bool(inside) and all(
        isinstance(name, str) and name.strip() for box in names for name in box
    )


@dataclass(frozen=True)
class NamedBatch:
    """B photos with regions on and beside labelled boxes.

    Attributes:
        pixels: (B, S, S, 3) uint8.
        weights: (B, M, C) float32, RoIAlign weights of each region; zero for missing ones.
        mask: (B, M), True on regions.
        overlap: (B, M, N) float32, the largest IoU of each region with a box of each name.
        boxes: B arrays (m, 4) xyxy in 0..1, all boxes of the view below `LARGEST_THING`, named or
            not.
        sentence: one of `SENTENCES`.
    """

    pixels: np.ndarray
    weights: np.ndarray
    mask: np.ndarray
    overlap: np.ndarray
    boxes: list[np.ndarray]
    sentence: str


@dataclass(frozen=True)
class NamedFeatures:
    """As `NamedBatch`, with cached features of a fixed vision network and no random windows.

    Attributes:
        features: (B, M, D) float32.
        mask, overlap, sentence: as of `NamedBatch`.
    """

    features: np.ndarray
    mask: np.ndarray
    overlap: np.ndarray
    sentence: str


class NamedPhotos:
    """Endless batches of photos with box labels; rare names are oversampled.

    A name is drawn in proportion to the square root of the number of its photos, then one of these
    photos uniformly. A batch is a function of the seed and the step alone.

    Args:
        labels: photos, boxes and names.
        names: the words of each label, see `class_names`; other labels are left out.
        photos: B at most; a photo that is drawn twice counts once.
        seed: of all sampling.
        jitter: see `Views`.
        max_pixels: see `open_photo`.

    Raises:
        DataError: if there is no name to learn.
    """

    def __init__(
        self,
        labels: BoxLabels,
        names: dict[str, Words],
        photos: int,
        seed: int,
        jitter: float = 0.0,
        max_pixels: int | None = None,
    ) -> None:
        self.source, self.photos, self.seed, self.max_pixels = labels, photos, seed, max_pixels
        self.views = Views(SMALLEST_VIEW, jitter)
        self.names = tuple(dict.fromkeys(names.values()))
        if not self.names:
            raise DataError(no_names(labels.file))
        rows = {words: row for row, words in enumerate(self.names)}
        row_of = {label: rows[words] for label, words in names.items()}
        self.rows = [
            [[row_of[n] for n in box if n in row_of] for box in photo] for photo in labels.names
        ]
        photos_of: list[list[int]] = [[] for _ in self.names]
        for photo, boxes in enumerate(self.rows):
            for row in {row for box in boxes for row in box}:
                photos_of[row].append(photo)
        self.photos_of = [np.array(each) for each in photos_of]
        self.chance = np.sqrt([len(each) for each in self.photos_of])
        self.chance /= self.chance.sum()

    def batch(self, step: int, settings: VisionSettings) -> NamedBatch:
        """Random views of sampled photos, for a vision network of these settings."""
        rng = np.random.default_rng([self.seed, step, 3])
        rows, most = self.draw(rng), MOST_BOXES + WINDOWS
        pixels, regions, overlap, every = [], [], [], []
        for row in rows:
            image = open_photo(
                self.source.photos[row], max_pixels=self.max_pixels, min_side=settings.size
            ).image
            seen, boxes, visible = see_view(
                image, self.source.boxes[row], settings.size, rng, self.views
            )
            named = [names for names, stays in zip(self.rows[row], visible, strict=True) if stays]
            pixels.append(seen)
            regions.append(draw_regions(boxes[[bool(names) for names in named]], rng))
            overlap.append(overlap_with_names(regions[-1], boxes, named, len(self.names)))
            every.append(boxes[area(boxes) < LARGEST_THING].astype(np.float32))
        weights, mask = region_weights(regions, settings.side, most)
        sentence = SENTENCES[rng.integers(len(SENTENCES))]
        return NamedBatch(np.stack(pixels), weights, mask, pad_rows(overlap, most), every, sentence)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Rows of sampled photos, distinct and ascending."""
        drawn = rng.choice(len(self.names), self.photos, p=self.chance)
        found: np.ndarray = np.unique([rng.choice(self.photos_of[name]) for name in drawn])
        return found

    def stored(self, step: int, store: RegionStore) -> NamedFeatures:
        """Sampled photos with cached features of their boxes, see `region_stores.store_boxes`."""
        rng = np.random.default_rng([self.seed, step, 3])
        rows = self.draw(rng)
        features, counts = store.features[rows].astype(np.float32), np.asarray(store.counts[rows])
        places = np.arange(features.shape[1])
        # Region 0, the whole photo, has no label
        mask = (places >= 1) & (places < counts[:, None])
        overlap = np.zeros((*mask.shape, len(self.names)), np.float32)
        for each, row, count in zip(overlap, rows, counts, strict=True):
            boxes = self.source.boxes[row][: count - 1]
            each[1:count] = overlap_with_names(
                boxes, boxes, self.rows[row][: count - 1], len(self.names)
            )
        return NamedFeatures(features, mask, overlap, SENTENCES[rng.integers(len(SENTENCES))])


def class_names(labels: BoxLabels, vocabulary: Container[str]) -> dict[str, Words]:
    """Class name of each frequent label: its first synonym in the vocabulary, else its first.

    Labels may share a name (Pascal VOC's and COCO's of one class), and are then counted together.
    """
    called = Counter[Words]()
    for label, count in labels.counts.items():
        called[synonyms(label)[0]] += count
    frequent = sorted(label for label in labels.counts if called[synonyms(label)[0]] >= FEWEST)
    return {
        label: (*known(synonyms(label), vocabulary), synonyms(label)[0])[0] for label in frequent
    }


def learnt_vocabulary(
    captions: Sequence[Sequence[Sequence[Sequence[str]]]], labels: BoxLabels | None, min_count: int
) -> Vocabulary:
    """Vocabulary of all captions, by dataset and photo, and of the box labels' names.

    The words of these names are kept whatever their number.
    """
    every = [words for dataset in captions for photo in dataset for words in photo]
    vocabulary = Vocabulary.from_captions(every, min_count)
    if labels is None:
        return vocabulary
    always = [word for name in class_names(labels, vocabulary).values() for word in name]
    return Vocabulary.from_captions(every, min_count, always)


def named_texts(
    labels: BoxLabels,
    store: RegionStore,
    vocabulary: Vocabulary,
    described: Sequence[Sequence[Sequence[Words]]] = (),
) -> Snippets:
    """Texts about labelled boxes: noun phrases of captions, or else the surest name, "a cat".

    Args:
        store: the features of the boxes, see `store_boxes`.
        described: noun phrases that captions have for each box of each photo; empty for names
            alone.

    Raises:
        DataError: if there is no name to learn.
    """
    names = sayable_names(labels, vocabulary)
    if not names:
        raise DataError(no_names(labels.file))
    ids, rows, regions = [], [], []
    for photo, boxes in enumerate(labels.names):
        for region, box in enumerate(boxes[: int(store.counts[photo]) - 1], start=1):
            if sayable := [names[label] for label in box if label in names]:
                phrases = described[photo][region - 1] if described else ()
                for words in phrases or [with_article(sayable[0])]:
                    ids.append(vocabulary.encode(words))
                    rows.append(photo)
                    regions.append(region)
    return Snippets(tuple(ids), np.array(rows, np.int64), np.array(regions, np.int64))


def with_article(name: Words) -> Words:
    """A name with its indefinite article; plurals have none.

    >>> with_article(("umbrella",)), with_article(("skis",)), with_article(("wine", "glass"))
    (('an', 'umbrella'), ('skis',), ('a', 'wine', 'glass'))
    """
    plural = name[-1].endswith("s") and not name[-1].endswith(("ss", "us"))
    return name if plural else ("an" if name[0][0] in "aeiou" else "a", *name)


def sayable_names(labels: BoxLabels, vocabulary: Container[str]) -> dict[str, Words]:
    """The entries of `class_names` whose words are all in the vocabulary."""
    names = class_names(labels, vocabulary)
    return {label: name for label, name in names.items() if known([name], vocabulary)}


def no_names(file: Path) -> str:
    return (
        f"{file}: no name of {FEWEST} boxes has words that the vocabulary knows; "
        "there are no names to learn"
    )


def draw_regions(named: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Jittered boxes out of (n, 4), misaligned windows around them, random windows.  # (M, 4)"""
    chosen = named[rng.permutation(len(named))[:MOST_BOXES]]
    askew = chosen[rng.integers(len(chosen), size=WINDOWS // 2)] if len(chosen) else named[:0]
    sides = rng.uniform(0.1, 1, (WINDOWS - WINDOWS // 2, 2))
    origin = rng.random(sides.shape) * (1 - sides)
    anywhere = np.concatenate([origin, origin + sides], axis=1)
    return np.concatenate(
        [move_boxes(chosen, 0.05, 0.1, rng), move_boxes(askew, 0.4, 0.8, rng), anywhere]
    )


def move_boxes(
    boxes: np.ndarray, shift: float, scale: float, rng: np.random.Generator
) -> np.ndarray:
    """Boxes (n, 4) in 0..1 randomly shifted and scaled, and clipped to the photo.

    Each side is moved by up to `shift` of it and scaled by up to e^±`scale`.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + sides * (0.5 + rng.uniform(-shift, shift, sides.shape))
    half = sides * np.exp(rng.uniform(-scale, scale, sides.shape)) / 2
    return np.concatenate([centres - half, centres + half], axis=1).clip(0, 1)


def overlap_with_names(
    regions: np.ndarray, boxes: np.ndarray, named: list[list[int]], names: int
) -> np.ndarray:
    """The largest IoU of each region with a box of each name; 0 for absent names.  # (M, N)

    Args:
        regions: (M, 4); boxes: (n, 4).
        named: name rows of each box.
        names: N.
    """
    overlap = np.zeros((len(regions), names), np.float32)
    each = iou(regions, boxes)  # (M, n)
    for box, rows in enumerate(named):
        overlap[:, rows] = np.maximum(overlap[:, rows], each[:, [box]])
    return overlap


def encode_names(
    names: tuple[Words, ...], sentence: str, vocabulary: Vocabulary
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Encode names in a template: ids (N, T), mask (N, T), and mask of the name alone (N, T)."""
    before = sentence.split("{}")[0].split()
    words = [[*before, *name] for name in names]
    longest = max(map(len, words))
    ids = np.zeros((len(names), longest), np.int64)
    for row, each in enumerate(words):
        ids[row, : len(each)] = vocabulary.encode(each)
    places, lengths = np.arange(longest), np.array([len(each) for each in words])[:, None]
    mask = places < lengths
    return (
        torch.from_numpy(ids),
        torch.from_numpy(mask),
        torch.from_numpy(mask & (places >= len(before))),
    )
