"""What a captioner says about the next word."""

from __future__ import annotations

import numpy as np
import pytest

from regiontalk.captioning.beam import BOUNDARY, greedy
from regiontalk.captioning.captioner import UNKNOWN, Captioner
from regiontalk.captioning.cells import captioner_shapes
from regiontalk.errors import PackError
from regiontalk.language.vocabulary import Vocabulary

CELLS = ("rnn", "gru", "lstm")


def make_captioner(cell: str, words: int = 9, context: int = 5, seed: int = 0, scale: float = 0.8) -> Captioner:
    rng = np.random.default_rng(seed)
    shapes = captioner_shapes(cell, context, 6, 4, words)
    return Captioner({name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()}, cell)


def test_special_words_are_the_vocabularys() -> None:
    assert (BOUNDARY, UNKNOWN) == (Vocabulary.BOUNDARY, Vocabulary.UNKNOWN)


@pytest.mark.parametrize("cell", CELLS)
def test_probabilities_sum_to_one_without_unknown(cell: str) -> None:
    captioner = make_captioner(cell)
    contexts = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    state = captioner.start(contexts)
    for word in (BOUNDARY, 3, 8):
        state, log_probs = captioner.step(state, np.full(4, word))
        assert log_probs.shape == (4, 9)
        assert log_probs.dtype == np.float32
        assert (log_probs[:, UNKNOWN] == -np.inf).all()
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-5)


def test_output_by_hand() -> None:
    """H = 1, h_1 = relu(1) = 1: logits are W_oh + b_o, UNKNOWN left out before normalising (Eq. 15)."""
    weights = {
        "embedding": np.zeros((4, 1), np.float32),
        "W_hi": np.array([[1]], np.float32),
        "b_hi": np.zeros(1, np.float32),
        "W_hx": np.zeros((1, 1), np.float32),
        "W_hh": np.zeros((1, 1), np.float32),
        "b_h": np.zeros(1, np.float32),
        "W_oh": np.log(np.array([[1, 1000, 2, 5]], np.float32)),
        "b_o": np.zeros(4, np.float32),
    }
    captioner = Captioner(weights, "rnn")
    _, log_probs = captioner.step(captioner.start(np.ones((1, 1), np.float32)), np.array([BOUNDARY]))
    np.testing.assert_allclose(np.exp(log_probs), [[1 / 8, 0, 2 / 8, 5 / 8]], rtol=1e-5)
    assert np.isfinite(weights["b_o"]).all()  # the caller's weights are left as they are


def test_many_contexts_are_searched_in_parts() -> None:
    captioner = make_captioner("gru")
    contexts = np.random.default_rng(2).normal(size=(300, 5)).astype(np.float32)
    found = captioner.beam(contexts, beam=2, max_words=6)
    assert len(found) == 300
    one = captioner.beam(contexts[299:], beam=2, max_words=6)[0]
    np.testing.assert_allclose([h.log_prob for h in found[299]], [h.log_prob for h in one], rtol=1e-5)


def test_no_context_no_caption() -> None:
    captioner = make_captioner("gru")
    nothing = np.zeros((0, 5), np.float32)
    assert captioner.beam(nothing) == []
    assert captioner.greedy(nothing) == []
    assert captioner.sample(nothing, 1.0, np.random.default_rng(0)) == []


def test_methods_delegate() -> None:
    captioner = make_captioner("lstm")
    contexts = np.random.default_rng(3).normal(size=(3, 5)).astype(np.float32)
    assert captioner.greedy(contexts, 7) == greedy(captioner, contexts, 7)
    assert len(captioner.sample(contexts, 0.7, np.random.default_rng(0), 7)) == 3


def test_unknown_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="rnn, gru, lstm"):
        Captioner({}, "transformer")


def test_weights_that_leave_only_the_end_are_named() -> None:
    captioner = make_captioner("rnn")
    captioner._output_bias[1:] = -np.inf
    with pytest.raises(PackError, match="captioner: its weights leave no word to begin with"):
        captioner.beam(np.zeros((2, 5), np.float32), beam=2)


def test_weights_that_overflow_are_named() -> None:
    captioner = make_captioner("rnn", scale=6e4)
    contexts = np.full((1, 5), 6e4, np.float32)
    with pytest.raises(PackError, match=r"captioner: .* not finite"):
        captioner.greedy(contexts, max_words=60)
