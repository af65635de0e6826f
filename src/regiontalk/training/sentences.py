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


def word_dropout_mask(mask: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Which words (B, T) are read as unknown: a random share of those that there are."""
    return torch.from_numpy(rng.random(mask.shape) < share) & mask


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


class CaptionedPhotos:
    """An endless row of batches: photos, each with some of its captions, so that one look at a photo serves them all.

    An epoch passes over the photos as often as it takes to offer every caption about once. A photo stands at most once
    in a batch, so every other photo's sentence is a true negative. All is a function of the seed and the step alone.

    Args:
        sentences: L captions; photos without any are left out.
        batch: K, photos in a batch.
        captions: C, captions of each photo in a batch; a photo that has fewer repeats its own.
        seed: of all orders.
    """

    def __init__(self, sentences: Sentences, batch: int, captions: int, seed: int) -> None:
        self.photos, starts = np.unique(sentences.photos, return_index=True)
        self.rows_of_photo = np.split(np.arange(len(sentences)), starts[1:])  # a photo's captions stand together
        self.captions, self.seed = captions, seed
        self.order = Shuffled(len(self.photos), batch, seed)
        self.passes = max(1, round(len(sentences) / (len(self.photos) * captions)))
        self.epoch_steps = self.order.epoch_steps * self.passes

    def rows(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of photos (K,), and rows of sentences (C, K): those of photo k in column k."""
        chosen = self.order.rows(step)
        epoch, turn = divmod(step // self.order.epoch_steps, self.passes)
        columns = [self.captions_of(photo, epoch, turn) for photo in chosen]
        return self.photos[chosen], np.stack(columns, axis=1)

    def captions_of(self, photo: int, epoch: int, turn: int) -> np.ndarray:
        """The captions that a photo brings in one pass of an epoch.  # (C,)"""
        rows = np.random.default_rng([self.seed, epoch, photo, 2]).permutation(self.rows_of_photo[photo])
        return rows.take(np.arange(turn * self.captions, (turn + 1) * self.captions), mode="wrap")


class Turns:
    """Whose turn it is: each batch is of one dataset, so that no pair is told apart by how a dataset's captions sound.

    Args:
        orders: of the datasets' photos.
        shares: how often an epoch passes over each dataset.
        seed: of the order of turns.
    """

    def __init__(self, orders: Sequence[CaptionedPhotos], shares: Sequence[float], seed: int) -> None:
        self.orders, self.seed = orders, seed
        self.steps = [max(1, round(order.epoch_steps * share)) for order, share in zip(orders, shares, strict=True)]
        self.epoch_steps = sum(self.steps)

    def turn(self, step: int) -> tuple[int, int]:
        """Which dataset's turn a step is, and which of that dataset's own steps."""
        epoch, within = divmod(step, self.epoch_steps)
        every = np.repeat(np.arange(len(self.steps)), self.steps)
        order = np.random.default_rng([self.seed, epoch, 5]).permutation(every)
        dataset = int(order[within])
        return dataset, epoch * self.steps[dataset] + int((order[:within] == dataset).sum())
