"""What captioners learn from: texts, each with what is seen when it is said.

Axis names: X context dimensions, D visual features, M regions, R dimensions of a region as the attention reads it,
B texts, T words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from regiontalk.alignment.score import pad
from regiontalk.captioning.contexts import GEOMETRY, Contexts, region_inputs, without_regions
from regiontalk.data import RegionStore
from regiontalk.errors import DataError
from regiontalk.evaluation.class_words import Words
from regiontalk.files import read_text
from regiontalk.language import Vocabulary, tokenise
from regiontalk.model import distinct_rows
from regiontalk.training.caption_names import Boxes, Names, showing
from regiontalk.training.regions import unit_boxes
from regiontalk.training.snippets import Snippets

LARGEST_TEXT = 1 << 30


@dataclass(frozen=True)
class Glance:
    """What is seen when one text is said.

    Attributes:
        whole: (X,), see `Contexts`.
        regions: (M, R), none for a captioner without attention; the whole photo first, if it is seen.
        shown: whether the whole photo is seen.
        things: words of the text that name what regions show: the word's place, and which regions (M,).
    """

    whole: np.ndarray
    regions: np.ndarray
    shown: bool = True
    things: tuple[tuple[int, np.ndarray], ...] = ()

    def without_whole(self) -> Glance:
        """The same with the regions alone."""
        things = tuple((place, rows[1:]) for place, rows in self.things)
        return Glance(self.whole, self.regions[1:], False, things)


class Source(Protocol):
    """Texts, and what is seen of each."""

    @property
    def ids(self) -> Sequence[np.ndarray]:
        """The texts as ids (t,)."""

    def glance(self, row: int, rng: np.random.Generator | None) -> Glance:
        """What is seen of a text; where chance plays a part, it comes from `rng`."""


class Described:
    """Texts about photos or their regions.

    Args:
        texts: what is said.
        looked: regions of the photos, and then of other views of them, one of which is seen as chance has it: the
            alignment has seen the photos themselves often, and their features tell more than a new photo's will.
        about: "photo", or "region", of which the own features are seen before the photo's.
        attention: whether regions are attended to.
        names, named: names in captions, and each photo's boxes that have some; None where attention is not taught.
    """

    def __init__(
        self,
        texts: Snippets,
        looked: Sequence[RegionStore],
        about: str,
        attention: bool = False,
        names: Names | None = None,
        named: Sequence[Boxes] = (),
    ) -> None:
        self.texts, self.looked, self.about, self.attention = texts, looked, about, attention
        self.ids = texts.ids
        self.names, self.named = names, named
        self.clear = [clear_regions(store) for store in looked] if attention else []

    def glance(self, row: int, rng: np.random.Generator | None = None) -> Glance:
        """What is seen of a text; of the photo itself without `rng`."""
        look = 0 if rng is None else int(rng.integers(len(self.looked)))
        photo, region = int(self.texts.photos[row]), int(self.texts.regions[row])
        seen = self.of_photo(photo, region, look)
        if self.names is None or look or not self.named[photo]:  # boxes are known of the photo itself alone
            return seen
        boxes, things = seen.regions[:, -GEOMETRY : 4 - GEOMETRY], []
        for start, end, name in self.names.find(self.ids[row].tolist()):
            if name in self.named[photo] and (shows := showing(self.named[photo][name], boxes)).any():
                things += [(place, shows) for place in range(start, end)]
        return Glance(seen.whole, seen.regions, things=tuple(things))

    def of_photo(self, photo: int, region: int = 0, look: int = 0) -> Glance:
        """What is seen of a photo, or of one of its regions."""
        store = self.looked[look]
        rows = [0] if self.about == "photo" else [region, 0]
        whole = np.asarray(store.features[photo, rows], np.float32).ravel()
        if not self.attention:
            return Glance(whole, np.zeros((0, 0), np.float32))
        kept = self.clear[look][photo]
        features = np.asarray(store.features[photo, kept], np.float32)
        boxes = unit_boxes(store, photo)[kept].astype(np.float32)
        return Glance(whole, region_inputs(features, boxes, np.asarray(store.scores[photo, kept])))


class FromText:
    """Captions without photos: seen are boxes of training photos that carry the names which a caption holds.

    Args:
        ids: the captions, each with at least one name.
        names: of each caption.
        regions: for each name the regions that carry it, see `regions_of_names`.
        store: of these regions.
    """

    def __init__(
        self,
        ids: Sequence[np.ndarray],
        names: Sequence[tuple[Words, ...]],
        regions: dict[Words, np.ndarray],
        store: RegionStore,
    ) -> None:
        self.ids, self.names, self.regions, self.store = ids, names, regions, store

    def glance(self, row: int, rng: np.random.Generator) -> Glance:
        """A region for each name, another one as chance has it; never a whole photo."""
        drawn = [rng.choice(self.regions[name]) for name in self.names[row]]
        features, boxes, scores = (
            np.stack([array[photo, region] for photo, region in drawn]).astype(np.float32)
            for array in (self.store.features, self.store.boxes, self.store.scores)
        )
        return Glance(np.zeros(features.shape[1], np.float32), region_inputs(features, boxes, scores), shown=False)


def clear_regions(store: RegionStore) -> list[np.ndarray]:
    """Each photo's distinct regions, the whole photo first, as rows."""
    counts = np.asarray(store.counts)
    return [distinct_rows(unit_boxes(store, n)[:m], np.asarray(store.scores[n, :m])) for n, m in enumerate(counts)]


def read_texts(
    file: Path, names: Names, regions: dict[Words, np.ndarray], store: RegionStore, vocabulary: Vocabulary
) -> FromText:
    """Captions without photos, one a line, after the last tab of it; those that name nothing are left out.

    Raises:
        DataError: if the file cannot be read, or no caption names anything.
    """
    ids, found = [], []
    for line in read_text(file, LARGEST_TEXT, error=DataError).splitlines():
        words = vocabulary.encode(tokenise(line.rsplit("\t", 1)[-1]))
        own = tuple(name for _, _, name in names.find(words.tolist()) if name in regions)
        if own:
            ids.append(words)
            found.append(own)
    if not ids:
        raise DataError(f"{file}: no caption holds a name that a box of the training photos has")
    return FromText(ids, found, regions, store)


def mixture(sizes: Sequence[int], shares: Sequence[float], seed: int) -> np.ndarray:
    """An epoch's rows of several sources, each as often as its share says.

    Args:
        sizes: of the sources.
        shares: how often an epoch passes over each; of a fraction of a pass the same rows in every epoch.
        seed: of their choice.

    Returns:
        (n, 2) int64: source, row.
    """
    parts = []
    for number, (size, share) in enumerate(zip(sizes, shares, strict=True)):
        order = np.random.default_rng([seed, number, 7]).permutation(size)
        rows = np.resize(order, max(1, round(size * share)))
        parts.append(np.stack([np.full(len(rows), number), rows], axis=1))
    return np.concatenate(parts)


def contexts_of(glances: Sequence[Glance]) -> Contexts:
    """What is seen of B texts, for the runtime."""
    whole = np.stack([each.whole for each in glances])
    if not glances[0].regions.shape[1]:
        return without_regions(whole)
    return Contexts(whole, *pad([each.regions for each in glances]))


def shown_things(glances: Sequence[Glance], words: int) -> np.ndarray:
    """Which regions show what a word names.  # (B, T, M) bool"""
    most = max(len(each.regions) for each in glances)
    shown = np.zeros((len(glances), words, most), bool)
    for row, each in enumerate(glances):
        for place, rows in each.things:
            if place < words:
                shown[row, place, : len(rows)] = rows
    return shown
