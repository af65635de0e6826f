"""A captioner in NumPy: from visual features to log-probabilities of words (Eq. 13 to 15).

Axis names: N rows, X context dimensions, d word-vector dimensions, H hidden dimensions, V words of the vocabulary.
"""

from __future__ import annotations

import numpy as np

from regiontalk.captioning import beam as search
from regiontalk.captioning.beam import Hypothesis
from regiontalk.captioning.cells import STEPS, State, Weights, start
from regiontalk.errors import PackError

UNKNOWN = 1
"""`Vocabulary.UNKNOWN`: a mark for rare words in training captions, never written."""

_ROWS = 128
"""Contexts searched together: enough to keep the matrix products busy, few enough for a cache."""


class Captioner:
    """Writes sentences about visual features.

    Args:
        weights: float32: `embedding` (V, d), `W_hi` (X, H), `b_hi` (H,), the cell's (see `cells`), `W_oh` (H, V), `b_o`
            (V,). The pack has checked names and shapes.
        cell: "rnn", "gru" or "lstm".
        name: the captioner's name in messages.

    Raises:
        ValueError: if the cell is not known.
    """

    def __init__(self, weights: Weights, cell: str, name: str = "captioner") -> None:
        if cell not in STEPS:
            raise ValueError(f"cell must be one of {', '.join(STEPS)}, found {cell!r}")
        self._weights = weights
        self._cell = cell
        self._name = name
        self._output_bias = weights["b_o"].copy()
        self._output_bias[UNKNOWN] = -np.inf  # before the softmax, so that the other words share its probability

    def start(self, context: np.ndarray) -> State:
        """The state before the first word, for contexts (N, X) -> a tuple of (N, H). Eq. 13."""
        return start(self._cell, context, self._weights)

    def step(self, state: State, word_ids: np.ndarray) -> tuple[State, np.ndarray]:
        """Read one word in each row, and say how likely each word comes next. Eq. 14 and 15.

        Args:
            state: a tuple of (N, H).
            word_ids: (N,) int64; `Vocabulary.BOUNDARY` is START.

        Returns:
            The new state, and log-probabilities (N, V) float32 in nats: column BOUNDARY is END's, column UNKNOWN is
            -inf, each row sums to 1 as probabilities.

        Raises:
            PackError: if the weights are so large that a result is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # told apart below
            state = STEPS[self._cell](state, self._weights["embedding"][word_ids], self._weights)
            logits = state[0] @ self._weights["W_oh"] + self._output_bias  # (N, V)
            logits -= logits.max(axis=1, keepdims=True)
            total = np.log(np.exp(logits).sum(axis=1, keepdims=True))  # (N, 1)
        if not np.isfinite(total).all():
            raise PackError(f"{self._name}: its weights give values that are not finite. Take another pack.")
        logits -= total
        return state, logits

    def beam(
        self, contexts: np.ndarray, beam: int = 5, max_words: int = 20, length_normalisation: float = 0.0
    ) -> list[list[Hypothesis]]:
        """`beam_search`, a few rows of contexts (N, X) at a time so that memory stays flat.

        Raises:
            PackError: if the weights are so large that no word but END is possible.
        """
        found: list[list[Hypothesis]] = []
        for at in range(0, len(contexts), _ROWS):
            found += search.beam_search(self, contexts[at : at + _ROWS], beam, max_words, length_normalisation)
        if not all(found):
            raise PackError(f"{self._name}: its weights leave no word to begin with. Take another pack.")
        return found

    def greedy(self, contexts: np.ndarray, max_words: int = 20) -> list[Hypothesis]:
        """The likeliest next word, again and again; contexts (N, X) -> N hypotheses."""
        return search.greedy(self, contexts, max_words)

    def sample(
        self, contexts: np.ndarray, temperature: float, rng: np.random.Generator, max_words: int = 20
    ) -> list[Hypothesis]:
        """A sentence drawn at random for each of the contexts (N, X); see `beam.sample`."""
        return search.sample(self, contexts, temperature, rng, max_words)
