"""The cells against hand-worked values and against PyTorch's own, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from regiontalk.recurrence import GATES, STEPS, cell_shapes, gru_update, sigmoid, start

D_CONTEXT, H, D_WORD, V = 5, 4, 3, 7
EACH = np.arange(6)
"""Each row reads its own word."""


def random_weights(cell: str, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = cell_shapes(cell, D_CONTEXT, H, D_WORD)
    return {name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}


def test_rnn_by_hand() -> None:
    """One hidden unit: the image enters through a ReLU at the first step only (Eq. 13, 14)."""
    weights = {
        "W_hi": np.array([[2.0]]),
        "b_hi": np.array([1.0]),
        "W_hx": np.array([[0.5]]),
        "W_hh": np.array([[-1.0]]),
        "b_h": np.array([0.25]),
    }
    state = start("rnn", np.array([[1.0], [-1.0]]), weights)  # b_v = 3 and -1
    word = np.array([[1.0], [1.0]])
    state = STEPS["rnn"](state, word, EACH[:2], weights)
    np.testing.assert_allclose(state[0], [[0.5 + 0.25 + 3.0], [0.5 + 0.25 + 0.0]])
    state = STEPS["rnn"](state, 10 * word[:1], np.array([0, 0]), weights)
    np.testing.assert_allclose(state[0], [[5.25 - 3.75], [5.25 - 0.75]])


def test_gru_by_hand() -> None:
    """Update gate wide open keeps h_0 = tanh(b_v); shut, it takes the candidate."""
    weights = {
        "W_hi": np.array([[1.0]]),
        "b_hi": np.array([0.0]),
        "W_hx": np.zeros((1, 3)),
        "W_hh": np.array([[0.0, 0.0, 2.0]]),
        "b_x": np.array([-50.0, 50.0, 0.3]),  # r = 0, z = 1
        "b_h": np.zeros(3),
    }
    word = np.zeros((1, 1))
    state = start("gru", np.array([[0.5]]), weights)
    np.testing.assert_allclose(STEPS["gru"](state, word, EACH[:1], weights)[0], [[np.tanh(0.5)]])
    weights["b_x"] = np.array([50.0, -50.0, 0.3])  # r = 1, z = 0
    np.testing.assert_allclose(
        STEPS["gru"](state, word, EACH[:1], weights)[0], [[np.tanh(0.3 + 2 * np.tanh(0.5))]]
    )


def test_gru_update_is_the_step_with_the_words_part_given() -> None:
    weights = random_weights("gru")
    rng = np.random.default_rng(4)
    h, x = (
        rng.normal(size=(5, H)).astype(np.float32),
        rng.normal(size=(5, D_WORD)).astype(np.float32),
    )
    updated = gru_update(h, x @ weights["W_hx"] + weights["b_x"], weights["W_hh"], weights["b_h"])
    np.testing.assert_array_equal(updated, STEPS["gru"]((h,), x, EACH[:5], weights)[0])
    assert updated.dtype == np.float32


def test_lstm_by_hand() -> None:
    """c_0 = 0: with all gates open the first step is tanh(g)."""
    weights = {
        "W_hi": np.array([[1.0]]),
        "b_hi": np.array([0.0]),
        "W_hx": np.zeros((1, 4)),
        "W_hh": np.zeros((1, 4)),
        "b_x": np.array([50.0, 50.0, 0.4, 50.0]),
        "b_h": np.zeros(4),
    }
    state = start("lstm", np.array([[0.5]]), weights)
    np.testing.assert_allclose(state[0], [[np.tanh(0.5)]])
    state = STEPS["lstm"](state, np.zeros((1, 1)), EACH[:1], weights)
    np.testing.assert_allclose(state[1], [[np.tanh(0.4)]])
    np.testing.assert_allclose(state[0], [[np.tanh(np.tanh(0.4))]])
    state = STEPS["lstm"](state, np.zeros((1, 1)), EACH[:1], weights)
    np.testing.assert_allclose(state[1], [[2 * np.tanh(0.4)]])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gates_are_in_torchs_order(cell: str) -> None:
    torch = pytest.importorskip("torch")
    weights = random_weights(cell)
    network = {"gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}[cell](D_WORD, H)
    for name, ours in (
        ("weight_ih", "W_hx"),
        ("weight_hh", "W_hh"),
        ("bias_ih", "b_x"),
        ("bias_hh", "b_h"),
    ):
        getattr(network, name).data = torch.from_numpy(weights[ours].T.copy())
    rng = np.random.default_rng(1)
    state = start(cell, rng.normal(size=(6, D_CONTEXT)).astype(np.float32), weights)
    theirs = [torch.from_numpy(array) for array in state]
    for _ in range(4):
        x = rng.normal(size=(6, D_WORD)).astype(np.float32)
        state = STEPS[cell](state, x, EACH[:6], weights)
        with torch.no_grad():
            out = network(torch.from_numpy(x), theirs[0] if cell == "gru" else tuple(theirs))
        theirs = [out] if cell == "gru" else list(out)
        for ours, other in zip(state, theirs, strict=True):
            np.testing.assert_allclose(ours, other.numpy(), atol=1e-6)


@pytest.mark.parametrize("cell", sorted(STEPS))
def test_a_state_is_rows_of_the_first_array_h(cell: str) -> None:
    """Searches gather rows of every array of a state, so each must depend on its own row only."""
    weights = random_weights(cell)
    rng = np.random.default_rng(2)
    contexts, x = (
        rng.normal(size=(5, D_CONTEXT)).astype(np.float32),
        rng.normal(size=(5, D_WORD)).astype(np.float32),
    )
    state = STEPS[cell](start(cell, contexts, weights), x, EACH[:5], weights)
    picked = np.array([3, 0, 3])
    again = STEPS[cell](start(cell, contexts[picked], weights), x, picked, weights)
    for array, other in zip(state, again, strict=True):
        assert array.shape == (5, H)
        np.testing.assert_allclose(array[picked], other, atol=1e-6)


def test_shapes_follow_the_gates() -> None:
    for cell, gates in GATES.items():
        shapes = cell_shapes(cell, context=10, hidden=8, embedding=6)
        assert shapes["W_hx"] == (6, 8 * gates)
        assert shapes["W_hh"] == (8, 8 * gates)
        assert ("b_x" in shapes) == (cell != "rnn")


def test_sigmoid_does_not_overflow() -> None:
    np.testing.assert_allclose(sigmoid(np.array([-1e30, 0.0, 1e30])), [0, 0.5, 1])
