"""The words and captioner networks against the runtime's NumPy, plain loops and PyTorch's own cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.captioning.captioner import Captioner
from regiontalk.captioning.contexts import GEOMETRY, Contexts, without_regions
from regiontalk.errors import DataError
from regiontalk.language import Vocabulary
from regiontalk.language.reader import WordsReader
from regiontalk.training.captioner_net import (
    Attention,
    CaptionerNet,
    Seen,
    folded_captioner,
    learnt_places,
    shift_words,
    text_counts,
)
from regiontalk.training.sentences import pad_ids
from regiontalk.training.word_vectors import first_vectors, load_word_vectors, vectors_of
from regiontalk.training.words_net import AlignmentNet, WordsNet

CELLS = ("rnn", "gru", "lstm")
COUNTS = np.array([20, 3, 9, 7, 5, 4, 1])
REGION = 3 + GEOMETRY


def make_words_net(cell: str = "rnn") -> WordsNet:
    torch.manual_seed(0)
    net = WordsNet(vocabulary=9, embedding=5, hidden=7, dim=4, dropout=0.5, cell=cell).eval()
    for name, bias in net.named_parameters():
        if name.startswith("b_"):
            torch.nn.init.normal_(bias, std=0.3)
    return net


@pytest.mark.parametrize("cell", ["rnn", "gru"])
@given(st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=6), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_words_net_equals_the_runtime_whatever_the_padding(cell: str, sentences: list[list[int]]) -> None:
    net, ids = make_words_net(cell), [np.array(s) for s in sentences]
    with torch.no_grad():
        vectors = net(*pad_ids(ids)).numpy()
    read = WordsReader({name: value.detach().numpy() for name, value in net.named_parameters()}, cell).read(ids)
    for ours, theirs in zip(vectors, read, strict=True):
        np.testing.assert_allclose(ours[: len(theirs)], theirs, atol=1e-5)
        assert not ours[len(theirs) :].any()


def test_without_recurrence_a_word_does_not_know_its_neighbours() -> None:
    net = make_words_net()
    one, other = (pad_ids([np.array(ids)]) for ids in ([3, 5, 4], [1, 5, 8]))
    with torch.no_grad():
        assert not torch.equal(net(*one)[0, 1], net(*other)[0, 1])
        net.cut_recurrence()
        assert torch.equal(net(*one)[0, 1], net(*other)[0, 1])
    assert not net.W_f.requires_grad and not net.W_b.requires_grad


def test_word_vectors_come_from_a_text_file(tmp_path: Path) -> None:
    vocabulary = Vocabulary(["dog", "cat", "runs"], [5, 0, 5, 5, 5])
    file = tmp_path / "vectors.txt"
    file.write_text("3 2\ncat 3 0\nunheard 1 1\ndog 0 1\n")
    embedding = torch.ones(5, 2)
    assert load_word_vectors(file, vocabulary, embedding) == 2
    assert embedding[[0, 1, 4]].tolist() == [[1, 1]] * 3  # what the file lacks stays
    assert embedding[3, 0] / embedding[2, 1] == pytest.approx(3)  # lengths keep their ratio
    assert embedding[[2, 3]].norm(dim=1).mean() == pytest.approx(2**0.5)


def test_the_first_words_of_a_file_that_captions_lack(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_text("dog 3 4\nzither 0 2\nnew york 1 2\n's 1 1\naardvark 6 8\n")
    vocabulary = Vocabulary(["dog", "cat"], [5, 0, 5, 5])
    np.testing.assert_allclose(vectors_of(file, vocabulary), [[0, 0], [0, 0], [0.6, 0.8], [0, 0]], atol=1e-6)
    found = first_vectors(file, vocabulary, 2)
    assert list(found) == ["zither", "aardvark"]
    np.testing.assert_allclose(list(found.values()), [[0, 1], [0.6, 0.8]], atol=1e-6)
    assert list(first_vectors(file, vocabulary, 1)) == ["zither"]
    with pytest.raises(DataError, match="none of the vocabulary's 1 words"):
        vectors_of(file, Vocabulary(["wolf"], [1, 0, 1]))


@pytest.mark.parametrize("forget", [0.0, 1.0])
def test_words_are_learnt_beside_their_vectors_from_elsewhere(forget: float) -> None:
    """Word 3 has such a vector, word 4 has none: it is never forgotten."""
    torch.manual_seed(0)
    net = WordsNet(5, embedding=4, hidden=3, dim=2, dropout=0.0, cell="gru", outside=2)
    net.vectors[3] = torch.tensor([1.0, 2.0])
    net.forget = forget
    placed = net.vectors[3] @ net.W_g
    read = net.train().look_up(torch.tensor([[3, 4]]))[0]
    torch.testing.assert_close(read[0], placed + (1 - forget) * net.embedding[3])
    torch.testing.assert_close(read[1], net.embedding[4])
    exported = net.word_vectors()
    torch.testing.assert_close(net.eval().look_up(torch.tensor([[3, 4]]))[0], exported[[3, 4]])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dog 1 2 3\n", "expected 2 finite numbers, found 3"),
        ("dog 1 x\n", "line 1: expected numbers"),
        ("dog 1 nan\n", "finite"),
        ("wolf 1 2\n", "none of the vocabulary's 1 words"),
    ],
)
def test_wrong_word_vectors_are_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "vectors.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=told):
        load_word_vectors(file, Vocabulary(["dog"], [1, 0, 1]), torch.ones(3, 2))


def test_words_with_spaces_are_other_words(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_text("at 1 2\nat name@domain.com 3 4\ndog 5 6\n")
    embedding = torch.ones(4, 2)
    assert load_word_vectors(file, Vocabulary(["at", "dog"], [1, 0, 1, 1]), embedding) == 2
    assert embedding[3, 1] / embedding[2, 1] == pytest.approx(3)


def test_missing_word_vectors_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        load_word_vectors(tmp_path / "none.txt", Vocabulary(["dog"], [1, 0, 1]), torch.ones(3, 2))


def test_the_projection_holds_the_statistics() -> None:
    net = AlignmentNet(make_words_net(), feature_dim=6, dim=4, dropout=0.5).eval()
    features = np.random.default_rng(0).normal(3, 5, size=(40, 6)).astype(np.float32)
    net.set_statistics(features)
    folded = {name: value.detach().numpy() for name, value in net.folded_projection().items()}
    with torch.no_grad():
        expected = net.regions(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(features @ folded["W_m"] + folded["b_m"], expected, atol=1e-4)


def make_captioner_net(cell: str, attention: int = 0) -> CaptionerNet:
    torch.manual_seed(1)
    attends = Attention(REGION, hidden=6, attention=attention, embedding=4, dropout=0.5) if attention else None
    net = CaptionerNet(COUNTS, 3, cell, hidden=6, embedding=4, dropout=0.5, attention=attends).eval()
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
        logits, looks = net(Seen.of(contexts), torch.from_numpy(words), torch.ones(5, 4, dtype=torch.bool))
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
    targets, mask = torch.tensor([[3, Vocabulary.UNKNOWN, 0, 4]]), torch.tensor([[True, True, True, False]])
    assert learnt_places(targets, mask).tolist() == [[True, False, True, False]]
