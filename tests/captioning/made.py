"""Small captioners, made at random or from a table."""

from __future__ import annotations

import numpy as np

from regiontalk.captioning.attention import GEOMETRY, Contexts
from regiontalk.captioning.captioner import Captioner, captioner_shapes

CONTEXT = 3


class TableCaptioner:
    """Bigrams: the next word depends on the last one and the context.

    `log_probs` is (rows, V, V).
    """

    def __init__(self, log_probs: np.ndarray) -> None:
        self.log_probs = log_probs

    def start(self, context: np.ndarray) -> tuple[np.ndarray]:
        return (context,)

    def step(
        self, state: tuple[np.ndarray, ...], word_ids: np.ndarray
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        return state, self.log_probs[state[0][:, 0].astype(int), word_ids]


def make_captioner(
    cell: str, words: int, seed: int, scale: float = 1.0, attention: int = 0
) -> Captioner:
    rng = np.random.default_rng(seed)
    shapes = captioner_shapes(cell, CONTEXT, 5, 4, words, attention, CONTEXT)
    return Captioner(
        {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()},
        cell,
    )


def make_contexts(rows: int, seed: int) -> Contexts:
    """With regions, of unlike numbers, which captioners without attention leave alone."""
    rng = np.random.default_rng(seed + 1000)
    whole = rng.normal(size=(rows, CONTEXT)).astype(np.float32)
    regions = rng.normal(size=(rows, 3, CONTEXT + GEOMETRY)).astype(np.float32)
    return Contexts(whole, regions, rng.integers(1, 4, size=rows))


def one_by_one(contexts: Contexts) -> list[Contexts]:
    return [contexts[row : row + 1] for row in range(len(contexts))]
