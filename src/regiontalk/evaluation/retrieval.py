"""How well photos find their sentences and sentences their photo: recall at 1, 5 and 10, and the median rank."""

from __future__ import annotations

import numpy as np

_RECALL_AT = (1, 5, 10)


def retrieval(scores: np.ndarray, photo_of_sentence: np.ndarray) -> dict[str, dict[str, float]]:
    """Ranks every sentence for every photo and the other way round.

    A photo's rank is that of its closest ground truth: the best placed of its own sentences among all L. A sentence's
    rank is its own photo's place among all N. Ranks start at 1. Ties count against the system: whatever is wrong and
    scores as high stands in front, so a model that scores everything alike comes last.

    Args:
        scores: (N, L), finite, photos by sentences, the higher the better.
        photo_of_sentence: (L,) integers in 0..N-1, the photo that each sentence was written for. Every photo has at
            least one.

    Returns:
        `{"image_to_text": numbers, "text_to_image": numbers}`, each `{"r1", "r5", "r10", "median_rank"}`: recalls in
        percent, and the plain median of the ranks (halves are possible).

    Raises:
        ValueError: if the shapes disagree, a score is not finite or a photo has no sentence.

    Two photos and three sentences, the last two of photo 1. Photo 0 prefers a sentence of photo 1 to its own (rank 2);
    photo 1's best sentence leads (rank 1). Sentence 2 scores alike on both photos, so its rank is 2.

    >>> result = retrieval(np.array([[0.5, 0.1, 0.7], [0.2, 0.9, 0.7]]), np.array([0, 1, 1]))
    >>> result["image_to_text"]
    {'r1': 50.0, 'r5': 100.0, 'r10': 100.0, 'median_rank': 1.5}
    >>> round(result["text_to_image"]["r1"], 1)
    66.7
    """
    scores, owners = np.asarray(scores), np.asarray(photo_of_sentence)
    _check(scores, owners)
    own = scores[owners, np.arange(len(owners))]  # (L,): each sentence with its own photo
    best = np.full(len(scores), -np.inf, scores.dtype)  # (N,): each photo with the best of its sentences
    np.maximum.at(best, owners, own)

    # Everything at or above the ground truth counts; of what is not wrong, only the ground truth itself may.
    own_at_best = np.bincount(owners[own >= best[owners]], minlength=len(scores))
    photo_ranks = (scores >= best[:, None]).sum(axis=1) - own_at_best + 1
    sentence_ranks = (scores >= own).sum(axis=0)
    return {"image_to_text": _summary(photo_ranks), "text_to_image": _summary(sentence_ranks)}


def _summary(ranks: np.ndarray) -> dict[str, float]:
    numbers = {f"r{k}": 100 * int(np.count_nonzero(ranks <= k)) / len(ranks) for k in _RECALL_AT}
    return {**numbers, "median_rank": float(np.median(ranks))}


def _check(scores: np.ndarray, owners: np.ndarray) -> None:
    if scores.ndim != 2 or owners.shape != scores.shape[1:] or not np.issubdtype(owners.dtype, np.integer):
        raise ValueError(
            f"scores (N, L) need L integers, the photo of each sentence; found {scores.shape} and {owners.shape}"
        )
    if not np.issubdtype(scores.dtype, np.floating) or not np.isfinite(scores).all():
        raise ValueError("scores must be finite numbers of a float type")
    with_sentence = np.unique(owners)
    if len(with_sentence) == 0 or not np.array_equal(with_sentence, np.arange(len(scores))):
        raise ValueError(f"photos 0 to {len(scores) - 1} must each have a sentence and be all that sentences name")
