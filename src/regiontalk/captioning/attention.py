"""Attention over a photo's regions (Vaswani et al., 2017, with the recurrence's state as the query).

After each step of the recurrence the state h asks the regions r_1 ... r_M, in several heads side by side:

    a = softmax_i(h W_qh · r_i W_kr / sqrt(A / heads)),   e = tanh(h W_sh + Σ_i a_i (r_i W_vr) W_sa + b_s)

and e is held against every word's vector, W_w e + b_o: what is read and what is said share one table of word vectors.

Row-vector convention, x @ W + b. Axis names: N rows, n hypotheses of them, M regions, R dimensions of a region,
H hidden dimensions, A dimensions of all heads together, d word-vector dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from regiontalk.captioning.contexts import Contexts
from regiontalk.recurrence import Weights
from regiontalk.settings import HEADS


@dataclass(frozen=True, eq=False)
class View:
    """The regions before n hypotheses, projected once: a part of the search's state that can be gathered like it.

    Attributes:
        keys, values: (N, heads, M, A / heads).
        hidden: (N, 1, M), -inf where there is no region, else 0.
        row: (n,) int64, which of the N each hypothesis is about.
    """

    keys: np.ndarray
    values: np.ndarray
    hidden: np.ndarray
    row: np.ndarray

    def __getitem__(self, picked: np.ndarray) -> View:
        return replace(self, row=self.row[picked])


def view_of(contexts: Contexts, weights: Weights) -> View:
    """What N captions' photos show.

    Args:
        contexts: N, with regions.
        weights: `W_kr`, `W_vr` (R, A).
    """
    rows, regions, _ = contexts.regions.shape

    def in_heads(matrix: np.ndarray) -> np.ndarray:
        projected = contexts.regions @ matrix  # (N, M, A)
        return np.ascontiguousarray(projected.reshape(rows, regions, HEADS, matrix.shape[1] // HEADS).swapaxes(1, 2))

    hidden = np.where(contexts.there, np.float32(0), np.float32(-np.inf))[:, None]
    return View(in_heads(weights["W_kr"]), in_heads(weights["W_vr"]), hidden, np.arange(rows))


def attend(h: np.ndarray, view: View, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """What each hypothesis is about to say, and where it looks for it.

    Args:
        h: (n, H), the recurrence's states.
        view: of the same hypotheses.
        weights: `W_qh` (H, A), `W_sh` (H, d), `W_sa` (A, d), `b_s` (d,).

    Returns:
        e (n, d), and the attention (n, heads, M), each row of it a distribution.
    """
    count, (_, heads, _, width) = len(h), view.keys.shape
    queries = (h @ weights["W_qh"]).reshape(count, heads, width, 1) * np.float32(width**-0.5)
    scores = (view.keys[view.row] @ queries)[..., 0] + view.hidden[view.row]  # (n, heads, M)
    scores -= scores.max(axis=-1, keepdims=True)
    looks = np.exp(scores)
    looks /= looks.sum(axis=-1, keepdims=True)
    attended = (looks[:, :, None] @ view.values[view.row]).reshape(count, heads * width)  # (n, A)
    return np.tanh(h @ weights["W_sh"] + attended @ weights["W_sa"] + weights["b_s"]), looks


def attention_shapes(region: int, hidden: int, embedding: int, attention: int) -> dict[str, tuple[int, ...]]:
    """The tensors that attention adds to a captioner, in place of `W_oh`.

    Args:
        region: R; hidden: H; embedding: d; attention: A.
    """
    return {
        "W_kr": (region, attention),
        "W_vr": (region, attention),
        "W_qh": (hidden, attention),
        "W_sh": (hidden, embedding),
        "W_sa": (attention, embedding),
        "b_s": (embedding,),
    }
