"""The captioner network against the runtime's NumPy, plain loops and PyTorch's own cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regiontalk.captioning.attention import GEOMETRY, Contexts, without_regions
from regiontalk.captioning.captioner import Captioner
from regiontalk.language import Vocabulary
from regiontalk.training.captioner_net import (
    Attention,
    CaptionerNet,
    Seen,
    folded_captioner,
    learnt_places,
    shift_words,
    text_counts,
)

CELLS = ("rnn", "gru", "lstm")
COUNTS = np.array([20, 3, 9, 7, 5, 4, 1])
REGION = 3 + GEOMETRY


def make_captioner_net(cell: str, attention: int = 0) -> CaptionerNet:
    torch.manual_seed(1)
    attends = (
        Attention(REGION, hidden=6, attention=attention, embedding=4, dropout=0.5)
        if attention
        else None
    )
    net = CaptionerNet(
        COUNTS, 3, cell, hidden=6, embedding=4, dropout=0.5, attention=attends
    ).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    net.set_statistics(make_contexts(30, attention > 0, seed=1))
    return net


def make_contexts(count: int, attention: bool, seed: int) -> Contexts:
    """Contexts of unlike numbers of regions."""
    rng = np.random.default_rng(seed)
    whole = rng.normal(1, 2, size=(count, 3)).astype(np.float32)
    if not attention:
        return without_regions(whole)
    counts = rng.integers(1, 5, size=count)
    regions = rng.normal(1, 2, size=(count, 4, REGION)).astype(np.float32)
    regions[np.arange(4) >= counts[:, None]] = 0
    return Contexts(whole, regions, counts)


@pytest.mark.parametrize("attention", [0, 16])
@pytest.mark.parametrize("cell", CELLS)
def test_captioner_net_equals_the_runtime_step_by_step(cell: str, attention: int) -> None:
    net, contexts = make_captioner_net(cell, attention), make_contexts(5, attention > 0, seed=2)
    words = np.random.default_rng(3).integers(2, 7, size=(5, 4))
    words[:, 0] = Vocabulary.BOUNDARY
    with torch.no_grad():
        logits, looks = net(
            Seen.of(contexts), torch.from_numpy(words), torch.ones(5, 4, dtype=torch.bool)
        )
    expected = logits.log_softmax(-1).reshape(5, 4, -1).numpy()
    captioner = Captioner(folded_captioner(net.state_dict()), cell)
    assert captioner.attention is (attention > 0)
    state = captioner.start(contexts)
    for t in range(words.shape[1]):
        state, log_probs = captioner.step(state, words[:, t])
        known = np.arange(7) != Vocabulary.UNKNOWN
        np.testing.assert_allclose(log_probs[:, known], expected[:, t][:, known], atol=1e-4)
        assert (log_probs[:, Vocabulary.UNKNOWN] == -np.inf).all()
    if attention:
        found = captioner.looks(contexts, [[*row[1:].tolist(), 2] for row in words])
        for row, each in enumerate(found):
            own = looks[row].mean(0).numpy()  # (T, M)
            np.testing.assert_allclose(each, own[:, : contexts.counts[row]], atol=1e-4)


def test_output_biases_start_at_log_frequencies() -> None:
    net = CaptionerNet(COUNTS, context_dim=3, cell="gru", hidden=6, embedding=4, dropout=0.0)
    np.testing.assert_allclose(net.b_o.detach().exp().numpy(), COUNTS / COUNTS.sum(), rtol=1e-5)


def test_the_photo_matters_at_the_first_step_only() -> None:
    """Eq. 14: with W_hh = 0 the plain cell must forget the photo after its first word."""
    net = make_captioner_net("rnn")
    torch.nn.init.zeros_(net.W_hh)
    words, everywhere = torch.tensor([[0, 2, 3]]), torch.ones(1, 3, dtype=torch.bool)
    seen = [Seen.of(without_regions(np.full((1, 3), value, np.float32))) for value in (1, -1)]
    with torch.no_grad():
        one, other = (net(each, words, everywhere)[0] for each in seen)
    assert not torch.allclose(one[0], other[0])
    assert torch.equal(one[1:], other[1:])


def test_texts_are_shifted_by_one_word() -> None:
    inputs, targets, mask = shift_words([np.array([4, 5]), np.array([6])], longest=2)
    assert inputs.tolist() == [[0, 4, 5], [0, 6, 0]]
    assert targets.tolist() == [[4, 5, 0], [6, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, True, False]]


def test_a_text_that_goes_on_teaches_no_end() -> None:
    texts = [np.array([4, 5, 6, 7]), np.array([6, 7]), np.array([5])]
    inputs, targets, mask = shift_words(texts, longest=2)
    assert inputs.tolist() == [[0, 4, 5], [0, 6, 7], [0, 5, 0]]
    assert targets.tolist() == [[4, 5, 0], [6, 7, 0], [5, 0, 0]]
    assert mask.tolist() == [[True, True, False], [True, True, True], [True, True, False]]
    counts = text_counts(texts, 8, longest=2)
    assert counts.tolist() == np.bincount(targets[mask].numpy(), minlength=8).tolist()


def test_unknown_words_are_never_learnt() -> None:
    targets, mask = (
        torch.tensor([[3, Vocabulary.UNKNOWN, 0, 4]]),
        torch.tensor([[True, True, True, False]]),
    )
    assert learnt_places(targets, mask).tolist() == [[True, False, True, False]]
