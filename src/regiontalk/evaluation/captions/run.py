"""Evaluation of a model's captions on a dataset, with a signature.

And the nearest-neighbour baseline, which every captioner has to beat: a photo gets the caption of
the most similar training photo.

Axis names: N photos, Q queries, C candidates, D dimensions of the visual features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regiontalk.data import Dataset
from regiontalk.errors import ConfigError
from regiontalk.evaluation.captions.metric import CaptionResult, CaptionScores, score_captions
from regiontalk.evaluation.looking import photo_regions
from regiontalk.evaluation.results import SILENT, Progress, Reporting, interval_words
from regiontalk.evaluation.signature import evaluation_signature
from regiontalk.language import tokenise
from regiontalk.model import Model
from regiontalk.structures import WHOLE_PHOTO, Caption, Regions

_TILE = 1024
"""Queries and candidates in a tile: their distances take 8 MB."""
_METRICS = (
    "coco-caption's: BLEU of the corpus, closest reference length; "
    "document frequencies of the references"
)


@dataclass(frozen=True, eq=False)
class Written:
    """Captions and their scores.

    Attributes:
        result: of `evaluate_captions`.
        captions: one for each photo, as written.
        scores: of each caption and of all together.
    """

    result: CaptionResult
    captions: list[str]
    scores: CaptionScores


def evaluate_captions(
    model: Model,
    dataset: Dataset,
    beam: int | None = None,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> CaptionResult:
    """Caption every photo of a dataset and score against people's captions.

    Args:
        dataset: its captions are the references, normalised as the captions are.
        beam: beam width; None for the pack's.
        reporting: the bootstrap.

    Raises:
        PhotoError: if a photo is broken. None is left out: the numbers would be of another dataset.
    """
    return write_captions(model, dataset, beam, reporting, progress).result


def write_captions(
    model: Model,
    dataset: Dataset,
    beam: int | None = None,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> Written:
    """As `evaluate_captions`, with captions and scores of each."""
    progress = progress or SILENT
    captions = [caption.text for caption, _ in caption_photos(model, dataset.files, beam, progress)]
    how = model.pack.settings.photo_captioner.search(beam)
    scores = _scores_of(captions, dataset)
    signature = evaluation_signature(model, dataset, progress) | how
    return Written(_compared(scores, signature, reporting or Reporting()), captions, scores)


def caption_photos(
    model: Model, files: Sequence[Path], beam: int | None, progress: Progress
) -> Iterator[tuple[Caption, Regions]]:
    """A caption of each photo, in order, with the photo's regions.

    Raises:
        PhotoError: if a photo is broken.
    """
    for batch in photo_regions(model, files, progress):
        yield from zip(model.caption(batch, beam), batch, strict=True)


def evaluate_nearest(
    model: Model,
    dataset: Dataset,
    training: Dataset,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> CaptionResult:
    """Baseline of `evaluate_captions`: the first caption of the most similar training photo.

    Args:
        model: its vision network defines similarity: the L2 distance of the whole photos' features.
        dataset: as in `evaluate_captions`.
        training: photos and captions of the baseline; no photo may be in `dataset`.
        reporting: the bootstrap.

    Raises:
        PhotoError: if a photo of either is broken.
        ConfigError: if the two share a photo, which would be its own nearest neighbour.
    """
    progress = progress or SILENT
    refuse_shared(
        (photo.file for photo in dataset.photos),
        (photo.file for photo in training.photos),
        "Give --train-split a split without them",
    )
    known, asked = (_whole_photos(model, each, progress) for each in (training, dataset))
    captions = [training.photos[each].captions[0] for each in nearest(asked, known)]
    how = {
        "baseline": f"first caption of the nearest of {len(training)} photos of split "
        f"{training.split}, L2 distance of whole-photo features"
    }
    signature = evaluation_signature(model, dataset, progress) | how
    return _compared(_scores_of(captions, dataset), signature, reporting or Reporting())


def nearest(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """For each query the candidate at the smallest Euclidean (L2) distance.

    Args:
        queries: (Q, D), finite.
        candidates: (C, D), finite, C at least 1.

    Returns:
        (Q,) int64, rows of `candidates`; ties go to the lowest.

    Raises:
        ValueError: if the shapes disagree or there is no candidate.

    >>> nearest(np.array([[0.0, 0.0], [5.0, 5.0]]), np.array([[9.0, 9.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    if (
        queries.ndim != 2
        or candidates.ndim != 2
        or queries.shape[1] != candidates.shape[1]
        or not len(candidates)
    ):
        raise ValueError(
            "expected (Q, D) and at least one of (C, D), "
            f"found {queries.shape} and {candidates.shape}"
        )
    best = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), _TILE):
        part = slice(start, start + _TILE)
        best[part] = _nearest_of_all(queries[part].astype(np.float64), candidates)
    return best


def refuse_shared(asked: Iterable[Path], lending: Iterable[Path], way_out: str) -> None:
    """Refuses photos in both sets, which would be their own nearest neighbours.

    Args:
        asked, lending: files of the photos.
        way_out: end of the message, how to avoid it.

    Raises:
        ConfigError: if a file is among both.
    """
    shared = {file.resolve() for file in asked} & {file.resolve() for file in lending}
    if shared:
        raise ConfigError(
            f"{len(shared)} of the photos are among those that captions are borrowed from "
            f"({min(shared).name}): they would find themselves. {way_out}"
        )


def _scores_of(captions: Sequence[str], dataset: Dataset) -> CaptionScores:
    """Scores of one caption a photo against the dataset's."""
    references = [[tokenise(caption) for caption in photo.captions] for photo in dataset.photos]
    return score_captions([tokenise(caption) for caption in captions], references)


def _compared(
    scores: CaptionScores, signature: dict[str, Any], reporting: Reporting
) -> CaptionResult:
    """The result of an evaluation: scores, intervals and signature."""
    how, intervals = {"metrics": _METRICS}, dict[str, list[float]]()
    if reporting.samples:
        intervals = scores.intervals(reporting.samples, reporting.seed)
        how["interval"] = interval_words(reporting)
    return CaptionResult(scores.corpus(), intervals, signature | how)


def _whole_photos(model: Model, dataset: Dataset, progress: Progress) -> np.ndarray:
    """The features of each whole photo: (N, D)."""
    looked = photo_regions(model, dataset.files, progress)
    return np.stack([each.features[WHOLE_PHOTO] for batch in looked for each in batch])


def _nearest_of_all(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """`nearest` for a tile's queries, (q, D) float64, a tile of candidates at a time: (q,)."""
    best = np.zeros(len(queries), np.int64)
    least = np.full(len(queries), np.inf)
    for start in range(0, len(candidates), _TILE):
        # distances: (q, c)
        distances = _squared(queries, candidates[start : start + _TILE].astype(np.float64))
        found = distances.argmin(axis=1)
        here = distances[np.arange(len(queries)), found]
        closer = here < least
        best[closer], least[closer] = found[closer] + start, here[closer]
    return best


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared L2 distances of all pairs: (q, c).

    In double precision: near neighbours are small differences of large sums (cancellation).
    """
    distances: np.ndarray = (a**2).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b**2).sum(axis=1)
    return distances
