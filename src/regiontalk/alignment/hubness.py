"""Hubness: how well a photo fits sentences in general, and a sentence photos in general.

Some photos are among the best for far more sentences than they should be, as it happens in any space of many dimensions
(Radovanović et al. 2010, *Hubs in Space*). Where photos compete for a sentence, or sentences for a photo, what each
scores with a *bank* of others is therefore taken off its score, as by the inverted softmax (Smith et al. 2017, *Offline
bilingual word vectors, orthogonal transformations and the inverted softmax*) and by query bank normalisation (Bogolin
et al. 2022, *Cross Modal Retrieval with Querybank Normalisation*):

    hubness of photo k     λ·τ·log mean_l exp(S_kl / τ), over the bank's sentences l
    hubness of sentence l  λ·τ·log mean_k exp(S_kl / τ), over the bank's photos k

with S_kl of the kind "mean" (Eq. 8 / words).

Axis names: N photos and R regions, L sentences and P words of the bank; M regions of a photo, T words of a sentence;
h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regiontalk.alignment.score import TileScorer, pad, tiles_of_photos, tiles_of_sentences
from regiontalk.errors import PackError
from regiontalk.settings import BankSettings
from regiontalk.structures import Regions, Sentence

LARGEST_PADDED = 2**28
"""Numbers of a bank's regions in memory, each photo's as many as those of the photo with the most."""


def bank_shapes(settings: BankSettings, dim: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a bank: name -> shape.

    Args:
        settings: of a bank that is there.
        dim: h.
    """
    return {
        "regions": (settings.regions, dim),
        "region_counts": (settings.photos,),
        "words": (settings.words, dim),
        "word_counts": (settings.sentences,),
    }


class Bank:
    """Photos and sentences that others are held against.

    Args:
        tensors: as `bank_shapes` says: the bank's regions v_i, photo after photo, and how many each has; its words s_t,
            sentence after sentence, and how many each has.
        settings: the pack's.
        name: of the file, for messages.

    Raises:
        PackError: if the counts do not fit the regions or words, or would take absurd memory.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], settings: BankSettings, name: str) -> None:
        self._settings, self._name = settings, name
        photo_ends = _ends(tensors["region_counts"], settings.regions, "regions", name)
        sentence_ends = _ends(tensors["word_counts"], settings.words, "words", name)
        self._words, self._word_counts = tensors["words"], np.diff(sentence_ends, prepend=0)
        photos = np.split(tensors["regions"], photo_ends[:-1])
        if len(photos) * max(map(len, photos)) * tensors["regions"].shape[1] > LARGEST_PADDED:
            raise PackError(f"{name}: a photo has so many regions that the bank would not fit into memory.")
        self._regions, self._region_counts = pad(photos)  # (N, M, h), (N,)

    def of_photo(self, vectors: np.ndarray) -> float:
        """A photo's hubness, in units of S_kl. Equal photos have equal ones, to the last bit.

        Args:
            vectors: (M, h), v_i of its regions.

        Raises:
            PackError: if it is not finite: a foreign pack's products may not be.
        """
        scorer, count = TileScorer("mean"), np.array([len(vectors)])
        ends = np.cumsum(self._word_counts)
        parts = []
        for part in tiles_of_sentences(self._word_counts):
            words = self._words[ends[part.start] - self._word_counts[part.start] : ends[part.stop - 1]]
            parts.append(scorer(vectors[None], count, words, self._word_counts[part])[0])
        return float(self._hubness(np.concatenate(parts)))

    def of_sentences(self, sentences: Sequence[np.ndarray]) -> np.ndarray:
        """The hubness of sentences, in units of S_kl.

        Args:
            sentences: K arrays (T, h), s_t of their words.

        Returns:
            (K,) float64.

        Raises:
            PackError: as `of_photo`.
        """
        scorer, counts = TileScorer("mean"), np.array([len(each) for each in sentences], np.int64)
        found = np.empty(len(sentences))
        for part in tiles_of_sentences(counts):
            words = np.concatenate(sentences[part])  # (P, h)
            tiles = tiles_of_photos(*self._regions.shape[:2])
            scores = [scorer(self._regions[n], self._region_counts[n], words, counts[part]) for n in tiles]
            found[part] = self._hubness(np.concatenate(scores))
        return found

    def _hubness(self, scores: np.ndarray) -> np.ndarray:
        """λ·τ·log mean exp(S / τ) over the first axis; the greatest is taken out first, so that nothing overflows."""
        settings = self._settings
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = scores.astype(np.float64) / settings.temperature
            most = scaled.max(axis=0)
            found: np.ndarray = most + np.log(np.exp(scaled - most).mean(axis=0))
        if not np.isfinite(found).all():
            raise PackError(f"{self._name}: gives a score that is not finite. Take another pack.")
        return settings.weight * settings.temperature * found


def ranking_regions(regions: Regions) -> np.ndarray:
    """A photo's region vectors with its hubness, (M, h + 2): v_i, then 1 and the hubness to be taken off."""
    count = len(regions)
    return np.column_stack([regions.vectors, np.ones(count), np.full(count, -regions.hubness)]).astype(np.float32)


def ranking_words(sentence: Sentence) -> np.ndarray:
    """A sentence's word vectors with its hubness, (T, h + 2): s_t, then the hubness to be taken off and 1.

    A product with a row of `ranking_regions` is v_i·s_t less both, and so is any S_kl of the kind "mean" made of such
    products.
    """
    count = len(sentence)
    return np.column_stack([sentence.vectors, np.full(count, -sentence.hubness), np.ones(count)]).astype(np.float32)


def _ends(counts: np.ndarray, rows: int, what: str, name: str) -> np.ndarray:
    """Where each photo's or sentence's rows end, from how many it has (K,), whole numbers in floats."""
    ends = np.cumsum(counts.astype(np.int64))
    if (counts < 1).any() or (counts % 1).any() or ends[-1] != rows:
        raise PackError(f"{name}: expected counts of at least 1 that sum to {rows} {what}, found others.")
    return ends
