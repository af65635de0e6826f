from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.errors import SentenceError
from regiontalk.language import WordsReader

V, D, H, SPACE = 11, 5, 6, 4


def random_weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {
        "embedding": (V, D),
        "W_e": (D, H),
        "b_e": (H,),
        "W_f": (H, H),
        "b_f": (H,),
        "W_b": (H, H),
        "b_b": (H,),
        "W_d": (H, SPACE),
        "b_d": (SPACE,),
    }
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def read_slowly(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """Eq. 2 to 6 with a loop for everything, in float64."""
    w = {name: weight.astype(np.float64) for name, weight in weights.items()}

    def layer(x: list[float], name: str) -> list[float]:
        matrix, bias = w[f"W_{name}"], w[f"b_{name}"]
        return [sum(x[i] * matrix[i, j] for i in range(len(x))) + bias[j] for j in range(len(bias))]

    def relu(x: list[float]) -> list[float]:
        return [max(0.0, value) for value in x]

    def add(x: list[float], y: list[float]) -> list[float]:
        return [a + b for a, b in zip(x, y, strict=True)]

    e = [relu(layer(list(w["embedding"][id_]), "e")) for id_ in ids]
    forward, backward = [], []
    state = [0.0] * len(w["b_f"])
    for t in range(len(ids)):
        state = relu(add(e[t], layer(state, "f")))
        forward.append(state)
    state = [0.0] * len(w["b_b"])
    for t in reversed(range(len(ids))):
        state = relu(add(e[t], layer(state, "b")))
        backward.insert(0, state)
    return np.array([relu(layer(add(f, b), "d")) for f, b in zip(forward, backward, strict=True)])


def test_worked_by_hand() -> None:
    """One number everywhere: word vectors 1 and 2, e = x; forward remembers half, backward a quarter."""
    one = np.ones((1, 1), np.float32)
    weights = {
        "embedding": np.array([[0.0], [1.0], [2.0]], np.float32),
        "W_e": one,
        "b_e": np.zeros(1, np.float32),
        "W_f": one * 0.5,
        "b_f": np.zeros(1, np.float32),
        "W_b": one * 0.25,
        "b_b": np.ones(1, np.float32),
        "W_d": np.array([[1.0, -1.0]], np.float32),
        "b_d": np.array([0.0, 6.0], np.float32),
    }
    # forward: 1, then 2 + 0.5 = 2.5.  backward: 2 + 1 = 3 at the second word, then 1 + 0.75 + 1 = 2.75.
    # sums: 3.75 and 5.5.  s: (3.75, 6 - 3.75) and (5.5, 6 - 5.5).
    (s,) = WordsReader(weights).read([np.array([1, 2])])
    assert s.dtype == np.float32
    np.testing.assert_array_equal(s, [[3.75, 2.25], [5.5, 0.5]])


sentences_of_ids = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=9), min_size=1, max_size=12)


@settings(max_examples=50)
@given(sentences_of_ids, st.integers(0, 3))
def test_equals_plain_loops(sentences: list[list[int]], seed: int) -> None:
    weights = random_weights(seed)
    read = WordsReader(weights).read([np.array(ids) for ids in sentences])
    assert len(read) == len(sentences)
    for vectors, ids in zip(read, sentences, strict=True):
        np.testing.assert_allclose(vectors, read_slowly(weights, ids), rtol=1e-4, atol=1e-5)


@settings(max_examples=50)
@given(sentences_of_ids)
def test_a_batch_equals_one_at_a_time(sentences: list[list[int]]) -> None:
    reader = WordsReader(random_weights())
    arrays = [np.array(ids) for ids in sentences]
    for vectors, ids in zip(reader.read(arrays), arrays, strict=True):
        np.testing.assert_allclose(vectors, reader.read([ids])[0], rtol=1e-5, atol=1e-6)


def test_more_sentences_than_a_batch_keep_their_order() -> None:
    rng = np.random.default_rng(3)
    reader = WordsReader(random_weights())
    arrays = [rng.integers(0, V, rng.integers(1, 8)) for _ in range(600)]
    for vectors, ids in zip(reader.read(arrays), arrays, strict=True):
        np.testing.assert_allclose(vectors, reader.read([ids])[0], rtol=1e-5, atol=1e-6)


def test_half_precision_weights_are_read_as_float32() -> None:
    weights = {name: weight.astype(np.float16) for name, weight in random_weights().items()}
    full = {name: weight.astype(np.float32) for name, weight in weights.items()}
    ids = [np.array([3, 1, 4])]
    assert np.array_equal(WordsReader(weights).read(ids)[0], WordsReader(full).read(ids)[0])


def test_nothing_to_read_gives_nothing() -> None:
    assert WordsReader(random_weights()).read([]) == []


def test_bad_sentences_are_refused() -> None:
    reader = WordsReader(random_weights())
    with pytest.raises(SentenceError, match="sentence 2 holds no word"):
        reader.read([np.array([1]), np.array([], np.int64)])
    for ids in (np.array([V]), np.array([-1])):
        with pytest.raises(ValueError, match=rf"outside of 0\.\.{V - 1}"):
            reader.read([ids])
    with pytest.raises(ValueError, match="must be integers"):
        reader.read([np.array([1.0])])


def test_bad_weights_are_refused() -> None:
    weights = random_weights()
    del weights["W_b"]
    with pytest.raises(ValueError, match="lacks W_b"):
        WordsReader(weights)
    weights = random_weights() | {"W_f": np.zeros((H, H + 1), np.float32)}
    with pytest.raises(ValueError, match=rf"W_f .* \({H}, {H + 1}\), expected \({H}, {H}\)"):
        WordsReader(weights)
