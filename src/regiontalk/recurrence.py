"""Recurrent cells in NumPy, as pure functions: ReLU RNN, GRU and LSTM.

Shared by language and captioning: captioners decode with one of the cells, and the words network
reads sentences with `gru_update`.

Row-vector convention, x @ W + b. Axis names: N rows (hypotheses), U word vectors, d their
dimensions, H hidden dimensions, X context dimensions. A state is a tuple of (N, H) arrays, h_t
first, so that a beam search can gather rows of any cell's state in the same way.

| cell | weights | visual input, b_v = context @ W_hi + b_hi |
|---|---|---|
| rnn | `W_hx` (d, H), `W_hh` (H, H), `b_h` (H,) | Eq. 14: inside f at the first step, through f |
| gru | `W_hx` (d, 3H), `W_hh` (H, 3H), `b_x`, `b_h` (3H,): r, z, n | h_0 = tanh(b_v) |
| lstm | `W_hx` (d, 4H), `W_hh` (H, 4H), `b_x`, `b_h` (4H,): i, f, g, o | h_0 = tanh(b_v), c_0 = 0 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

State = tuple[Any, ...]
"""(N, H) arrays, h_t first; optionally, last, other data of each row that can be indexed by rows
like an array."""

Weights = Mapping[str, np.ndarray]

Step = Callable[[State, np.ndarray, np.ndarray, Weights], State]
"""State of N rows, word vectors x (U, d), row of x for each (N,), weights -> the next state.

Hypotheses of a beam search share few distinct words, so x @ W_hx is computed once for each of them
and then gathered.
"""

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""Columns of a cell's matrices, in units of H."""


def start(cell: str, context: np.ndarray, weights: Weights) -> State:
    """The initial state, from the visual features.

    Args:
        cell: "rnn", "gru" or "lstm".
        context: (N, X) visual features.
        weights: `W_hi` (X, H), `b_hi` (H,).

    Returns:
        rnn: (h_0 = 0, f(b_v), which the next step adds); gru: (h_0,); lstm: (h_0, c_0).
    """
    image = context @ weights["W_hi"] + weights["b_hi"]  # (N, H) b_v of Eq. 13
    if cell == "rnn":
        return np.zeros_like(image), np.maximum(image, 0)
    if cell == "gru":
        return (np.tanh(image),)
    return np.tanh(image), np.zeros_like(image)


def rnn_step(state: State, x: np.ndarray, read: np.ndarray, weights: Weights) -> State:
    """Eq. 14: h_t = f(x_t W_hx + h_{t-1} W_hh + b_h + 1(t = 1) f(b_v)), f = ReLU.

    The state's second array is the visual input: f(b_v) before the first step, zeros afterwards.
    """
    h, image = state
    h = np.maximum((x @ weights["W_hx"])[read] + h @ weights["W_hh"] + weights["b_h"] + image, 0)
    return h, np.zeros_like(image)


def gru_step(state: State, x: np.ndarray, read: np.ndarray, weights: Weights) -> State:
    """`gru_update` with the input part x_t W_hx + b_x."""
    (h,) = state
    return (
        gru_update(
            h, (x @ weights["W_hx"] + weights["b_x"])[read], weights["W_hh"], weights["b_h"]
        ),
    )


def gru_update(h: np.ndarray, word: np.ndarray, matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """One step of a GRU: r, z = σ(...), n = tanh(x_n + r * h_n), h_t = (1 - z) * n + z * h_{t-1}.

    Args:
        h: (N, H), h_{t-1}.
        word: (N, 3H), the input part of the gates r, z, n, with its bias.
        matrix: (H, 3H), recurrent weights.
        bias: (3H,), of the recurrent part; that of n is inside the product with r.

    Returns:
        (N, H), h_t.
    """
    x_r, x_z, x_n = np.split(word, 3, axis=1)  # (N, H) each
    h_r, h_z, h_n = np.split(h @ matrix + bias, 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    updated: np.ndarray = n + z * (h - n)  # (1 - z) * n + z * h with one product less
    return updated


def lstm_step(state: State, x: np.ndarray, read: np.ndarray, weights: Weights) -> State:
    """i, f, o = σ(...), g = tanh(...), c_t = f * c_{t-1} + i * g, h_t = o * tanh(c_t)."""
    h, c = state
    # gates: (N, 4H)
    gates = (x @ weights["W_hx"] + weights["b_x"])[read] + h @ weights["W_hh"] + weights["b_h"]
    i, f, g, o = np.split(gates, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


STEPS: dict[str, Step] = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}


def cell_shapes(cell: str, context: int, hidden: int, embedding: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a cell's weights, by name.

    Args:
        cell: "rnn", "gru" or "lstm".
        context: X; hidden: H; embedding: d.
    """
    columns = GATES[cell] * hidden
    biases = {"b_h": (columns,)} if cell == "rnn" else {"b_x": (columns,), "b_h": (columns,)}
    return {
        "W_hi": (context, hidden),
        "b_hi": (hidden,),
        "W_hx": (embedding, columns),
        "W_hh": (hidden, columns),
        **biases,
    }


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) through tanh, which cannot overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))
