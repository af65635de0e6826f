"""The words network as it runs: a bidirectional recurrent network in NumPy (Eq. 2 to 6), with one of two cells.

Axis names: V words in the vocabulary, d dimensions of a word vector, H hidden units, h dimensions of the shared space,
T words of a sentence, P words of a whole batch of sentences; G dimensions of word vectors from elsewhere.

| cell | weights beside `embedding` (V, d), `W_d` (H, h), `b_d` (h,) |
|---|---|
| rnn | `W_e` (d, H), `b_e` (H,), `W_f`, `W_b` (H, H), `b_f`, `b_b` (H,) |
| gru | `W_xf`, `W_xb` (d, 3H), `b_xf`, `b_xb` (3H,), `W_f`, `W_b` (H, 3H), `b_f`, `b_b` (3H,), gates r, z, n |

The rnn is the paper's. The gru is not: each direction reads x_t itself, without Eq. 3, and s_t has no f of Eq. 6 around
it, so it may be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from regiontalk.errors import SentenceError
from regiontalk.recurrence import GATES, gru_update

CELLS = ("rnn", "gru")
"""The paper's first."""

_BATCH = 256
"""Sentences read together: enough to keep matrix products busy, few enough to stay in the cache."""

_Update = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""h_{t∓1} (N, H), the word's part, W and b of the hidden part -> h_t (N, H)."""


class PlacedVectors:
    """The word vectors (P, d) of P placed words, each computed when it is asked for: all of them would take megabytes.

    No caption taught these words: their places come from word vectors through a map that was learnt beside the
    captions.

    Args:
        tensors: `vectors` (P, G) and `W_g` (G, d), float32.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._vectors, self._map = tensors["vectors"], tensors["W_g"]

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The word vectors of some rows (n,).  # (n, d)"""
        found: np.ndarray = self._vectors[rows] @ self._map
        return found


class WordsReader:
    """Turns word ids into vectors of the shared space, s_t.

    Sentences of a batch are laid side by side without padding (the longest first, word by word), so that no sentence
    sees another or its length: a batch gives what one sentence at a time gives, up to rounding.
    """

    def __init__(
        self, weights: Mapping[str, np.ndarray], cell: str = "rnn", placed: PlacedVectors | None = None
    ) -> None:
        """Takes the weights, any float type; they are held as float32. Row vectors: x @ W + b.

        Args:
            weights: the cell's, see `words_shapes`; others are ignored.
            cell: "rnn" or "gru".
            placed: vectors of the words whose ids follow those of the vocabulary; None for none.

        Raises:
            ValueError: if the cell is not known, a weight is missing or their shapes disagree.
        """
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}, found {cell!r}")
        names = _checked_names(weights, cell)
        self._weights = {name: np.ascontiguousarray(weights[name], dtype=np.float32) for name in names}
        self._network = _rnn if cell == "rnn" else _gru
        self._placed = placed
        self._learnt = len(weights["embedding"])
        self.vocabulary_size = self._learnt + (0 if placed is None else len(placed))
        self.dim = len(weights["b_d"])

    def read(self, sentences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Reads sentences (Eq. 2 to 6).

        Args:
            sentences: an array (T,) of integer word ids for each sentence, T at least 1, ids in 0..V-1.

        Returns:
            For each sentence its vectors s_t, (T, h) float32, in the order given; of an rnn not negative (f is ReLU).

        Raises:
            SentenceError: if a sentence holds no word.
            ValueError: if an id is outside the vocabulary or an array is not one of integers with one axis.
        """
        arrays = [np.asarray(ids) for ids in sentences]
        for number, ids in enumerate(arrays):
            self._check_ids(number, ids)
        longest_first = sorted(range(len(arrays)), key=lambda number: -len(arrays[number]))
        vectors: dict[int, np.ndarray] = {}
        for start in range(0, len(arrays), _BATCH):
            chunk = longest_first[start : start + _BATCH]
            vectors.update(zip(chunk, self._read_batch([arrays[number] for number in chunk]), strict=True))
        return [vectors[number] for number in range(len(arrays))]

    def _check_ids(self, number: int, ids: np.ndarray) -> None:
        if ids.size == 0:
            raise SentenceError(f"sentence {number + 1} holds no word: write at least one word of letters or digits")
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"sentence {number + 1} must be integers with one axis, not {ids.dtype} {ids.shape}")
        if ids.min() < 0 or ids.max() >= self.vocabulary_size:
            raise ValueError(f"sentence {number + 1} holds an id outside of 0..{self.vocabulary_size - 1}")

    def _read_batch(self, sentences: list[np.ndarray]) -> list[np.ndarray]:
        """The same for sentences that stand by descending length."""
        lengths = np.array([len(ids) for ids in sentences])
        # Word t of every sentence that has one: rows starts[t] to starts[t + 1] of all arrays below, the longest
        # sentence first. The sentences still running at t + 1 are always the first rows of those running at t.
        running = [int((lengths > t).sum()) for t in range(lengths[0])]
        starts = np.concatenate([[0], np.cumsum(running)])
        ids = np.concatenate([[sentence[t] for sentence in sentences[:n]] for t, n in enumerate(running)])

        x = self._look_up(ids)  # (P, d), Eq. 2
        steps = [slice(starts[t], starts[t + 1]) for t in range(len(running))]
        s = self._network(x, steps, self._weights)  # (P, h)
        return [s[starts[:length] + row] for row, length in enumerate(lengths)]

    def _look_up(self, ids: np.ndarray) -> np.ndarray:
        """The word vectors of ids (P,).  # (P, d)"""
        outside = ids >= self._learnt
        x: np.ndarray = self._weights["embedding"][np.where(outside, 0, ids)]
        if self._placed is not None and outside.any():
            x[outside] = self._placed[ids[outside] - self._learnt]
        return x


def words_shapes(cell: str, words: int, embedding: int, hidden: int, dim: int) -> dict[str, tuple[int, ...]]:
    """Every tensor of a words network with its shape: what its file must hold.

    Args:
        cell: "rnn" or "gru".
        words: V, the vocabulary's length.
        embedding: d.
        hidden: H.
        dim: h.
    """
    columns = GATES[cell] * hidden
    inputs: dict[str, tuple[int, ...]] = {"W_e": (embedding, hidden), "b_e": (hidden,)}
    if cell == "gru":
        matrix, bias = (embedding, columns), (columns,)
        inputs = {"W_xf": matrix, "b_xf": bias, "W_xb": matrix, "b_xb": bias}
    return {
        "embedding": (words, embedding),
        **inputs,
        "W_f": (hidden, columns),
        "b_f": (columns,),
        "W_b": (hidden, columns),
        "b_b": (columns,),
        "W_d": (hidden, dim),
        "b_d": (dim,),
    }


def placed_shapes(words: int, vector_dim: int, embedding: int) -> dict[str, tuple[int, ...]]:
    """Every tensor that `PlacedVectors` takes, with its shape.

    Args:
        words: P.
        vector_dim: G.
        embedding: d.
    """
    return {"vectors": (words, vector_dim), "W_g": (vector_dim, embedding)}


def _rnn(x: np.ndarray, steps: list[slice], w: Mapping[str, np.ndarray]) -> np.ndarray:
    """Eq. 3 to 6: word vectors x (P, d) -> s (P, h)."""
    e = _relu(x @ w["W_e"] + w["b_e"])  # (P, H), Eq. 3
    h_forward = _recur(_rnn_update, e, steps, w["W_f"], w["b_f"])  # (P, H), Eq. 4
    h_backward = _recur(_rnn_update, e, steps[::-1], w["W_b"], w["b_b"])  # (P, H), Eq. 5
    return _relu((h_forward + h_backward) @ w["W_d"] + w["b_d"])  # (P, h), Eq. 6


def _gru(x: np.ndarray, steps: list[slice], w: Mapping[str, np.ndarray]) -> np.ndarray:
    """The same with gates instead of f: no Eq. 3, a GRU in place of Eq. 4 and 5, and Eq. 6 without its f."""
    h_forward = _recur(gru_update, x @ w["W_xf"] + w["b_xf"], steps, w["W_f"], w["b_f"])  # (P, H)
    h_backward = _recur(gru_update, x @ w["W_xb"] + w["b_xb"], steps[::-1], w["W_b"], w["b_b"])  # (P, H)
    s: np.ndarray = (h_forward + h_backward) @ w["W_d"] + w["b_d"]  # (P, h)
    return s


def _recur(update: _Update, words: np.ndarray, steps: list[slice], matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """One direction, with h = 0 before a sentence's first word: the words' parts (P, H or 3H) -> all h_t (P, H).

    Going right to left, sentences join as t reaches their last word; until then their state stays at its 0.
    """
    hidden = np.empty((len(words), len(matrix)), np.float32)
    state = np.zeros((max(step.stop - step.start for step in steps), len(matrix)), np.float32)
    for step in steps:
        rows = state[: step.stop - step.start]
        rows[...] = update(rows, words[step], matrix, bias)
        hidden[step] = rows
    return hidden


def _rnn_update(h: np.ndarray, word: np.ndarray, matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """One step of Eq. 4 or 5: h_t = f(e_t + W h_{t∓1} + b)."""
    return _relu(word + h @ matrix + bias)


def _relu(x: np.ndarray) -> np.ndarray:
    rectified: np.ndarray = np.maximum(x, 0)
    return rectified


def _checked_names(weights: Mapping[str, np.ndarray], cell: str) -> list[str]:
    """The names of the cell's weights, all of them there and of the shapes that `embedding` and `W_d` ask for."""
    names = list(words_shapes(cell, 0, 0, 0, 0))
    for name in names:
        if name not in weights:
            raise ValueError(f"the words network lacks {name}")
    for name in ("embedding", "W_d"):
        if weights[name].ndim != 2:
            raise ValueError(f"{name} of the words network has shape {weights[name].shape}, expected two axes")
    for name, shape in words_shapes(cell, *weights["embedding"].shape, *weights["W_d"].shape).items():
        if weights[name].shape != shape:
            raise ValueError(f"{name} of the words network has shape {weights[name].shape}, expected {shape}")
    return names
