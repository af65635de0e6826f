"""A pack with room for the words of further captions: before anything is learnt it reads and scores as it did.

Axis names: V words that the pack has learnt, P placed words, G dimensions of their vectors, d of a word vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from regiontalk.language import Vocabulary
from regiontalk.language.reader import PlacedVectors
from regiontalk.pack import PLACED, Arrays, Pack
from regiontalk.settings import PackSettings

CAPTIONERS = ("photo_captioner", "region_captioner")
WORD_AXES: Mapping[str, int] = {"embedding": 0, "W_oh": 1, "b_o": 0}
"""Tensors that have a part for each word, and the axis of the words."""


@dataclass(frozen=True)
class PackParts:
    """What a pack is made of, but its graph: `regiontalk.pack.save_pack` takes them."""

    settings: PackSettings
    vocabulary: Vocabulary
    arrays: Arrays


def with_new_words(pack: Pack, vocabulary: Vocabulary) -> PackParts:
    """The pack's tensors for a vocabulary that extends its own (`Vocabulary.extended`).

    A new word is read as the pack read it before: a placed word from its place, any other as UNKNOWN. The captioners
    begin with it as the mean of all words, and as likely as it is in the new captions.

    Args:
        pack: as it is.
        vocabulary: its words, then new ones.
    """
    old, arrays = pack.vocabulary, {name: dict(tensors) for name, tensors in pack.arrays.items()}
    new = vocabulary.words[len(old.words) :]
    embedding = arrays["words"]["embedding"]
    arrays["words"]["embedding"] = np.concatenate([embedding, first_vectors(new, pack)])
    shares = np.log(new_shares(old, vocabulary))
    for name in CAPTIONERS:
        arrays[name] = captioner_with_words(arrays[name], shares)
    settings = pack.settings
    if vocabulary.placed:
        kept = old.encode(vocabulary.placed) - len(old)
        arrays[PLACED] = {**arrays[PLACED], "vectors": arrays[PLACED]["vectors"][kept]}
    elif arrays.pop(PLACED, None) is not None:  # captions teach them all now
        settings = replace(settings, words=replace(settings.words, vector_dim=0))
    return PackParts(settings, vocabulary, arrays)


def first_vectors(words: tuple[str, ...], pack: Pack) -> np.ndarray:
    """The vectors that the pack reads some words by which no caption taught it.  # (n, d)"""
    vocabulary, embedding = pack.vocabulary, pack.arrays["words"]["embedding"]
    vectors = np.repeat(embedding[Vocabulary.UNKNOWN][None], len(words), axis=0)
    ids = vocabulary.encode(words)
    placed = ids >= len(vocabulary)
    if placed.any():
        vectors[placed] = PlacedVectors(pack.arrays[PLACED])[ids[placed] - len(vocabulary)]
    return vectors


def new_shares(old: Vocabulary, new: Vocabulary) -> np.ndarray:
    """How often the new captions say each word that is new, as a share of all they say.  # (n,)"""
    total = int(new.counts.sum() - old.counts.sum())
    shares: np.ndarray = new.counts[len(old) :].astype(np.float32) / max(total, 1)
    return shares


def captioner_with_words(tensors: Mapping[str, np.ndarray], log_shares: np.ndarray) -> dict[str, np.ndarray]:
    """A captioner's tensors with room for n more words, each the mean of the others, and log-shares (n,) for biases."""
    grown = dict(tensors)
    for name, axis in WORD_AXES.items():
        if name in tensors:
            real = np.take(tensors[name], range(2, tensors[name].shape[axis]), axis)
            mean = np.repeat(real.mean(axis, keepdims=True), len(log_shares), axis)
            grown[name] = np.concatenate([tensors[name], log_shares if name == "b_o" else mean], axis)
    return grown
