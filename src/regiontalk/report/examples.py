"""Selection of examples for an evaluation report, and the photos and scores they need.

Selected by rule, never by hand, failures as well as successes. A photo that a page shows several
times is embedded once.

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
"""Candidates shown for each query."""


@dataclass(frozen=True)
class Found:
    """Ranked candidate: place from 1, number of the photo or sentence, score, whether relevant."""

    place: int
    number: int
    score: float
    right: bool


@dataclass(frozen=True)
class Question:
    """Retrieval query, image to text or text to image, with its best candidates.

    Attributes:
        number: of the photo or sentence.
        rank: of its closest ground truth, as the metrics count it.
        first: the best candidates; if none of them is right, the best right one comes last, at its
            rank.
    """

    number: int
    rank: int
    first: tuple[Found, ...]


def spread(items: Sequence[int] | np.ndarray, most: int) -> list[int]:
    """Selects at most so many items, evenly spaced from the first to the last.

    >>> spread([10, 11, 12, 13, 14], 3)
    [10, 12, 14]
    """
    if not len(items):
        return []
    places = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [int(items[place]) for place in places]


def right_and_wrong(ranks: np.ndarray, most: int) -> tuple[list[int], list[int]]:
    """Selects queries of rank 1, evenly spaced in order, and others, evenly spaced by rank."""
    right = np.flatnonzero(ranks == 1)
    wrong = np.flatnonzero(ranks > 1)
    return spread(right, most), spread(wrong[np.argsort(ranks[wrong], kind="stable")], most)


def photos_ask(found: Retrieved, photos: Sequence[int]) -> list[Question]:
    """Ranks all sentences for some photos."""
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
    """Ranks all photos for some sentences."""
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
    """Selects captions evenly spaced from the highest to the lowest score, (N,)."""
    return spread(np.argsort(-scores, kind="stable"), most)


@dataclass(frozen=True, eq=False)
class Pointed:
    """Grounding query with its photo and words.

    `right` if the centre of the best region is in a true box.
    """

    photo: BoxedPhoto
    asked: str
    query: Query
    right: bool


class QueryLog:
    """Records the queries of a grounding evaluation."""

    def __init__(self) -> None:
        self._queries: list[Pointed] = []

    def __call__(self, photo: BoxedPhoto, asked: str, query: Query) -> None:
        """Records a query, as `evaluation.grounding.run.OnQuery`."""
        rank = rank_of_first_hit(query.scores, centres_inside(query.regions, query.truth))
        self._queries.append(Pointed(photo, asked, query, rank == 1))

    def right_and_wrong(self, most: int) -> tuple[list[Pointed], list[Pointed]]:
        """Selects queries answered right, and others, each evenly spaced in order."""
        right = spread([n for n, each in enumerate(self._queries) if each.right], most)
        wrong = spread([n for n, each in enumerate(self._queries) if not each.right], most)
        return [self._queries[n] for n in right], [self._queries[n] for n in wrong]


class Album:
    """Opens photos and renders them with boxes; embeds each photo in the page once.

    Args:
        side: maximum long side of a photo, in pixels.
        most: maximum length of a photo's data: URL, in characters.
        failed: called with the file and error of a photo that cannot be opened; an empty frame is
            drawn in its place.
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
        """Renders a photo as an SVG element.

        Args:
            file: the photo.
            says: text alternative (aria-label).
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
        except PhotoError as error:  # changed since it was evaluated
            self._failed(str(file), str(error))
            return 4, 3, None
        name = f"photo-{len(self._known) + 1}-image"
        return photo.width, photo.height, Picture(data_url(photo, self._side, self._most), name)


def _first(scores: np.ndarray, right: np.ndarray, rank: int) -> tuple[Found, ...]:
    """Best candidates, then the best right one if not among them; ties break pessimistically."""
    order = np.lexsort((right, -scores))  # by score, then wrong before right
    first = [
        Found(place, int(n), float(scores[n]), bool(right[n]))
        for place, n in enumerate(order[:FIRST], start=1)
    ]
    if not any(each.right for each in first):
        best = int(order[np.argmax(right[order])])
        first.append(Found(rank, best, float(scores[best]), True))
    return tuple(first)
