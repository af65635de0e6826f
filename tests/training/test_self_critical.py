"""Self-critical training: the reward by hand, and the gradient of the expected reward."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.captioning.beam import Hypothesis
from regiontalk.evaluation.captions.metric import score_captions
from regiontalk.evaluation.captions.ngrams import DocumentFrequencies
from regiontalk.language import Vocabulary
from regiontalk.training.captioner_data import References
from regiontalk.training.captioner_net import shift_words
from regiontalk.training.self_critical import (
    END,
    CaptionReward,
    advantages,
    drawn_mask,
    policy_loss,
)

REFERENCES = [
    [["a", "dog", "runs", "through", "the", "grass"], ["a", "brown", "dog", "runs"]],
    [["two", "men", "play"], ["men", "play", "a", "game"]],
    [["the", "red", "car", "stands"]],
]
EVERY = References(REFERENCES, (), np.zeros(1, np.int64))
VOCABULARY = Vocabulary.from_captions(
    [words for captions in REFERENCES for words in captions], min_count=1
)


def hypothesis(words: str, finished: bool = True) -> Hypothesis:
    return Hypothesis(tuple(VOCABULARY.encode(words.split()).tolist()), 0.0, finished)


def test_the_reward_is_cider_d_with_the_end_as_a_word() -> None:
    reward = CaptionReward(EVERY, VOCABULARY)
    drawn = [hypothesis("a brown dog runs"), hypothesis("men play"), hypothesis("a dog")]
    ended = [[[*words, END] for words in captions] for captions in REFERENCES]
    expected = score_captions(
        [["a", "brown", "dog", "runs", END], ["men", "play", END], ["a", "dog", END]],
        [ended[0], ended[1], ended[0]],
        DocumentFrequencies.of(ended),
    )
    np.testing.assert_allclose(100 * reward(drawn, np.array([0, 1, 0])), expected.each()["cider_d"])


def test_a_caption_that_breaks_off_earns_less() -> None:
    reward = CaptionReward(EVERY, VOCABULARY)
    whole, broken = hypothesis("a brown dog runs"), hypothesis("a brown dog runs", finished=False)
    earned = reward([whole, broken], np.array([0, 0]))
    assert earned[0] > earned[1] > 0


def test_advantages_by_hand() -> None:
    rewards = np.array([[3.0, 1.0], [0.0, 1.0], [0.0, 4.0]])
    np.testing.assert_allclose(advantages(rewards), [[3.0, -1.5], [-1.5, -1.5], [-1.5, 3.0]])


@given(st.lists(st.lists(st.floats(0, 10), min_size=3, max_size=3), min_size=2, max_size=6))
def test_advantages_of_siblings_sum_to_nothing(rewards: list[list[float]]) -> None:
    np.testing.assert_allclose(advantages(np.array(rewards)).sum(0), 0, atol=1e-9)


def test_unfinished_captions_never_said_end() -> None:
    drawn = [Hypothesis((4, 5), 0.0, finished=False), Hypothesis((4,), 0.0)]
    _, _, mask = shift_words([np.array(each.ids) for each in drawn], longest=2)
    assert drawn_mask(drawn, mask).tolist() == [[True, True, False], [True, True, False]]


def test_the_gradient_is_that_of_the_expected_reward() -> None:
    """All captions of two words over a vocabulary of three, each as often as it is drawn."""
    torch.manual_seed(0)
    # logits: (T, V), whatever came before
    logits = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    captions = torch.tensor(list(itertools.product(range(3), repeat=2)))  # (9, 2)
    rewards = torch.rand(9, dtype=torch.float64)
    log_probs = logits.log_softmax(-1)
    probability = (log_probs[0, captions[:, 0]] + log_probs[1, captions[:, 1]]).exp()
    (expected,) = torch.autograd.grad(-(probability * rewards).sum(), logits, retain_graph=True)
    advantage = (probability.detach() * rewards)[:, None].expand(9, 2)
    loss = policy_loss(
        logits.expand(9, 2, 3).flatten(0, 1), captions.flatten(), advantage.flatten()
    )
    (found,) = torch.autograd.grad(loss * captions.numel(), logits)
    torch.testing.assert_close(found, expected)


def test_the_gradient_of_a_word_by_hand() -> None:
    logits = torch.randn(1, 3, requires_grad=True)
    policy_loss(logits, torch.tensor([1]), torch.tensor([2.0])).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == pytest.approx(
        -2 * (1 - logits.detach()[0].softmax(-1)[1].item()), rel=1e-5
    )
