"""Training examples of captioners: texts paired with visual context, and the object names in them.

A name stands for synonymous words and phrases ("dog", "puppies") of box labels.

Axis names: X context dimensions, D visual features, M regions, R dimensions of a region as the
attention reads it, B texts, T words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from regiontalk.alignment.score import pad
from regiontalk.captioning.attention import GEOMETRY, Contexts, region_inputs, without_regions
from regiontalk.data import RegionStore
from regiontalk.errors import DataError
from regiontalk.evaluation.class_words import BY_NAME, Words, synonyms
from regiontalk.files import read_text
from regiontalk.language import Vocabulary, tokenise
from regiontalk.language.tokenise import FUNCTION_WORDS
from regiontalk.training.box_labels import BoxLabels, sayable_names, with_article
from regiontalk.training.regions import unit_boxes
from regiontalk.training.sentences import Snippets
from regiontalk.vision.boxes import distinct_rows, iou

ARTICLES, MOST_ADJECTIVES = frozenset({"a", "an", "the"}), 4
SHOWS, BEST_SHOWS = 0.5, 0.3
"""IoU from which a region shows a labelled object; if no region reaches it, the best one does from
the second threshold on."""
Boxes = dict[Words, np.ndarray]
"""A photo's boxes (n, 4) in 0..1, by name."""
LARGEST_TEXT = 1 << 30


@dataclass(frozen=True)
class Glance:
    """Visual context of one text.

    Attributes:
        whole: (X,), see `Contexts`.
        regions: (M, R), none for a captioner without attention; the whole photo first, if it is
            shown.
        shown: False if the whole photo is masked.
        things: position of each word that names an object, and (M,) which regions show that object.
    """

    whole: np.ndarray
    regions: np.ndarray
    shown: bool = True
    things: tuple[tuple[int, np.ndarray], ...] = ()

    def without_whole(self) -> Glance:
        """The same with the whole photo masked."""
        things = tuple((place, rows[1:]) for place, rows in self.things)
        return Glance(self.whole, self.regions[1:], False, things)


class Source(Protocol):
    """Texts with their visual context."""

    @property
    def ids(self) -> Sequence[np.ndarray]:
        """The texts as ids (t,)."""

    def glance(self, row: int, rng: np.random.Generator | None) -> Glance:
        """Visual context of a text; random choices come from `rng`."""


class Described:
    """Texts about photos or their regions.

    Args:
        looked: region stores of the photos, and then of random views of them, one of which is drawn
            for each context: the alignment was trained on the photos themselves, and their features
            tell more than a new photo's will.
        about: "photo", or "region", whose own features come before the photo's.
        attention: whether regions are attended to.
        names, named: names in captions, and each photo's boxes by name; None where attention is not
            supervised.
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
        """Visual context of a text; that of the photo itself without `rng`."""
        look = 0 if rng is None else int(rng.integers(len(self.looked)))
        photo, region = int(self.texts.photos[row]), int(self.texts.regions[row])
        seen = self.of_photo(photo, region, look)
        # Views have no box labels
        if self.names is None or look or not self.named[photo]:
            return seen
        boxes, things = seen.regions[:, -GEOMETRY : 4 - GEOMETRY], []
        for start, end, name in self.names.find(self.ids[row].tolist()):
            if (
                name in self.named[photo]
                and (shows := showing(self.named[photo][name], boxes)).any()
            ):
                things += [(place, shows) for place in range(start, end)]
        return Glance(seen.whole, seen.regions, things=tuple(things))

    def of_photo(self, photo: int, region: int = 0, look: int = 0) -> Glance:
        """Visual context of a photo, or of one of its regions."""
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
    """Text-only captions, each with a context composed of one labelled training box per name.

    Args:
        ids: the captions, each with at least one name.
        names: of each caption.
        regions: for each name the regions of `store` that carry it, see `regions_of_names`.
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
        """A randomly drawn region for each name; never a whole photo."""
        drawn = [rng.choice(self.regions[name]) for name in self.names[row]]
        features, boxes, scores = (
            np.stack([array[photo, region] for photo, region in drawn]).astype(np.float32)
            for array in (self.store.features, self.store.boxes, self.store.scores)
        )
        return Glance(
            np.zeros(features.shape[1], np.float32),
            region_inputs(features, boxes, scores),
            shown=False,
        )


def clear_regions(store: RegionStore) -> list[np.ndarray]:
    """Rows of each photo's distinct regions, the whole photo first."""
    counts = np.asarray(store.counts)
    return [
        distinct_rows(unit_boxes(store, n)[:m], np.asarray(store.scores[n, :m]))
        for n, m in enumerate(counts)
    ]


def read_texts(
    file: Path,
    names: Names,
    regions: dict[Words, np.ndarray],
    store: RegionStore,
    vocabulary: Vocabulary,
) -> FromText:
    """Read captions without photos, one a line, after the last tab of it.

    Captions without a name are left out.

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


def contexts_of(glances: Sequence[Glance]) -> Contexts:
    """Collate the contexts of B texts for the runtime."""
    whole = np.stack([each.whole for each in glances])
    if not glances[0].regions.shape[1]:
        return without_regions(whole)
    return Contexts(whole, *pad([each.regions for each in glances]))


def shown_things(glances: Sequence[Glance], words: int) -> np.ndarray:
    """Attention targets: which regions show the object that a word names.  # (B, T, M) bool"""
    most = max(len(each.regions) for each in glances)
    shown = np.zeros((len(glances), words, most), bool)
    for row, each in enumerate(glances):
        for place, rows in each.things:
            if place < words:
                shown[row, place, : len(rows)] = rows
    return shown


class Names:
    """Finds the names of labelled boxes in captions.

    Names with words outside the captions' vocabulary are left out.
    """

    def __init__(self, labels: BoxLabels, vocabulary: Vocabulary) -> None:
        self.of_label = sayable_names(labels, vocabulary)
        self.phrases: dict[tuple[int, ...], Words] = {}
        for label, name in self.of_label.items():
            for phrase in dict.fromkeys(
                form for words in called(label) for form in (words, plural(words))
            ):
                ids = vocabulary.encode(phrase)
                if (ids != Vocabulary.UNKNOWN).all():
                    self.phrases.setdefault(tuple(ids.tolist()), name)
        self.longest = max(map(len, self.phrases), default=0)

    def find(self, ids: Sequence[int]) -> list[tuple[int, int, Words]]:
        """Names in a caption, left to right, longest match first: (start, end, name)."""
        found, at = [], 0
        while at < len(ids):
            for length in range(min(self.longest, len(ids) - at), 0, -1):
                if (name := self.phrases.get(tuple(ids[at : at + length]))) is not None:
                    found.append((at, at + length, name))
                    at += length
                    break
            else:
                at += 1
        return found

    def of_box(self, labels: Sequence[str]) -> tuple[Words, ...]:
        """The names of a box, by its labels."""
        return tuple(
            dict.fromkeys(self.of_label[label] for label in labels if label in self.of_label)
        )

    def boxes(self, boxes: np.ndarray, labels: Sequence[Sequence[str]]) -> Boxes:
        """Group a photo's boxes (n, 4) by the names of their labels."""
        found: dict[Words, list[np.ndarray]] = defaultdict(list)
        for box, own in zip(boxes, labels, strict=True):
            for name in self.of_box(own):
                found[name].append(box)
        return {name: np.stack(rows) for name, rows in found.items()}


def called(label: str) -> tuple[Words, ...]:
    """All synonyms of a label in captions."""
    listed = BY_NAME.get(label.lower())
    return synonyms(label) + (() if listed is None else listed.words)


def noun_phrase(words: Sequence[str], start: int, end: int) -> Words | None:
    """The noun phrase that ends with a name: article, adjectives, name, "a black and white cat".

    It begins with the nearest article before the name, which becomes "a" or "an"; None if another
    function word but "and" comes first, or no article within reach.

    >>> noun_phrase("a man rides the dark brown horse".split(), 6, 7)
    ('a', 'dark', 'brown', 'horse')
    >>> noun_phrase("two dogs".split(), 1, 2) is None
    True
    """
    for first in range(start - 1, max(-1, start - 1 - MOST_ADJECTIVES - 1), -1):
        if words[first] in ARTICLES:
            return with_article(tuple(words[first + 1 : end]))
        if words[first] in FUNCTION_WORDS - {"and"}:
            return None
    return None


def plural(words: Words) -> Words:
    """The regular plural of a name.

    >>> plural(("hot", "dog")), plural(("bus",)), plural(("puppy",))
    (('hot', 'dogs'), ('buses',), ('puppies',))
    """
    last = words[-1]
    if last.endswith(("s", "x", "ch", "sh")):
        many = last + "es"
    elif last.endswith("y") and last[-2:-1] not in tuple("aeiou"):
        many = last[:-1] + "ies"
    else:
        many = last + "s"
    return (*words[:-1], many)


def showing(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Which regions (M, 4) show any of some boxes (n, 4), all False if none does.  # (M,) bool"""
    best: np.ndarray = iou(regions, boxes).max(axis=1)
    shows = best >= SHOWS
    if not shows.any() and best.max() >= BEST_SHOWS:
        shows = best == best.max()
    return shows


def regions_of_names(
    labels: BoxLabels, store: RegionStore, names: Names
) -> dict[Words, np.ndarray]:
    """The regions of a store of boxes (`store_boxes`) by name: (n, 2), photo and region."""
    found: dict[Words, list[tuple[int, int]]] = defaultdict(list)
    for photo, boxes in enumerate(labels.names):
        for region, own in enumerate(boxes[: int(store.counts[photo]) - 1], start=1):
            for name in names.of_box(own):
                found[name].append((photo, region))
    return {name: np.array(rows) for name, rows in found.items()}


def described_boxes(
    labels: BoxLabels,
    captions: Sequence[Sequence[Sequence[str]]],
    names: Names,
    vocabulary: Vocabulary,
) -> list[list[tuple[Words, ...]]]:
    """Noun phrases that a photo's captions have for each of its boxes.

    Those with the box's name, if no other box has it.

    Args:
        captions: of each photo of `labels`, as words.
    """
    found = []
    for boxes, said in zip(labels.names, captions, strict=True):
        own = [names.of_box(each) for each in boxes]
        counts = Counter(name for box in own for name in box)
        phrases: dict[Words, list[Words]] = defaultdict(list)
        for words in said:
            for start, end, name in names.find(vocabulary.encode(words).tolist()):
                if counts[name] == 1 and (phrase := noun_phrase(words, start, end)) is not None:
                    phrases[name].append(phrase)
        found.append(
            [
                tuple(dict.fromkeys(phrase for name in box for phrase in phrases[name]))
                for box in own
            ]
        )
    return found
