"""What a captioner says about the next word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regiontalk.captioning.attention import GEOMETRY, Contexts, attend, view_of, without_regions
from regiontalk.captioning.beam import BOUNDARY, greedy
from regiontalk.captioning.captioner import UNKNOWN, Captioner, captioner_shapes
from regiontalk.errors import PackError
from regiontalk.language.vocabulary import Vocabulary

CELLS = ("rnn", "gru", "lstm")


def make_captioner(
    cell: str, words: int = 9, seed: int = 0, scale: float = 0.8, attention: int = 0
) -> Captioner:
    rng = np.random.default_rng(seed)
    shapes = captioner_shapes(cell, 5, 6, 4, words, attention, 5)
    return Captioner(
        {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()},
        cell,
    )


def some_contexts(count: int, seed: int) -> Contexts:
    return without_regions(np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32))


def test_special_words_are_the_vocabularys() -> None:
    assert (BOUNDARY, UNKNOWN) == (Vocabulary.BOUNDARY, Vocabulary.UNKNOWN)


@pytest.mark.parametrize("cell", CELLS)
def test_probabilities_sum_to_one_without_unknown(cell: str) -> None:
    captioner = make_captioner(cell)
    contexts = some_contexts(4, seed=1)
    state = captioner.start(contexts)
    for word in (BOUNDARY, 3, 8):
        state, log_probs = captioner.step(state, np.full(4, word))
        assert log_probs.shape == (4, 9)
        assert log_probs.dtype == np.float32
        assert (log_probs[:, UNKNOWN] == -np.inf).all()
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-5)


def test_output_by_hand() -> None:
    """H = 1, h_1 = relu(1) = 1: logits are W_oh + b_o.

    UNKNOWN is left out before normalising (Eq. 15).
    """
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
    _, log_probs = captioner.step(
        captioner.start(without_regions(np.ones((1, 1), np.float32))), np.array([BOUNDARY])
    )
    np.testing.assert_allclose(np.exp(log_probs), [[1 / 8, 0, 2 / 8, 5 / 8]], rtol=1e-5)
    assert np.isfinite(weights["b_o"]).all()  # the caller's weights are left as they are


def test_many_contexts_are_searched_in_parts() -> None:
    captioner = make_captioner("gru")
    contexts = some_contexts(300, seed=2)
    found = captioner.beam(contexts, beam=2, max_words=6)
    assert len(found) == 300
    one = captioner.beam(contexts[299:], beam=2, max_words=6)[0]
    np.testing.assert_allclose(
        [h.log_prob for h in found[299]], [h.log_prob for h in one], rtol=1e-5
    )


def test_no_context_no_caption() -> None:
    captioner = make_captioner("gru")
    nothing = some_contexts(0, seed=0)
    assert captioner.beam(nothing) == []
    assert captioner.greedy(nothing) == []
    assert captioner.sample(nothing, 1.0, np.random.default_rng(0)) == []


def test_methods_delegate() -> None:
    captioner = make_captioner("lstm")
    contexts = some_contexts(3, seed=3)
    assert captioner.greedy(contexts, 7) == greedy(captioner, contexts, 7)
    assert len(captioner.sample(contexts, 0.7, np.random.default_rng(0), 7)) == 3


def test_unknown_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="rnn, gru, lstm"):
        Captioner({}, "transformer")


def test_weights_that_leave_only_the_end_are_named() -> None:
    captioner = make_captioner("rnn")
    captioner._output_bias[1:] = -np.inf
    with pytest.raises(PackError, match="captioner: its weights leave no word to begin with"):
        captioner.beam(some_contexts(2, seed=0), beam=2)


def test_weights_that_overflow_are_named() -> None:
    captioner = make_captioner("rnn", scale=6e4)
    contexts = without_regions(np.full((1, 5), 6e4, np.float32))
    with pytest.raises(PackError, match=r"captioner: .* not finite"):
        captioner.greedy(contexts, max_words=60)


def test_shapes_with_and_without_attention() -> None:
    plain, attending = (
        captioner_shapes("gru", 10, 8, 6, 20, attention, 10) for attention in (0, 16)
    )
    assert plain["W_oh"] == (8, 20)
    assert attending["W_kr"] == attending["W_vr"] == (10 + GEOMETRY, 16)
    assert "W_oh" not in attending
    assert {name: attending[name] for name in plain if name != "W_oh"} == {
        name: shape for name, shape in plain.items() if name != "W_oh"
    }


def some_views(count: int, seed: int) -> Contexts:
    """Contexts with one to four regions."""
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(count, 5)).astype(np.float32)
    regions = rng.normal(size=(count, 4, 5 + GEOMETRY)).astype(np.float32)
    return Contexts(whole, regions, rng.integers(1, 5, size=count))


def test_what_pads_regions_is_not_looked_at() -> None:
    captioner, contexts = make_captioner("gru", attention=8), some_views(6, seed=4)
    padding = np.arange(4) >= contexts.counts[:, None]
    other = replace(
        contexts, regions=np.where(padding[..., None], np.float32(1e3), contexts.regions)
    )
    assert captioner.greedy(contexts, 6) == captioner.greedy(other, 6)


def test_looks_are_a_distribution_over_each_photos_own_regions() -> None:
    captioner, contexts = make_captioner("lstm", attention=8), some_views(5, seed=5)
    captions = [(2, 3, 4), (5,), (), (6, 7), (8, 8, 8, 8)]
    looks = captioner.looks(contexts, captions)
    assert [each.shape for each in looks] == [
        (len(ids), count) for ids, count in zip(captions, contexts.counts, strict=True)
    ]
    for each in looks:
        np.testing.assert_allclose(each.sum(axis=1), 1, rtol=1e-5)
    alone = captioner.looks(contexts[1:2], captions[1:2])[0]
    np.testing.assert_allclose(alone, looks[1], atol=1e-6)
    assert captioner.looks(contexts[:0], []) == []
    many = captioner.looks(some_views(300, seed=6), [(2, 3)] * 300)  # a few at a time
    np.testing.assert_allclose(
        many[299], captioner.looks(some_views(300, seed=6)[299:], [(2, 3)])[0], atol=1e-6
    )


def test_attention_by_hand() -> None:
    """One dimension a head, all heads alike.

    Scores are ln 3 and 0, so the first region is looked at for 3 / 4.
    """
    weights = {
        "W_kr": np.ones((2, 8), np.float32),
        "W_vr": np.ones((2, 8), np.float32),
        "W_qh": np.ones((1, 8), np.float32),
        "W_sh": np.full((1, 1), 0.25, np.float32),
        "W_sa": np.full((8, 1), 0.125, np.float32),
        "b_s": np.array([-1], np.float32),
    }
    regions = np.array([[[np.log(3), 0], [0, 0]]], np.float32)
    contexts = Contexts(np.zeros((1, 1), np.float32), regions, np.array([2]))
    said, looks = attend(np.ones((1, 1), np.float32), view_of(contexts, weights), weights)
    np.testing.assert_allclose(looks[0], np.tile([0.75, 0.25], (8, 1)), rtol=1e-5)
    np.testing.assert_allclose(said, np.tanh([[0.25 + 0.75 * np.log(3) - 1]]), rtol=1e-5)
