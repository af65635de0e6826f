"""Captions as arrays of word ids, and batches of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from regiontalk.data import Dataset
from regiontalk.errors import DataError
from regiontalk.language import Vocabulary, tokenise


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
        longest: words after which a caption is cut; None for none.

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
    return dataset if limit is None else Dataset(dataset.name, dataset.split, dataset.photos[:limit])


def first_sentences(sentences: Sentences, photos: int) -> Sentences:
    few = sentences.photos < sentences.photos[0] + photos  # the very first may have none
    return Sentences(tuple(ids for ids, keep in zip(sentences.ids, few, strict=True) if keep), sentences.photos[few])


def pad_ids(sentences: Iterable[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Ids of different lengths → ids (B, T), 0 after each, and mask (B, T), True on words."""
    rows = list(sentences)
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = torch.from_numpy(row)
    return ids, torch.arange(ids.shape[1])[None] < lengths[:, None]
