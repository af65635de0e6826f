"""The words network as it runs: a bidirectional recurrent network in NumPy (Eq. 2 to 6).

Axis names: V words in the vocabulary, d dimensions of a word vector, H hidden units, h dimensions of the shared space,
T words of a sentence, P words of a whole batch of sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regiontalk.errors import SentenceError

_SHAPES = {
    "embedding": "Vd",
    "W_e": "dH",
    "b_e": "H",
    "W_f": "HH",
    "b_f": "H",
    "W_b": "HH",
    "b_b": "H",
    "W_d": "Hh",
    "b_d": "h",
}
_BATCH = 256
"""Sentences read together: enough to keep matrix products busy, few enough to stay in the cache."""


class WordsReader:
    """Turns word ids into vectors of the shared space, s_t.

    Sentences of a batch are laid side by side without padding (the longest first, word by word), so that no sentence
    sees another or its length: a batch gives what one sentence at a time gives, up to rounding.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes the weights, any float type; they are held as float32. Row vectors: x @ W + b.

        Args:
            weights: `embedding` (V, d), `W_e` (d, H), `b_e` (H,), `W_f` (H, H), `b_f` (H,), `W_b` (H, H), `b_b` (H,),
                `W_d` (H, h), `b_d` (h,); others are ignored.

        Raises:
            ValueError: if one is missing or their shapes disagree.
        """
        sizes: dict[str, int] = {}
        for name, axes in _SHAPES.items():
            if name not in weights:
                raise ValueError(f"the words network lacks {name}")
            _note_sizes(sizes, name, axes, weights[name].shape)
        self._weights = {name: np.ascontiguousarray(weights[name], dtype=np.float32) for name in _SHAPES}
        self.vocabulary_size = sizes["V"]
        self.dim = sizes["h"]

    def read(self, sentences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Reads sentences (Eq. 2 to 6).

        Args:
            sentences: an array (T,) of integer word ids for each sentence, T at least 1, ids in 0..V-1.

        Returns:
            For each sentence its vectors s_t, (T, h) float32, not negative (f is ReLU), in the order given.

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
        w = self._weights
        lengths = np.array([len(ids) for ids in sentences])
        # Word t of every sentence that has one: rows starts[t] to starts[t + 1] of all arrays below, the longest
        # sentence first. The sentences still running at t + 1 are always the first rows of those running at t.
        running = [int((lengths > t).sum()) for t in range(lengths[0])]
        starts = np.concatenate([[0], np.cumsum(running)])
        ids = np.concatenate([[sentence[t] for sentence in sentences[:n]] for t, n in enumerate(running)])

        x = w["embedding"][ids]  # (P, d), Eq. 2
        e = _relu(x @ w["W_e"] + w["b_e"])  # (P, H), Eq. 3
        steps = [slice(starts[t], starts[t + 1]) for t in range(len(running))]
        h_forward = _recur(e, steps, w["W_f"], w["b_f"])  # (P, H), Eq. 4
        h_backward = _recur(e, steps[::-1], w["W_b"], w["b_b"])  # (P, H), Eq. 5
        s = _relu((h_forward + h_backward) @ w["W_d"] + w["b_d"])  # (P, h), Eq. 6
        return [s[starts[:length] + row] for row, length in enumerate(lengths)]


def _recur(e: np.ndarray, steps: list[slice], matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """One direction, Eq. 4 or 5: h_t = f(e_t + W h_{t∓1} + b), with h = 0 before a sentence's first word.

    Going right to left, sentences join as t reaches their last word; until then their state stays at its 0.
    """
    hidden = np.empty_like(e)
    state = np.zeros((max(step.stop - step.start for step in steps), e.shape[1]), np.float32)
    for step in steps:
        rows = state[: step.stop - step.start]
        rows[...] = _relu(e[step] + rows @ matrix + bias)
        hidden[step] = rows
    return hidden


def _relu(x: np.ndarray) -> np.ndarray:
    rectified: np.ndarray = np.maximum(x, 0)
    return rectified


def _note_sizes(sizes: dict[str, int], name: str, axes: str, shape: tuple[int, ...]) -> None:
    """Remembers how long each axis is and refuses a weight that disagrees with those before it."""
    expected = tuple(sizes.get(axis, axis) for axis in axes)
    fits = len(shape) == len(axes) and all(
        sizes.setdefault(axis, length) == length for axis, length in zip(axes, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} of the words network has shape {shape}, expected {expected}")
