"""Inference of the words network, a bidirectional RNN or GRU, in NumPy (Eq. 2 to 6).

Axis names: V words in the vocabulary, d dimensions of a word vector, H hidden units, h dimensions
of the shared space, T words of a sentence, P words of a whole batch of sentences, U unique ones
among them; G dimensions of pretrained word vectors.

| cell | weights beside `embedding` (V, d), `W_d` (H, h), `b_d` (h,) |
|---|---|
| rnn | `W_e` (d, H), `b_e` (H,), `W_f`, `W_b` (H, H), `b_f`, `b_b` (H,) |
| gru | `W_xf`, `W_xb` (d, 3H), `b_xf`, `b_xb` (3H,), `W_f`, `W_b` (H, 3H), `b_f`, `b_b` (3H,) |

The rnn is the paper's. The gru, with gates r, z, n, is an extension: each direction takes x_t
directly, without Eq. 3, and Eq. 6 has no f (ReLU), so s_t may be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from regiontalk.errors import SentenceError
from regiontalk.recurrence import GATES, gru_update

CELLS = ("rnn", "gru")
"""The paper's cell first."""

_BATCH = 256
"""Sentences per batch: enough to keep matrix products busy, few enough to stay in the cache."""

_Update = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Cell update: h_{t∓1} (N, H), the words' input projections, recurrent W and b -> h_t (N, H)."""


class PlacedVectors:
    """Lazily computed word vectors (P, d) of P placed words, not learnt from captions.

    They are pretrained word vectors, projected by a linear map W_g that was learnt jointly with the
    vocabulary's words. All of them at once would take megabytes.

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
    """Encodes sentences of word ids as word vectors of the shared space, s_t.

    Prefixes that sentences of a batch share are encoded once by the forward direction, shared
    suffixes once by the backward one: a captioner's candidates differ in a word or two. Sentences
    do not affect each other: results do not depend on the batch, up to rounding.
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        cell: str = "rnn",
        placed: PlacedVectors | None = None,
    ) -> None:
        """Checks the weights and converts them to float32. Row-vector convention: x @ W + b.

        Args:
            weights: the cell's, of any float type, see `words_shapes`; others are ignored.
            cell: "rnn" or "gru".
            placed: vectors of the words whose ids follow those of the vocabulary; None for none.

        Raises:
            ValueError: if the cell is not known, a weight is missing or their shapes disagree.
        """
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}, found {cell!r}")
        names = _checked_names(weights, cell)
        self._weights = {
            name: np.ascontiguousarray(weights[name], dtype=np.float32) for name in names
        }
        self._network = _rnn if cell == "rnn" else _gru
        self._placed = placed
        self._learnt = len(weights["embedding"])
        self.vocabulary_size = self._learnt + (0 if placed is None else len(placed))
        self.dim = len(weights["b_d"])

    def read(self, sentences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Encodes sentences (Eq. 2 to 6).

        Args:
            sentences: an array (T,) of integer word ids for each sentence, T at least 1, ids from 0
                and below `vocabulary_size`.

        Returns:
            For each sentence its vectors s_t, (T, h) float32, in the order given; of an rnn not
            negative (f is ReLU).

        Raises:
            SentenceError: if a sentence holds no word.
            ValueError: if an id is outside the vocabulary or an array is not one of integers with
                one axis.
        """
        arrays = [np.asarray(ids) for ids in sentences]
        for number, ids in enumerate(arrays):
            self._check_ids(number, ids)
        longest_first = sorted(range(len(arrays)), key=lambda number: -len(arrays[number]))
        vectors: dict[int, np.ndarray] = {}
        for start in range(0, len(arrays), _BATCH):
            chunk = longest_first[start : start + _BATCH]
            vectors.update(
                zip(chunk, self._read_batch([arrays[number] for number in chunk]), strict=True)
            )
        return [vectors[number] for number in range(len(arrays))]

    def _check_ids(self, number: int, ids: np.ndarray) -> None:
        if ids.size == 0:
            raise SentenceError(
                f"sentence {number + 1} holds no word: write at least one word of letters or digits"
            )
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(
                f"sentence {number + 1} must be integers with one axis, not {ids.dtype} {ids.shape}"
            )
        if ids.min() < 0 or ids.max() >= self.vocabulary_size:
            raise ValueError(
                f"sentence {number + 1} holds an id outside of 0..{self.vocabulary_size - 1}"
            )

    def _read_batch(self, sentences: list[np.ndarray]) -> list[np.ndarray]:
        """`read` for one batch, sorted by descending length."""
        lengths = np.array([len(ids) for ids in sentences])
        different, rows = np.unique(np.concatenate(sentences), return_inverse=True)
        # Of each sentence, (T,) rows of `different`
        words = np.split(rows, np.cumsum(lengths)[:-1])
        x = self._look_up(different)  # (U, d), Eq. 2
        # s: (P, h)
        s = self._network(x, Beginnings(words), Beginnings(words, from_right=True), self._weights)
        return np.split(s, np.cumsum(lengths)[:-1])

    def _look_up(self, ids: np.ndarray) -> np.ndarray:
        """The word vectors of ids (P,).  # (P, d)"""
        outside = ids >= self._learnt
        x: np.ndarray = self._weights["embedding"][np.where(outside, 0, ids)]
        if self._placed is not None and outside.any():
            x[outside] = self._placed[ids[outside] - self._learnt]
        return x


def words_shapes(
    cell: str, words: int, embedding: int, hidden: int, dim: int
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a words network's tensors, as its weights file must hold them.

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
    """Names and shapes of the tensors of `PlacedVectors`.

    Args:
        words: P.
        vector_dim: G.
        embedding: d.
    """
    return {"vectors": (words, vector_dim), "W_g": (vector_dim, embedding)}


class Beginnings:
    """Prefix tree (trie) of L sentences: the recurrence runs once for each distinct prefix.

    Args:
        sentences: the words of each (T,), not negative; the longest sentence first.
        from_right: take the sentences reversed, so that prefixes are suffixes.

    Attributes:
        levels: for each t the prefixes of t + 1 words: each one's parent, an index into the level
            before, and its last word, (n,) both.
        place: (P,), the prefix that ends at each word of all sentences, numbered across levels.
    """

    def __init__(self, sentences: Sequence[np.ndarray], from_right: bool = False) -> None:
        lengths = np.array([len(words) for words in sentences])
        ends = np.cumsum(lengths)  # of each sentence in (P,)
        said, different = (
            np.concatenate(sentences),
            1 + max(int(words.max()) for words in sentences),
        )
        self.place = np.empty(len(said), np.int64)
        self.levels: list[tuple[np.ndarray, np.ndarray]] = []
        before, count = np.zeros(len(sentences), np.int64), 0
        for t in range(lengths[0]):
            longer = lengths > t  # always the first ones
            own = ends[longer] - 1 - t if from_right else (ends - lengths)[longer] + t
            # A prefix is its parent and its last word, as one integer
            found, before = np.unique(
                before[: len(own)] * different + said[own], return_inverse=True
            )
            self.levels.append(np.divmod(found, different))
            self.place[own] = count + before
            count += len(found)


def _rnn(
    x: np.ndarray, left: Beginnings, right: Beginnings, w: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Eq. 3 to 6: unique words' vectors x (U, d) -> s (P, h)."""
    e = _relu(x @ w["W_e"] + w["b_e"])  # (U, H), Eq. 3
    h_forward = _recur(_rnn_update, e, left, w["W_f"], w["b_f"])  # (P, H), Eq. 4
    h_backward = _recur(_rnn_update, e, right, w["W_b"], w["b_b"])  # (P, H), Eq. 5
    return _relu((h_forward + h_backward) @ w["W_d"] + w["b_d"])  # (P, h), Eq. 6


def _gru(
    x: np.ndarray, left: Beginnings, right: Beginnings, w: Mapping[str, np.ndarray]
) -> np.ndarray:
    """`_rnn` with gates: no Eq. 3, a GRU instead of Eq. 4 and 5, Eq. 6 without its f."""
    h_forward = _recur(gru_update, x @ w["W_xf"] + w["b_xf"], left, w["W_f"], w["b_f"])  # (P, H)
    h_backward = _recur(gru_update, x @ w["W_xb"] + w["b_xb"], right, w["W_b"], w["b_b"])  # (P, H)
    s: np.ndarray = (h_forward + h_backward) @ w["W_d"] + w["b_d"]  # (P, h)
    return s


def _recur(
    update: _Update, words: np.ndarray, beginnings: Beginnings, matrix: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """One direction, from h = 0: input projections (U, H or 3H) of words -> all h_t (P, H)."""
    state, states = np.zeros((1, len(matrix)), np.float32), []
    for before, word in beginnings.levels:
        state = update(state[before], words[word], matrix, bias)
        states.append(state)
    return np.concatenate(states)[beginnings.place]


def _rnn_update(
    h: np.ndarray, word: np.ndarray, matrix: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """One step of Eq. 4 or 5: h_t = f(e_t + W h_{t∓1} + b)."""
    return _relu(word + h @ matrix + bias)


def _relu(x: np.ndarray) -> np.ndarray:
    rectified: np.ndarray = np.maximum(x, 0)
    return rectified


def _checked_names(weights: Mapping[str, np.ndarray], cell: str) -> list[str]:
    """The names of the cell's weights, after a check of shapes against `embedding` and `W_d`."""
    names = list(words_shapes(cell, 0, 0, 0, 0))
    for name in names:
        if name not in weights:
            raise ValueError(f"the words network lacks {name}")
    for name in ("embedding", "W_d"):
        if weights[name].ndim != 2:
            raise ValueError(
                f"{name} of the words network has shape {weights[name].shape}, expected two axes"
            )
    for name, shape in words_shapes(
        cell, *weights["embedding"].shape, *weights["W_d"].shape
    ).items():
        if weights[name].shape != shape:
            raise ValueError(
                f"{name} of the words network has shape {weights[name].shape}, expected {shape}"
            )
    return names
