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


def encode_captions(words: Sequence[Sequence[Sequence[str]]], vocabulary: Vocabulary, longest: int) -> Sentences:
    """Captions as ids, cut after `longest` words; captions without any word of the vocabulary are left out.

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


def pad_ids(sentences: Iterable[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Ids of different lengths → ids (B, T), 0 after each, and mask (B, T), True on words."""
    rows = list(sentences)
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = torch.from_numpy(row)
    return ids, torch.arange(ids.shape[1])[None] < lengths[:, None]


class Shuffled:
    """An endless row of epochs, each a permutation that depends on the seed and the epoch alone."""

    def __init__(self, items: int, batch: int, seed: int) -> None:
        self.items, self.batch, self.seed = items, min(batch, items), seed
        self.epoch_steps = items // self.batch

    def rows(self, step: int) -> np.ndarray:
        epoch, within = divmod(step, self.epoch_steps)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.items)
        return order[within * self.batch : (within + 1) * self.batch]

    def generator(self, step: int) -> np.random.Generator:
        """For what else is random in a step."""
        return np.random.default_rng([self.seed, step, 1])
