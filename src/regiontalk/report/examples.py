"""Which examples an evaluation shows, and what they need.

Chosen by rule and never by eye, failures as readily as hits. A page may show a photo several times:
it is in the file once.

Axis names: N photos, L sentences, h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regiontalk.alignment.score import score_sentences
from regiontalk.data import BoxedPhoto
from regiontalk.errors import PhotoError
from regiontalk.evaluation.grounding.metric import Query, centres_inside, rank_of_first_hit
from regiontalk.evaluation.retrieval.run import Retrieved
from regiontalk.photos import open_photo
from regiontalk.report.figures import Mark, Picture, picture
from regiontalk.report.pictures import data_url

FIRST = 5
"""Candidates that are shown for each question."""


@dataclass(frozen=True)
class Found:
    """One candidate for a question: its place from 1, number, score, and whether it is right."""

    place: int
    number: int
    score: float
    right: bool


@dataclass(frozen=True)
class Question:
    """A photo that looks for its sentences, or a sentence that looks for its photo.

    Attributes:
        number: of the photo or sentence.
        rank: of its closest ground truth, as the numbers count it.
        first: the best candidates; and if none of them is right, after them the right one at its
            rank.
    """

    number: int
    rank: int
    first: tuple[Found, ...]


def spread(items: Sequence[int] | np.ndarray, most: int) -> list[int]:
    """At most so many of some items, evenly spaced, the first and the last among them.

    >>> spread([10, 11, 12, 13, 14], 3)
    [10, 12, 14]
    """
    if not len(items):
        return []
    places = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [int(items[place]) for place in places]


def right_and_wrong(ranks: np.ndarray, most: int) -> tuple[list[int], list[int]]:
    """Questions whose ground truth leads, evenly spaced in their order.

    Others from near misses to the furthest.
    """
    right = np.flatnonzero(ranks == 1)
    wrong = np.flatnonzero(ranks > 1)
    return spread(right, most), spread(wrong[np.argsort(ranks[wrong], kind="stable")], most)


def photos_ask(found: Retrieved, photos: Sequence[int]) -> list[Question]:
    """What some photos found among all sentences."""
    if not photos:
        return []
    vectors, counts = found.region_vectors[list(photos)], found.region_counts[list(photos)]
    scores = score_sentences(vectors, counts, found.sentences, found.kind)  # (photos, L)
    ranks = found.ranks[0].photos
    return [
        Question(
            photo,
            int(ranks[photo]),
            _first(row, found.photo_of_sentence == photo, int(ranks[photo])),
        )
        for photo, row in zip(photos, scores, strict=True)
    ]


def sentences_ask(found: Retrieved, sentences: Sequence[int]) -> list[Question]:
    """What some sentences found among all photos."""
    if not sentences:
        return []
    asked = [found.sentences[sentence] for sentence in sentences]
    # scores: (sentences, N)
    scores = score_sentences(found.region_vectors, found.region_counts, asked, found.kind).T
    ranks, photo_of = found.ranks[0].sentences, found.photo_of_sentence
    photos = np.arange(len(found.region_vectors))
    return [
        Question(
            sentence,
            int(ranks[sentence]),
            _first(row, photos == photo_of[sentence], int(ranks[sentence])),
        )
        for sentence, row in zip(sentences, scores, strict=True)
    ]


def best_to_worst(scores: np.ndarray, most: int) -> list[int]:
    """Captions evenly spaced from the highest to the lowest score, (N,)."""
    return spread(np.argsort(-scores, kind="stable"), most)


@dataclass(frozen=True, eq=False)
class Pointed:
    """A question about boxes.

    The photo, what was asked for, the query, and whether its best region points right.
    """

    photo: BoxedPhoto
    asked: str
    query: Query
    right: bool


class QueryLog:
    """Keeps the questions of an evaluation of grounding."""

    def __init__(self) -> None:
        self._queries: list[Pointed] = []

    def __call__(self, photo: BoxedPhoto, asked: str, query: Query) -> None:
        """As `evaluation.grounding.run.OnQuery`."""
        rank = rank_of_first_hit(query.scores, centres_inside(query.regions, query.truth))
        self._queries.append(Pointed(photo, asked, query, rank == 1))

    def right_and_wrong(self, most: int) -> tuple[list[Pointed], list[Pointed]]:
        """Questions whose best region points right, and others, each evenly spaced in order."""
        right = spread([n for n, each in enumerate(self._queries) if each.right], most)
        wrong = spread([n for n, each in enumerate(self._queries) if not each.right], most)
        return [self._queries[n] for n in right], [self._queries[n] for n in wrong]


class Album:
    """Opens photos and draws on them.

    Args:
        side: pixels on a photo's long side.
        most: characters a photo may take in the page.
        failed: is told of photos that cannot be opened; they are drawn as empty frames.
        max_pixels: see `open_photo`.
    """

    def __init__(
        self,
        side: int,
        most: int,
        failed: Callable[[str, str], None],
        max_pixels: int | None = None,
    ) -> None:
        self._side, self._most, self._failed, self._max_pixels = side, most, failed, max_pixels
        self._known: dict[Path, tuple[int, int, Picture | None]] = {}

    def show(self, file: Path, says: str, marks: Iterable[Mark] = ()) -> str:
        """A photo as an SVG element.

        Args:
            file: the photo.
            says: what it shows, for those who cannot see it.
            marks: boxes on it, in pixels of the upright original.
        """
        if file not in self._known:
            self._known[file] = self._open(file)
            width, height, image = self._known[file]
        else:
            width, height, before = self._known[file]
            image = before and Picture("", before.name, again=True)
        return picture(width, height, marks, image, says)

    def _open(self, file: Path) -> tuple[int, int, Picture | None]:
        try:
            photo = open_photo(file, max_pixels=self._max_pixels, min_side=self._side)
        except PhotoError as error:  # it was fine a moment ago, so somebody changed it
            self._failed(str(file), str(error))
            return 4, 3, None
        name = f"photo-{len(self._known) + 1}-image"
        return photo.width, photo.height, Picture(data_url(photo, self._side, self._most), name)


def _first(scores: np.ndarray, right: np.ndarray, rank: int) -> tuple[Found, ...]:
    """The best candidates.

    Ties count against the system, so of equals the wrong ones stand first.
    """
    order = np.lexsort((right, -scores))  # by score, then wrong before right
    first = [
        Found(place, int(n), float(scores[n]), bool(right[n]))
        for place, n in enumerate(order[:FIRST], start=1)
    ]
    if not any(each.right for each in first):
        best = int(order[np.argmax(right[order])])
        first.append(Found(rank, best, float(scores[best]), True))
    return tuple(first)
