"""Captions, and the snippets that the alignment infers from them, as arrays of word ids.

The paper, section 3.1.3. Axis names: L texts, N photos, B texts at once, T words, M regions, h
shared space, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from regiontalk.alignment.mrf import runs, viterbi
from regiontalk.data import Dataset, RegionStore
from regiontalk.errors import DataError
from regiontalk.language import Vocabulary, tokenise
from regiontalk.training.alignment_net import AlignmentNet

_DETERMINERS = "a an the his her its their"
_LINKS = """
and or but of in on at to with by for from into onto over under through near behind beside between
across along around against off up down out as while who that which is are was were has have
"""
DETERMINERS, LINKS = frozenset(_DETERMINERS.split()), frozenset(_LINKS.split())
"""English words that may begin but never end a phrase, and function words between phrases."""
LEAST_LINKS = 0.1
"""Least share of links in the words of English captions, which have far more; in other languages a
few words happen to be spelt like one."""
ENDS_FROM = 0.3
"""A word may end a phrase if this share of its uses comes before a link or the caption's end."""
CHUNK = 200
"""Captions aligned at once."""


@dataclass(frozen=True)
class Sentences:
    """L captions of N photos.

    Attributes:
        ids: L arrays (t,) int64 of word ids, none empty.
        photos: (L,) int64, the row of the photo that each describes.
    """

    ids: tuple[np.ndarray, ...]
    photos: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def caption_words(dataset: Dataset) -> list[list[list[str]]]:
    """Each photo's captions as tokens."""
    return [[tokenise(caption) for caption in photo.captions] for photo in dataset.photos]


def encode_captions(
    words: Sequence[Sequence[Sequence[str]]], vocabulary: Vocabulary, longest: int | None = None
) -> Sentences:
    """Captions as ids; captions without any word of the vocabulary are left out.

    Args:
        longest: words after which a caption is truncated; None for no limit.

    Raises:
        DataError: if none is left.
    """
    ids, photos = [], []
    for row, captions in enumerate(words):
        for caption in captions:
            encoded = vocabulary.encode(caption[:longest])
            if (encoded != Vocabulary.UNKNOWN).any():
                ids.append(encoded)
                photos.append(row)
    if not ids:
        raise DataError("no caption holds a word of the vocabulary")
    return Sentences(tuple(ids), np.array(photos, np.int64))


def first_photos(dataset: Dataset, limit: int | None) -> Dataset:
    return (
        dataset if limit is None else Dataset(dataset.name, dataset.split, dataset.photos[:limit])
    )


def first_sentences(sentences: Sentences, photos: int) -> Sentences:
    few = sentences.photos < sentences.photos[0] + photos  # the very first may have none
    return Sentences(
        tuple(ids for ids, keep in zip(sentences.ids, few, strict=True) if keep),
        sentences.photos[few],
    )


def pad_ids(sentences: Iterable[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Ids of different lengths → ids (B, T), 0 after each, and mask (B, T), True on words."""
    rows = list(sentences)
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = torch.from_numpy(row)
    return ids, torch.arange(ids.shape[1])[None] < lengths[:, None]


@dataclass(frozen=True)
class Snippets:
    """L texts about regions.

    Attributes:
        ids: L arrays (t,) int64 of word ids.
        photos, regions: (L,) int64, which region of which photo each describes; region 0 is the
            whole photo.
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
    """Empty texts about whole photos, for captions that will be sampled."""
    return Snippets((np.zeros(0, np.int64),) * count, np.arange(count), np.zeros(count, np.int64))


@dataclass(frozen=True)
class PhraseEdges:
    """Which words of the vocabulary phrases may begin, and end, with: (V,) bool each.

    The chain MRF cuts captions where regions change, possibly inside a phrase. Trimming makes "a
    brown dog" of "in a brown dog chases a red": a snippet that ends after "red" or "chases" is
    incomplete.
    """

    begin: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, captions: Sequence[np.ndarray], vocabulary: Vocabulary) -> PhraseEdges:
        """Estimate the edges from training captions (ids).

        If next to none of their words are English links, every word may begin and end a phrase.
        """
        link, words = member(vocabulary, LINKS), np.concatenate(captions)
        if link[words].mean() < LEAST_LINKS:
            every = np.ones(len(vocabulary), bool)
            return cls(every, every)
        link[Vocabulary.BOUNDARY] = True
        after = np.concatenate([np.append(ids[1:], Vocabulary.BOUNDARY) for ids in captions])
        occurs = np.bincount(words, minlength=len(vocabulary))
        before_link = np.bincount(words[link[after]], minlength=len(vocabulary))
        end = (before_link >= ENDS_FROM * occurs) & ~link & ~member(vocabulary, DETERMINERS)
        return cls(~link, end)

    def trim(self, phrase: np.ndarray) -> np.ndarray:
        """The longest part of a phrase (t,) with allowed edges; empty where there is none."""
        begins, ends = np.flatnonzero(self.begin[phrase]), np.flatnonzero(self.end[phrase])
        if not len(begins) or not len(ends):
            return phrase[:0]
        return phrase[begins[0] : ends[-1] + 1]


def member(vocabulary: Vocabulary, words: frozenset[str]) -> np.ndarray:
    """Which ids are those of these words.  # (V,) bool"""
    found = np.zeros(len(vocabulary), bool)
    found[vocabulary.encode(word for word in words if word in vocabulary)] = True
    return found


@torch.no_grad()
def infer_snippets(
    net: AlignmentNet,
    store: RegionStore,
    sentences: Sentences,
    edges: PhraseEdges,
    beta: float,
    min_words: int,
) -> Snippets:
    """Align every caption with its own photo and cut it into phrases where regions change.

    Args:
        edges: allowed edges of phrases, which are trimmed to them.
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
        for caption, vectors, photo in zip(
            chunk, words, sentences.photos[start : start + CHUNK], strict=True
        ):
            features = np.asarray(store.features[photo, : int(store.counts[photo])], np.float32)
            regions_of_photo = net.regions(torch.from_numpy(features)).numpy()  # (M, h)
            unary = vectors[: len(caption)] @ regions_of_photo.T  # (T, M)
            path, _ = viterbi(unary, beta)
            for first, last in runs(path):
                phrase = edges.trim(caption[first:last])
                if len(phrase) >= min_words and (phrase != Vocabulary.UNKNOWN).any():
                    ids.append(phrase)
                    photos.append(photo)
                    regions.append(path[first])
    if not ids:
        raise DataError(
            f"no caption has a phrase of {min_words} words; give more captions or lower min_words"
        )
    return Snippets(tuple(ids), np.array(photos, np.int64), np.array(regions, np.int64))
