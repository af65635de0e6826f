"""The words network against the runtime's NumPy, and word vectors from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.errors import DataError
from regiontalk.language import Vocabulary
from regiontalk.language.reader import WordsReader
from regiontalk.training.alignment_net import (
    AlignmentNet,
    WordsNet,
    first_vectors,
    load_word_vectors,
    standardise,
    vectors_of,
)
from regiontalk.training.sentences import pad_ids


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
def test_words_net_equals_the_runtime_whatever_the_padding(
    cell: str, sentences: list[list[int]]
) -> None:
    net, ids = make_words_net(cell), [np.array(s) for s in sentences]
    with torch.no_grad():
        vectors = net(*pad_ids(ids)).numpy()
    read = WordsReader(
        {name: value.detach().numpy() for name, value in net.named_parameters()}, cell
    ).read(ids)
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
    np.testing.assert_allclose(
        vectors_of(file, vocabulary), [[0, 0], [0, 0], [0.6, 0.8], [0, 0]], atol=1e-6
    )
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
    standardise(net, features)
    folded = {name: value.detach().numpy() for name, value in net.folded_projection().items()}
    with torch.no_grad():
        expected = net.regions(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(features @ folded["W_m"] + folded["b_m"], expected, atol=1e-4)
