"""Scores and ranking losses: by hand, by plain double loops, and without effect of padding."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from regiontalk.alignment.score import Kind, score_matrix
from regiontalk.training.losses import (
    RANKING_LOSSES,
    Pairs,
    hard_negative_loss,
    info_nce_loss,
    margin_loss,
    naming_loss,
    score_batch,
)

SCORES = torch.tensor([[3.0, 2.5, 0.0], [1.0, 2.0, 1.5], [0.0, 2.0, 4.0]])


def square(scores: Tensor, photos: list[int] | None = None) -> Pairs:
    """One sentence a photo, as in the paper."""
    rows = torch.arange(len(scores))
    return Pairs.of(scores, rows if photos is None else torch.tensor(photos), rows)


def test_margin_loss_by_hand() -> None:
    # wrong sentences, by row: 2.5 - 3 + 1 = 0.5; 1.5 - 2 + 1 = 0.5; 0. Wrong photos, by column: 0;
    # 1.5 and 1; 0.
    assert margin_loss(square(SCORES)).item() == pytest.approx((0.5 + 0.5 + 1.5 + 1.0) / 3)


def test_hard_negative_loss_counts_only_the_worst() -> None:
    assert hard_negative_loss(square(SCORES)).item() == pytest.approx((0.5 + 0.5 + 1.5) / 3)


def test_info_nce_by_hand() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = 2 * np.log(1 + np.exp(-1.0))
    assert info_nce_loss(square(scores)).item() == pytest.approx(expected)


def test_two_sentences_a_photo_by_hand() -> None:
    """Sentences 0 and 2 are about photo 0, sentence 1 about photo 1."""
    pairs = Pairs.of(
        torch.tensor([[3.0, 2.5, 1.0], [2.5, 2.0, 0.0]]),
        torch.tensor([4, 9]),
        torch.tensor([0, 1, 0]),
    )
    # pair 0: sentence 1 by 0.5, photo 1 by 0.5; pair 1: sentence 0 by 1.5, photo 0 by 1.5; pair 2:
    # sentence 1 by 2.5
    assert margin_loss(pairs).item() == pytest.approx((0.5 + 0.5 + 1.5 + 1.5 + 2.5) / 3)
    assert hard_negative_loss(pairs).item() == pytest.approx((0.5 + 0.5 + 1.5 + 1.5 + 2.5) / 3)


@given(seed=st.integers(0, 10_000), photos=st.integers(1, 4), captions=st.integers(1, 3))
def test_losses_equal_plain_loops(seed: int, photos: int, captions: int) -> None:
    rng = np.random.default_rng(seed)
    names = rng.integers(0, 3, photos)  # two rows may be the same photo
    about = np.tile(np.arange(photos), captions)
    scores = rng.normal(size=(photos, photos * captions))
    margin, hard, nce = [], [], []
    for pair, row in enumerate(about):
        own = scores[row, pair]
        sentences = [
            scores[row, other] for other, to in enumerate(about) if names[to] != names[row]
        ]
        others = [scores[other, pair] for other in range(photos) if names[other] != names[row]]
        margin.append(sum(max(0.0, score - own + 1) for score in [*sentences, *others]))
        hard.append(
            sum(max([0.0, *(score - own + 1 for score in some)]) for some in (sentences, others))
        )
        nce.append(
            sum(np.log(np.exp(np.array([own, *some]) - own).sum()) for some in (sentences, others))
        )
    pairs = Pairs.of(*(torch.from_numpy(array) for array in (scores, names, about)))
    assert margin_loss(pairs).item() == pytest.approx(np.mean(margin))
    assert hard_negative_loss(pairs).item() == pytest.approx(np.mean(hard))
    assert info_nce_loss(pairs).item() == pytest.approx(np.mean(nce))


@pytest.mark.parametrize("name", sorted(RANKING_LOSSES))
def test_transposing_scores_changes_nothing(name: str) -> None:
    loss = RANKING_LOSSES[name]
    assert loss(square(SCORES)).item() == pytest.approx(loss(square(SCORES.T)).item())


@pytest.mark.parametrize("name", sorted(RANKING_LOSSES))
def test_a_batch_of_one_photo_has_no_loss_and_finite_gradients(name: str) -> None:
    scores = torch.ones(2, 2, requires_grad=True)
    loss = RANKING_LOSSES[name](square(scores, photos=[1, 1]))
    loss.backward()
    assert loss.item() == 0.0
    assert scores.grad is not None and scores.grad.isfinite().all()


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(get_args(Kind)))
@settings(max_examples=40, deadline=None)
def test_scores_equal_the_runtime_and_ignore_padding(seed: int, kind: Kind) -> None:
    rng = np.random.default_rng(seed)
    photos, regions, sentences, words, dim = rng.integers(1, 5, size=5)
    v, s = rng.normal(size=(photos, regions, dim)), rng.normal(size=(sentences, words, dim))
    region_counts, word_counts = (
        rng.integers(1, regions + 1, photos),
        rng.integers(1, words + 1, sentences),
    )
    region_mask = np.arange(regions) < region_counts[:, None]
    word_mask = np.arange(words) < word_counts[:, None]
    v[~region_mask], s[~word_mask] = 50.0, 50.0  # whatever padding holds, it must not count
    ours = score_batch(*(torch.from_numpy(a) for a in (v, region_mask, s, word_mask)), kind)
    theirs = score_matrix(
        v.astype(np.float32), region_counts, s.astype(np.float32), word_counts, kind
    )
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-4)


def test_a_true_maximum_may_be_negative() -> None:
    region, word = torch.tensor([[[1.0], [0.0]]]), torch.tensor([[[-0.5]]])
    present, spoken = torch.tensor([[True, False]]), torch.tensor([[True]])
    assert score_batch(region, present, word, spoken, "max").item() == -0.5
    assert score_batch(region, present, word, spoken, "mean").item() == -0.5
    assert score_batch(region, present, word, spoken, "sum").item() == 0.0


def test_a_mean_by_hand() -> None:
    regions, words = (
        torch.tensor([[[1.0], [-1.0]]]),
        torch.tensor([[[3.0], [-2.0], [9.0]], [[4.0], [9.0], [9.0]]]),
    )
    words.requires_grad_()
    spoken = torch.tensor([[True, True, False], [True, False, False]])
    scores = score_batch(regions, torch.ones(1, 2, dtype=torch.bool), words, spoken, "mean")
    assert scores.tolist() == [[(3 + 2) / 2, 4]]
    scores.sum().backward()
    assert words.grad is not None
    assert words.grad[..., 0].tolist() == [[0.5, -0.5, 0], [1, 0, 0]]


def test_naming_loss_by_hand() -> None:
    """Two photos, two regions each, two names; the last region is missing."""
    scores = torch.tensor([[[2.0, 1.0], [0.0, 3.0]], [[1.0, 0.5], [9.0, 9.0]]])
    overlap = torch.tensor([[[0.8, 0.0], [0.4, 0.1]], [[0.0, 0.6], [1.0, 1.0]]])
    present = torch.tensor([[True, True], [True, False]])
    # regions: (0, 0) shows name 0, wrong is name 1; (1, 0) shows name 1, wrong is name 0
    regions = [math.log1p(math.exp(1 - 2)), math.log1p(math.exp(1 - 0.5))]
    # name 0 in photo 0: right 2, wrong the region (1, 0) with 1 (the overlap of 0.4 does not count)
    # name 1 in photo 1: right 0.5, wrong (0, 0) with 1 and (0, 1) with 3
    names = [math.log1p(math.exp(1 - 2)), math.log1p(math.exp(1 - 0.5) + math.exp(3 - 0.5))]
    expected = np.mean(regions) + np.mean(names)
    assert float(naming_loss(scores, present, overlap)) == pytest.approx(expected, rel=1e-6)


def test_a_batch_that_shows_nothing_costs_nothing() -> None:
    scores = torch.zeros(1, 2, 3, requires_grad=True)
    loss = naming_loss(scores, torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 2, 3))
    loss.backward()
    assert float(loss.detach()) == 0 and scores.grad is not None and not scores.grad.any()


def test_naming_loss_has_gradients_where_a_region_is_missing() -> None:
    scores = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    overlap = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1))
    present = torch.tensor([[True, True, False], [True, False, False]])
    naming_loss(scores, present, overlap).backward()
    assert scores.grad is not None and torch.isfinite(scores.grad).all()
    assert not scores.grad[~present].any()
