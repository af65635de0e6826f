"""Hubness correction of retrieval scores by a query bank.

Hubness is how well a photo fits sentences in general, or a sentence photos in general: in any space
of many dimensions some points are among the nearest neighbours of far more others than they should
be (Radovanović et al. 2010, *Hubs in Space*). Where photos compete for a sentence, or sentences for
a photo, each one's score with a *query bank* of others is therefore subtracted, as by the inverted
softmax (Smith et al. 2017, *Offline bilingual word vectors, orthogonal transformations and the
inverted softmax*) and by query bank normalisation (Bogolin et al. 2022, *Cross Modal Retrieval with
Querybank Normalisation*):

    hubness of photo k     λ·τ·log mean_l exp(S_kl / τ), over the bank's sentences l
    hubness of sentence l  λ·τ·log mean_k exp(S_kl / τ), over the bank's photos k

with S_kl of the kind "mean" (Eq. 8 / words).

Axis names: N photos and R regions, L sentences and P words of the bank; M regions of a photo, T
words of a sentence; h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regiontalk.alignment.score import tiles_of_rows
from regiontalk.errors import PackError
from regiontalk.settings import BankSettings
from regiontalk.structures import Regions, Sentence

WORDS = 8192
"""Words of the bank in one matrix product."""


def bank_shapes(settings: BankSettings, dim: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a bank's tensors, by name.

    Args:
        settings: the bank's; it has photos.
        dim: h.
    """
    return {
        "regions": (settings.regions, dim),
        "region_counts": (settings.photos,),
        "words": (settings.words, dim),
        "word_counts": (settings.sentences,),
    }


def check_counts(tensors: Mapping[str, np.ndarray], settings: BankSettings, name: str) -> None:
    """Checks that all counts are positive integers that add up to the bank's regions and words.

    Args:
        tensors: as in `bank_shapes`; counts are integers stored as floats.
        settings: the bank's.
        name: the file's, for the message.

    Raises:
        PackError: if not.
    """
    for kind, rows, what in (
        ("region", settings.regions, "regions"),
        ("word", settings.words, "words"),
    ):
        counts = tensors[f"{kind}_counts"]
        if (counts < 1).any() or (counts % 1).any() or counts.sum(dtype=np.float64) != rows:
            raise PackError(
                f"{name}: expected counts of at least 1 that sum to {rows} {what}, found others."
            )


class QueryBank:
    """Query bank: reference photos and sentences that estimate hubness.

    Args:
        tensors: as in `bank_shapes`, checked by `check_counts`: the bank's regions v_i, photo after
            photo, and the number of each photo's; its words s_t, sentence after sentence, and the
            number of each sentence's.
        settings: the bank's.
        name: the file's, for messages.
    """

    def __init__(
        self, tensors: Mapping[str, np.ndarray], settings: BankSettings, name: str
    ) -> None:
        self._settings, self._name = settings, name
        self._regions, self._region_counts = (
            tensors["regions"],
            tensors["region_counts"].astype(np.int64),
        )
        self._word_counts = tensors["word_counts"].astype(np.int64)
        # (h, P), contiguous: a product with a photo's few regions takes half the time
        self._word_columns = np.ascontiguousarray(tensors["words"].T)

    def of_photo(self, vectors: np.ndarray) -> float:
        """A photo's hubness, in units of S_kl; equal photos get bit-equal values.

        Args:
            vectors: (M, h), v_i of its regions.

        Raises:
            PackError: if it is not finite in float32: products of a foreign pack's vectors may
                overflow.
        """
        # max_i v_i·s_t of each word of the bank
        best = np.empty(self._word_columns.shape[1], np.float32)
        # Overflow is checked once, in `_hubness`
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(best), WORDS):
                part = slice(start, start + WORDS)
                best[part] = (vectors @ self._word_columns[:, part]).max(axis=0)
            sums = np.add.reduceat(best, np.cumsum(self._word_counts) - self._word_counts)  # (L,)
        return float(self._hubness(sums / self._word_counts))

    def of_sentences(self, sentences: Sequence[np.ndarray]) -> np.ndarray:
        """The hubness of sentences, in units of S_kl.

        Args:
            sentences: K arrays (T, h), s_t of their words.

        Returns:
            (K,) float64.

        Raises:
            PackError: as `of_photo`.
        """
        counts, ends = (
            np.array([len(each) for each in sentences], np.int64),
            np.cumsum(self._region_counts),
        )
        found = np.empty(len(sentences))
        for part in tiles_of_rows(counts):
            words = np.concatenate(sentences[part])  # (P, h)
            best = np.concatenate(
                [self._best(words, photos, ends) for photos in tiles_of_rows(self._region_counts)]
            )
            with np.errstate(over="ignore", invalid="ignore"):  # as above
                # sums: (N, l)
                sums = np.add.reduceat(best, np.cumsum(counts[part]) - counts[part], axis=1)
            found[part] = self._hubness(sums / counts[part])
        return found

    def _best(self, words: np.ndarray, photos: slice, ends: np.ndarray) -> np.ndarray:
        """max_i v_i·s_t of n photos of the bank and words (P, h): (n, P)."""
        counts = self._region_counts[photos]
        rows = slice(ends[photos.start] - counts[0], ends[photos.stop - 1])
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            products = self._regions[rows] @ words.T
        best: np.ndarray = np.maximum.reduceat(products, np.cumsum(counts) - counts, axis=0)
        return best

    def _hubness(self, scores: np.ndarray) -> np.ndarray:
        """λ·τ·log mean exp(S / τ) over the first axis.

        The maximum is subtracted first, so that nothing overflows.
        """
        settings = self._settings
        with np.errstate(over="ignore", invalid="ignore"):
            # log-sum-exp: a large τ gives the mean over the bank, a small one its best match.
            scaled = scores.astype(np.float64) / settings.temperature
            most = scaled.max(axis=0)
            found: np.ndarray = most + np.log(np.exp(scaled - most).mean(axis=0))
            found *= settings.weight * settings.temperature
        if not (np.abs(found) <= np.finfo(np.float32).max).all():
            raise PackError(f"{self._name}: gives a score that is not finite. Take another pack.")
        return found


def ranking_regions(regions: Regions) -> np.ndarray:
    """A photo's region vectors augmented by two columns, 1 and minus its hubness: (M, h + 2)."""
    count = len(regions)
    return np.column_stack(
        [regions.vectors, np.ones(count), np.full(count, -regions.hubness)]
    ).astype(np.float32)


def ranking_words(sentence: Sentence) -> np.ndarray:
    """A sentence's word vectors augmented by two columns, minus its hubness and 1: (T, h + 2).

    A product with a row of `ranking_regions` is v_i·s_t less both hubnesses, and an S_kl of kind
    "mean" of such products is less both as well.
    """
    count = len(sentence)
    return np.column_stack(
        [sentence.vectors, np.full(count, -sentence.hubness), np.ones(count)]
    ).astype(np.float32)
