"""Scores and ranking losses: hand-worked values, plain double loops, and what padding must not change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.alignment.score import score_matrix
from regiontalk.training.losses import (
    RANKING_LOSSES,
    hard_negative_loss,
    info_nce_loss,
    margin_loss,
    negatives,
    score_batch,
)

SCORES = torch.tensor([[3.0, 2.5, 0.0], [1.0, 2.0, 1.5], [0.0, 2.0, 4.0]])
ALL_WRONG = ~torch.eye(3, dtype=torch.bool)


def test_margin_loss_by_hand() -> None:
    # wrong sentences, by row: 2.5 - 3 + 1 = 0.5; 1.5 - 2 + 1 = 0.5; 0. Wrong photos, by column: 0; 1.5 and 1; 0.
    assert margin_loss(SCORES, ALL_WRONG).item() == pytest.approx((0.5 + 0.5 + 1.5 + 1.0) / 3)


def test_hard_negative_loss_counts_only_the_worst() -> None:
    assert hard_negative_loss(SCORES, ALL_WRONG).item() == pytest.approx((0.5 + 0.5 + 1.5) / 3)


def test_info_nce_by_hand() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = 2 * np.log(1 + np.exp(-1.0))
    assert info_nce_loss(scores, negatives(torch.tensor([0, 1]))).item() == pytest.approx(expected)


def test_captions_of_one_photo_are_no_negatives() -> None:
    wrong = negatives(torch.tensor([7, 7, 3]))
    assert wrong.tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    worst = torch.tensor([[1.0, 9.0, 0.0], [9.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert margin_loss(worst, wrong).item() == 0.0
    assert hard_negative_loss(worst, wrong).item() == 0.0


@pytest.mark.parametrize("name", sorted(RANKING_LOSSES))
def test_transposing_scores_changes_nothing(name: str) -> None:
    loss = RANKING_LOSSES[name]
    assert loss(SCORES, ALL_WRONG).item() == pytest.approx(loss(SCORES.T, ALL_WRONG).item())


@pytest.mark.parametrize("name", sorted(RANKING_LOSSES))
def test_a_batch_of_one_photo_has_no_loss_and_finite_gradients(name: str) -> None:
    scores = torch.ones(2, 2, requires_grad=True)
    loss = RANKING_LOSSES[name](scores, negatives(torch.tensor([1, 1])))
    loss.backward()
    assert loss.item() == 0.0
    assert scores.grad is not None and scores.grad.isfinite().all()


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["max", "sum"]))
@settings(max_examples=40, deadline=None)
def test_scores_equal_the_runtime_and_ignore_padding(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    photos, regions, sentences, words, dim = rng.integers(1, 5, size=5)
    v, s = rng.normal(size=(photos, regions, dim)), rng.normal(size=(sentences, words, dim))
    region_counts, word_counts = rng.integers(1, regions + 1, photos), rng.integers(1, words + 1, sentences)
    region_mask = np.arange(regions) < region_counts[:, None]
    word_mask = np.arange(words) < word_counts[:, None]
    v[~region_mask], s[~word_mask] = 50.0, 50.0  # whatever padding holds, it must not count
    ours = score_batch(*(torch.from_numpy(a) for a in (v, region_mask, s, word_mask)), kind)
    theirs = score_matrix(v.astype(np.float32), region_counts, s.astype(np.float32), word_counts, kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-4)


def test_a_true_maximum_may_be_negative() -> None:
    region, word = torch.tensor([[[1.0], [0.0]]]), torch.tensor([[[-0.5]]])
    present, spoken = torch.tensor([[True, False]]), torch.tensor([[True]])
    assert score_batch(region, present, word, spoken, "max").item() == -0.5
    assert score_batch(region, present, word, spoken, "sum").item() == 0.0
