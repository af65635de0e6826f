"""Names of things in captions, and where in a photo these things stand.

A name is a group of words and phrases that mean one thing ("dog", "puppies"), taken from boxes that have names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from regiontalk.data import RegionStore
from regiontalk.evaluation.class_words import BY_NAME, Words, synonyms
from regiontalk.language import Vocabulary
from regiontalk.language.function_words import FUNCTION_WORDS
from regiontalk.training.box_labels import BoxLabels, sayable_names, with_article
from regiontalk.vision.boxes import iou

ARTICLES, MOST_ADJECTIVES = frozenset({"a", "an", "the"}), 4
SHOWS, BEST_SHOWS = 0.5, 0.3
"""A region shows a thing whose box it overlaps by that IoU; of regions that overlap less, the best from the second."""

Boxes = dict[Words, np.ndarray]
"""A photo's boxes (n, 4) in 0..1 by what they show."""


class Names:
    """The names of some boxes as they stand in captions.

    Args:
        labels: boxes with names.
        vocabulary: of the captions; names with words that it lacks are left out.
    """

    def __init__(self, labels: BoxLabels, vocabulary: Vocabulary) -> None:
        self.of_label = sayable_names(labels, vocabulary)
        self.phrases: dict[tuple[int, ...], Words] = {}
        for label, name in self.of_label.items():
            for phrase in dict.fromkeys(form for words in called(label) for form in (words, plural(words))):
                ids = vocabulary.encode(phrase)
                if (ids != Vocabulary.UNKNOWN).all():
                    self.phrases.setdefault(tuple(ids.tolist()), name)
        self.longest = max(map(len, self.phrases), default=0)

    def find(self, ids: Sequence[int]) -> list[tuple[int, int, Words]]:
        """Where names stand in a caption, from left to right and the longest first: (start, end, name)."""
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

    def boxes(self, boxes: np.ndarray, labels: Sequence[Sequence[str]]) -> Boxes:
        """A photo's boxes (n, 4) with the labels of each, by name."""
        found: dict[Words, list[np.ndarray]] = defaultdict(list)
        for box, own in zip(boxes, labels, strict=True):
            for name in dict.fromkeys(self.of_label[label] for label in own if label in self.of_label):
                found[name].append(box)
        return {name: np.stack(rows) for name, rows in found.items()}


def called(label: str) -> tuple[Words, ...]:
    """All that a label is called in captions."""
    listed = BY_NAME.get(label.lower())
    return synonyms(label) + (() if listed is None else listed.words)


def noun_phrase(words: Sequence[str], start: int, end: int) -> Words | None:
    """A name in a caption with what is said of it before, "a black and white cat"; None if that cannot be told.

    The phrase begins with the nearest article before the name, which becomes "a" or "an".

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
    """The usual plural of a name.

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
    """Which regions (M, 4) show one of some boxes (n, 4).  # (M,) bool, all False if none does"""
    best: np.ndarray = iou(regions, boxes).max(axis=1)
    shows = best >= SHOWS
    if not shows.any() and best.max() >= BEST_SHOWS:
        shows = best == best.max()
    return shows


def regions_of_names(labels: BoxLabels, store: RegionStore, names: Names) -> dict[Words, np.ndarray]:
    """The regions of a store of boxes (`store_boxes`) that carry each name: (n, 2), photo and region."""
    found: dict[Words, list[tuple[int, int]]] = defaultdict(list)
    for photo, boxes in enumerate(labels.names):
        for region, own in enumerate(boxes[: int(store.counts[photo]) - 1], start=1):
            for name in dict.fromkeys(names.of_label[label] for label in own if label in names.of_label):
                found[name].append((photo, region))
    return {name: np.array(rows) for name, rows in found.items()}


def described_boxes(
    labels: BoxLabels, captions: Sequence[Sequence[Sequence[str]]], names: Names, vocabulary: Vocabulary
) -> list[list[tuple[Words, ...]]]:
    """What captions say of each box of each photo: the noun phrases with its name, if no other box has that name.

    Args:
        captions: of each photo of `labels`, as words.
    """
    found = []
    for boxes, said in zip(labels.names, captions, strict=True):
        own = [{names.of_label[label] for label in box if label in names.of_label} for box in boxes]
        counts = Counter(name for box in own for name in box)
        phrases: dict[Words, list[Words]] = defaultdict(list)
        for words in said:
            for start, end, name in names.find(vocabulary.encode(words).tolist()):
                if counts[name] == 1 and (phrase := noun_phrase(words, start, end)) is not None:
                    phrases[name].append(phrase)
        found.append([tuple(dict.fromkeys(phrase for name in box for phrase in phrases[name])) for box in own])
    return found
