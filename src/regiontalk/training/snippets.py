"""Training text for the region captioner: the phrases that the alignment puts on regions (the paper, section 3.1.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from regiontalk.alignment.mrf import viterbi
from regiontalk.data import RegionStore
from regiontalk.errors import DataError
from regiontalk.language import Vocabulary
from regiontalk.training.alignment_net import AlignmentNet
from regiontalk.training.phrase_edges import PhraseEdges
from regiontalk.training.sentences import Sentences, pad_ids

CHUNK = 200


@dataclass(frozen=True)
class Snippets:
    """L texts about regions.

    Attributes:
        ids: L arrays (t,) int64 of word ids.
        photos, regions: (L,) int64, which region of which photo each describes; region 0 is the whole photo.
    """

    ids: tuple[np.ndarray, ...]
    photos: np.ndarray
    regions: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def whole_captions(sentences: Sentences) -> Snippets:
    """Captions as texts about whole photos."""
    return Snippets(sentences.ids, sentences.photos, np.zeros(len(sentences), np.int64))


def every_photo(count: int) -> Snippets:
    """An empty text about each of some whole photos: to be written yet."""
    return Snippets((np.zeros(0, np.int64),) * count, np.arange(count), np.zeros(count, np.int64))


@torch.no_grad()
def infer_snippets(
    net: AlignmentNet, store: RegionStore, sentences: Sentences, edges: PhraseEdges, beta: float, min_words: int
) -> Snippets:
    """Align every caption with its own photo and cut it into phrases.

    Args:
        edges: how phrases begin and end; what sticks out is cut off.
        beta: β of Eq. 12, in units of v_i·s_t.
        min_words: shorter phrases are left out, and so are those without a word of the vocabulary.

    Raises:
        DataError: if no phrase is left.
    """
    net.eval()
    ids, photos, regions = [], [], []
    for start in range(0, len(sentences), CHUNK):
        chunk = sentences.ids[start : start + CHUNK]
        padded, mask = pad_ids(chunk)
        words = net.words(padded, mask).numpy()  # (B, T, h)
        for caption, vectors, photo in zip(chunk, words, sentences.photos[start : start + CHUNK], strict=True):
            unary = vectors[: len(caption)] @ region_vectors(net, store, int(photo)).T  # (T, M)
            path, _ = viterbi(unary, beta)
            for first, last in runs(path):
                phrase = edges.trim(caption[first:last])
                if len(phrase) >= min_words and (phrase != Vocabulary.UNKNOWN).any():
                    ids.append(phrase)
                    photos.append(photo)
                    regions.append(path[first])
    if not ids:
        raise DataError(f"no caption has a phrase of {min_words} words; give more captions or lower min_words")
    return Snippets(tuple(ids), np.array(photos, np.int64), np.array(regions, np.int64))


def region_vectors(net: AlignmentNet, store: RegionStore, photo: int) -> np.ndarray:
    """v_i of one photo.  # (M, h)"""
    features = np.asarray(store.features[photo, : int(store.counts[photo])], np.float32)
    return net.regions(torch.from_numpy(features)).numpy()


def runs(path: np.ndarray) -> list[tuple[int, int]]:
    """The maximal runs of equal values, as (start, end), end exclusive."""
    edges = np.flatnonzero(np.diff(path)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(path)], strict=True))
