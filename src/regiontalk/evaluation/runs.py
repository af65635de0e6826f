"""A model measured on a dataset: the numbers, with a signature that says how they came about.

Axis names: N photos, L sentences, M regions, D dimensions of the visual features, h of the shared space and two more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regiontalk.alignment.distinct import Distinct
from regiontalk.alignment.hubness import ranking_regions, ranking_words
from regiontalk.alignment.score import FORMULAS, Kind, pad
from regiontalk.data import Dataset
from regiontalk.errors import PackError
from regiontalk.evaluation.captions import CaptionScores, score_captions
from regiontalk.evaluation.nearest import nearest, refuse_shared
from regiontalk.evaluation.ranks import Ranks, rank
from regiontalk.evaluation.results import (
    Progress,
    Reporting,
    Silent,
    equal_folds,
    interval_words,
    retrieval_result,
    rounded,
)
from regiontalk.evaluation.signature import evaluation_signature
from regiontalk.evaluation.vector_scores import VectorScores
from regiontalk.language import tokenise
from regiontalk.model import Model
from regiontalk.structures import WHOLE_PHOTO, Caption, Regions
from regiontalk.vision.session import BATCH

_SENTENCES = 256
"""Sentences read at a time."""
_METRICS = "coco-caption's: BLEU of the corpus, closest reference length; document frequencies of the references"


@dataclass(frozen=True, eq=False)
class Retrieved:
    """Numbers of a retrieval and what they came from.

    Attributes:
        result: what `evaluate_retrieval` gives.
        ranks: in each fold, or in the whole set alone.
        kind: of the scores: "max" (Eq. 8), "sum" (Eq. 7) or "mean" (Eq. 8 / words).
        region_vectors, region_counts: (N, M, h) and (N,), as `score_matrix` takes them, of `ranking_regions`.
        captions: L sentences, photo by photo.
        sentences: their word vectors, L arrays (T, h), of `ranking_words`.
        owners: (L,) the photo of each sentence.
    """

    result: dict[str, Any]
    ranks: list[Ranks]
    kind: Kind
    region_vectors: np.ndarray
    region_counts: np.ndarray
    captions: list[str]
    sentences: list[np.ndarray]
    owners: np.ndarray


@dataclass(frozen=True, eq=False)
class Written:
    """Numbers of captions and what they came from.

    Attributes:
        result: what `evaluate_captions` gives.
        captions: one for each photo, as written.
        scores: of each caption and of all together.
    """

    result: dict[str, Any]
    captions: list[str]
    scores: CaptionScores


def evaluate_retrieval(
    model: Model, dataset: Dataset, reporting: Reporting | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Rank all sentences of a dataset for each photo, and all photos for each sentence.

    Args:
        model: scores them, by the kind of score that its pack says.
        dataset: every photo and every caption of it takes part.
        reporting: folds and bootstrap.
        progress: is told how far it is.

    Returns:
        As `retrieval_result`, with the signature of the pack and the dataset.

    Raises:
        PhotoError: if a photo is broken. None is left out: the numbers would be of another dataset.
        PackError: if a score is not finite.
        ConfigError: if the folds cannot be of equal size.
    """
    return retrieve(model, dataset, reporting, progress).result


def retrieve(
    model: Model, dataset: Dataset, reporting: Reporting | None = None, progress: Progress | None = None
) -> Retrieved:
    """As `evaluate_retrieval`, with what the numbers came from."""
    reporting, progress = reporting or Reporting(), progress or Silent()
    captions = [caption for photo in dataset.photos for caption in photo.captions]  # L
    owners = np.repeat(np.arange(len(dataset)), [len(photo.captions) for photo in dataset.photos])  # (L,)
    parts = equal_folds(owners, len(dataset), reporting.folds)
    looked = _look(model, _files(dataset), progress)
    vectors, counts = pad([ranking_regions(each) for batch in looked for each in batch])
    sentences = _read(model, captions)
    kind = model.score_kind
    progress.expect(sum((part.stop - part.start) * len(mine) for part, mine, _ in parts), "scores")
    ranks = []
    for part, mine, of in parts:
        scores = VectorScores(vectors[part], counts[part], [sentences[each] for each in mine], of, kind)
        try:
            ranks.append(rank(scores, progress.advance))
        except ValueError as error:  # vectors are finite, but their products may not be
            raise PackError(f"{model.pack.folder}: {error}. Take another pack.") from error
    less = ", less the hubness of both" if model.pack.settings.bank.photos else ""
    how = {"score": f"{kind} ({FORMULAS[kind]}){less}"}
    signature = evaluation_signature(model, dataset, progress) | how
    result = retrieval_result(ranks, signature, reporting)
    return Retrieved(result, ranks, kind, vectors, counts, captions, sentences, owners)


def evaluate_captions(
    model: Model,
    dataset: Dataset,
    beam: int | None = None,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Caption every photo of a dataset and compare with what people wrote.

    Args:
        model: writes the captions.
        dataset: its captions are the references, normalised as the captions are.
        beam: hypotheses kept in the search; None for the pack's.
        reporting: the bootstrap.
        progress: is told how far it is.

    Returns:
        The scores of `caption_scores`, in percent, and `"signature": {...}`; with a bootstrap also `"interval"`: for
        each score its `[low, high]`.

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
    """As `evaluate_captions`, with what the numbers came from."""
    progress = progress or Silent()
    captions = [caption.text for caption, _ in caption_photos(model, _files(dataset), beam, progress)]
    how = model.pack.settings.photo_captioner.search(beam)
    scores = _scores_of(captions, dataset)
    signature = evaluation_signature(model, dataset, progress) | how
    return Written(_compared(scores, signature, reporting or Reporting()), captions, scores)


def caption_photos(
    model: Model, files: Sequence[Path], beam: int | None, progress: Progress
) -> Iterator[tuple[Caption, Regions]]:
    """A caption for each photo, in order, with what was seen of it.

    Raises:
        PhotoError: if a photo is broken.
    """
    for batch in _look(model, files, progress):
        yield from zip(model.caption(batch, beam), batch, strict=True)


def evaluate_nearest(
    model: Model,
    dataset: Dataset,
    training: Dataset,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The baseline of `evaluate_captions`: each photo gets the first caption of the training photo most like it.

    Args:
        model: its vision network says what is alike: the L2 distance of the whole photos' features.
        dataset: as in `evaluate_captions`.
        training: photos and captions to take from; none of them may be in `dataset`.
        reporting: the bootstrap.
        progress: is told how far it is.

    Returns:
        As `evaluate_captions`.

    Raises:
        PhotoError: if a photo of either is broken.
        ConfigError: if the two share a photo, which would be its own nearest neighbour.
    """
    progress = progress or Silent()
    refuse_shared(
        (photo.file for photo in dataset.photos),
        (photo.file for photo in training.photos),
        "Give --train-split a split without them",
    )
    known, asked = (_whole_photos(model, each, progress) for each in (training, dataset))
    captions = [training.photos[each].captions[0] for each in nearest(asked, known)]
    how = {
        "baseline": f"first caption of the nearest of {len(training)} photos of split {training.split}, L2 distance of "
        "whole-photo features"
    }
    signature = evaluation_signature(model, dataset, progress) | how
    return _compared(_scores_of(captions, dataset), signature, reporting or Reporting())


def _scores_of(captions: Sequence[str], dataset: Dataset) -> CaptionScores:
    """Of a caption for each photo against the dataset's."""
    references = [[tokenise(caption) for caption in photo.captions] for photo in dataset.photos]
    return score_captions([tokenise(caption) for caption in captions], references)


def _compared(scores: CaptionScores, signature: dict[str, Any], reporting: Reporting) -> dict[str, Any]:
    """The numbers of captions with all that belongs to them."""
    result: dict[str, Any] = dict(scores.corpus())
    how = {"metrics": _METRICS}
    if reporting.samples:
        result["interval"] = scores.intervals(reporting.samples, reporting.seed)
        how["interval"] = interval_words(reporting)
    return {**rounded(result), "signature": signature | how}


def _files(dataset: Dataset) -> list[Path]:
    return [photo.file for photo in dataset.photos]


def _look(model: Model, files: Sequence[Path], progress: Progress) -> Iterator[list[Regions]]:
    """The regions of the photos, in order, in batches."""
    progress.expect(len(files), "photos")
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        yield model.look(batch)
        progress.advance(len(batch))


def _whole_photos(model: Model, dataset: Dataset, progress: Progress) -> np.ndarray:
    """The features of each whole photo: (N, D)."""
    looked = _look(model, _files(dataset), progress)
    return np.stack([each.features[WHOLE_PHOTO] for batch in looked for each in batch])


def _read(model: Model, captions: Sequence[str]) -> list[np.ndarray]:
    """The words (T, h) of each caption as `ranking_words` has them."""
    said = Distinct(tuple(tokenise(caption)) for caption in captions)
    vectors: list[np.ndarray] = []
    for start in range(0, len(said), _SENTENCES):
        read = model.read([captions[each] for each in said.first[start : start + _SENTENCES]])
        vectors += [ranking_words(sentence) for sentence in read]
    return [vectors[number] for number in said.number]
