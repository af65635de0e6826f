"""Evaluation of a model's retrieval on a dataset, with a signature.

Axis names: N photos, L sentences, M regions, h dimensions of the shared space, and two for hubness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.alignment.distinct import Distinct
from regiontalk.alignment.hubness import ranking_regions, ranking_words
from regiontalk.alignment.score import FORMULAS, Kind, pad
from regiontalk.data import Dataset
from regiontalk.errors import PackError
from regiontalk.evaluation.looking import photo_regions
from regiontalk.evaluation.results import SILENT, Progress, Reporting
from regiontalk.evaluation.retrieval.metric import RetrievalResult, cut_folds, rank_folds
from regiontalk.evaluation.retrieval.ranks import Ranks, VectorScores
from regiontalk.evaluation.signature import evaluation_signature
from regiontalk.language import tokenise
from regiontalk.model import Model

_SENTENCES = 256
"""Sentences in a batch."""


@dataclass(frozen=True, eq=False)
class Retrieved:
    """Result of a retrieval with its inputs.

    Attributes:
        result: of `evaluate_retrieval`.
        ranks: in each fold, or in the whole set alone.
        kind: of the scores: "max" (Eq. 8), "sum" (Eq. 7) or "mean" (Eq. 8 / words).
        region_vectors, region_counts: (N, M, h) and (N,), as `score_matrix` takes them, of
            `ranking_regions`.
        captions: L sentences, photo by photo.
        sentences: their word vectors, L arrays (T, h), of `ranking_words`.
        photo_of_sentence: (L,) the photo of each sentence.
    """

    result: RetrievalResult
    ranks: list[Ranks]
    kind: Kind
    region_vectors: np.ndarray
    region_counts: np.ndarray
    captions: list[str]
    sentences: list[np.ndarray]
    photo_of_sentence: np.ndarray


def evaluate_retrieval(
    model: Model,
    dataset: Dataset,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> RetrievalResult:
    """Rank all sentences of a dataset for each photo, and all photos for each sentence.

    Args:
        model: scores them, by its pack's kind of score.
        dataset: every photo and every caption of it takes part.
        reporting: folds and bootstrap.

    Returns:
        With the signature of the pack and the dataset.

    Raises:
        PhotoError: if a photo is broken. None is left out: the numbers would be of another dataset.
        PackError: if a score is not finite.
        ConfigError: if the folds cannot be of equal size.
    """
    return retrieve(model, dataset, reporting, progress).result


def retrieve(
    model: Model,
    dataset: Dataset,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> Retrieved:
    """As `evaluate_retrieval`, with the inputs of the numbers."""
    reporting, progress = reporting or Reporting(), progress or SILENT
    captions = [caption for photo in dataset.photos for caption in photo.captions]  # L
    # photo_of_sentence: (L,)
    photo_of_sentence = np.repeat(
        np.arange(len(dataset)), [len(photo.captions) for photo in dataset.photos]
    )
    parts = cut_folds(photo_of_sentence, len(dataset), reporting.folds)
    looked = photo_regions(model, dataset.files, progress)
    vectors, counts = pad([ranking_regions(each) for batch in looked for each in batch])
    sentences = _read(model, captions)
    kind = model.score_kind

    def scores_of(part: slice, mine: np.ndarray, of: np.ndarray) -> VectorScores:
        return VectorScores(
            vectors[part], counts[part], [sentences[each] for each in mine], of, kind
        )

    try:
        ranks = rank_folds(parts, scores_of, progress)
    except ValueError as error:  # vectors are finite, but their products may not be
        raise PackError(f"{model.pack.folder}: {error}. Take another pack.") from error
    less = ", less the hubness of both" if model.pack.settings.bank.photos else ""
    how = {"score": f"{kind} ({FORMULAS[kind]}){less}"}
    signature = evaluation_signature(model, dataset, progress) | how
    result = RetrievalResult.of(ranks, signature, reporting)
    return Retrieved(result, ranks, kind, vectors, counts, captions, sentences, photo_of_sentence)


def _read(model: Model, captions: Sequence[str]) -> list[np.ndarray]:
    """The words (T, h) of each caption, see `ranking_words`; equal captions are read once."""
    said = Distinct(tuple(tokenise(caption)) for caption in captions)
    vectors: list[np.ndarray] = []
    for start in range(0, len(said), _SENTENCES):
        read = model.read([captions[each] for each in said.first[start : start + _SENTENCES]])
        vectors += [ranking_words(sentence) for sentence in read]
    return [vectors[number] for number in said.number]
