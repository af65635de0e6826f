"""The recurrent captioner in NumPy: visual features to log-probabilities of words (Eq. 13 to 15).

Axis names: N rows, X context dimensions, d word-vector dimensions, H hidden dimensions, V words of
the vocabulary, M regions, T words of a caption.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regiontalk.captioning import beam as search
from regiontalk.captioning.attention import GEOMETRY, Contexts, attend, attention_shapes, view_of
from regiontalk.captioning.beam import BOUNDARY, Hypothesis
from regiontalk.errors import PackError
from regiontalk.recurrence import STEPS, State, Weights, cell_shapes, start

UNKNOWN = 1
"""`Vocabulary.UNKNOWN`: stands for rare words in training captions, never generated."""

_IN_CACHE = 32
"""Rows of V log-probabilities that stay in the processor's cache between passes."""

_ROWS = 128
"""Contexts per batch: enough to keep the matrix products busy, few enough for a cache."""


class Captioner:
    """Recurrent captioner, with attention over regions or without.

    Attributes:
        attention: whether it attends to regions at every step.

    Args:
        weights: float32, see `captioner_shapes`. The pack has checked names and shapes.
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
        self.attention = "W_kr" in weights
        self._output = weights["embedding"].T if self.attention else weights["W_oh"]
        self._output_bias = weights["b_o"].copy()
        # Before the softmax, so that the other words share its probability
        self._output_bias[UNKNOWN] = -np.inf

    def start(self, contexts: Contexts) -> State:
        """Initial state of N captions (Eq. 13); with attention its last entry is a `View`."""
        first = start(self._cell, contexts.whole, self._weights)
        return (*first, view_of(contexts, self._weights)) if self.attention else first

    def step(self, state: State, word_ids: np.ndarray) -> tuple[State, np.ndarray]:
        """Advance each row by one word (Eq. 14 and 15).

        Args:
            state: of `start` or `step`.
            word_ids: (N,) int64; `Vocabulary.BOUNDARY` is START.

        Returns:
            The new state, and log-probabilities (N, V) float32 in nats: column BOUNDARY is END's,
            column UNKNOWN is -inf, each row sums to 1 as probabilities.

        Raises:
            PackError: if the weights are so large that a result is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            state, said, _ = self._recur(state, word_ids)
            logits = said @ self._output  # (N, V)
            # Log-softmax in place, in blocks that stay in the cache over its passes
            for at in range(0, len(logits), _IN_CACHE):
                part = logits[at : at + _IN_CACHE]
                part += self._output_bias
                part -= part.max(axis=1, keepdims=True)  # so that exp cannot overflow
                total = np.log(np.exp(part).sum(axis=1, keepdims=True))  # (n, 1)
                if not np.isfinite(total).all():
                    raise PackError(
                        f"{self._name}: its weights give values that are not finite. "
                        "Take another pack."
                    )
                part -= total
        return state, logits

    def _recur(
        self, state: State, word_ids: np.ndarray
    ) -> tuple[State, np.ndarray, np.ndarray | None]:
        """One step: the state, the output layer's input, and the attention (N, heads, M)."""
        cell = STEPS[self._cell]
        # Hypotheses share words: each is projected once
        different, read = np.unique(word_ids, return_inverse=True)
        words = self._weights["embedding"][different]  # (U, d)
        if not self.attention:
            state = cell(state, words, read, self._weights)
            return state, state[0], None
        *before, view = state
        after = cell(tuple(before), words, read, self._weights)
        said, looks = attend(after[0], view, self._weights)
        return (*after, view), said, looks

    def looks(self, contexts: Contexts, captions: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Attention at each word of given captions (teacher forcing), averaged over the heads.

        Args:
            contexts: N, with regions.
            captions: N captions as ids, without START and END.

        Returns:
            N arrays (T, M), each row a distribution over regions.
        """
        found: list[np.ndarray] = []
        for at in range(0, len(contexts), _ROWS):
            found += self._looks(contexts[at : at + _ROWS], captions[at : at + _ROWS])
        return found

    def _looks(self, contexts: Contexts, captions: Sequence[Sequence[int]]) -> list[np.ndarray]:
        longest = max(map(len, captions), default=0)
        inputs = np.full((len(captions), longest + 1), BOUNDARY)
        for row, ids in enumerate(captions):
            inputs[row, 1 : len(ids) + 1] = ids
        state, found = self.start(contexts), []
        for step in range(longest):
            state, _, looks = self._recur(state, inputs[:, step])
            assert looks is not None
            found.append(looks.mean(axis=1))
        every = np.stack(found, axis=1) if found else np.zeros((len(captions), 0, 0), np.float32)
        return [every[row, : len(ids), : contexts.counts[row]] for row, ids in enumerate(captions)]

    def beam(
        self,
        contexts: Contexts,
        beam: int = 5,
        max_words: int = 20,
        length_normalisation: float = 0.0,
        once: np.ndarray | None = None,
    ) -> list[list[Hypothesis]]:
        """`beam_search` in batches of the N contexts, which bounds memory.

        Raises:
            PackError: if the weights are so large that no word but END is possible.
        """
        found: list[list[Hypothesis]] = []
        for at in range(0, len(contexts), _ROWS):
            found += search.beam_search(
                self, contexts[at : at + _ROWS], beam, max_words, length_normalisation, once
            )
        if not all(found):
            raise PackError(
                f"{self._name}: its weights leave no word to begin with. Take another pack."
            )
        return found

    def greedy(self, contexts: Contexts, max_words: int = 20) -> list[Hypothesis]:
        """Greedy decoding; N contexts -> N hypotheses."""
        return search.greedy(self, contexts, max_words)

    def sample(
        self, contexts: Contexts, temperature: float, rng: np.random.Generator, max_words: int = 20
    ) -> list[Hypothesis]:
        """Ancestral sampling for N contexts; see `beam.sample`."""
        return search.sample(self, contexts, temperature, rng, max_words)


def captioner_shapes(
    cell: str,
    context: int,
    hidden: int,
    embedding: int,
    words: int,
    attention: int = 0,
    features: int = 0,
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a captioner's tensors, as its weights file must hold them.

    Args:
        cell: "rnn", "gru" or "lstm".
        context: X, D for whole photos, 2 D for regions (the region's features, then the photo's).
        hidden: H.
        embedding: d.
        words: V, the vocabulary's length.
        attention: A; 0 for none: the logits then come from h through `W_oh`.
        features: D, of the regions that are attended to.
    """
    output: dict[str, tuple[int, ...]] = {"W_oh": (hidden, words)}
    if attention:
        output = attention_shapes(features + GEOMETRY, hidden, embedding, attention)
    return {
        "embedding": (words, embedding),
        **cell_shapes(cell, context, hidden, embedding),
        **output,
        "b_o": (words,),
    }
