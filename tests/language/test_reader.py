"""The words network against its equations as they stand, word by word."""

from __future__ import annotations

from math import exp, tanh

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.errors import PackError, SentenceError
from regiontalk.language.reader import (
    CELLS,
    Beginnings,
    PlacedVectors,
    WordsReader,
    placed_shapes,
    words_shapes,
)
from regiontalk.language.vocabulary import Vocabulary

V, D, H, SPACE = 11, 5, 6, 4


def random_weights(seed: int = 0, cell: str = "rnn") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = {"rnn": {"e": (D, H)}, "gru": {"xf": (D, 3 * H), "xb": (D, 3 * H)}}[cell]
    columns = {"rnn": H, "gru": 3 * H}[cell]
    layers = {**inputs, "f": (H, columns), "b": (H, columns), "d": (H, SPACE)}
    shapes: dict[str, tuple[int, ...]] = {"embedding": (V, D)}
    for name, shape in layers.items():
        shapes |= {f"W_{name}": shape, f"b_{name}": shape[1:]}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def as_doubles(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: weight.astype(np.float64) for name, weight in weights.items()}


def layer_slowly(w: dict[str, np.ndarray], name: str, x: list[float]) -> list[float]:
    matrix, bias = w[f"W_{name}"], w[f"b_{name}"]
    return [sum(x[i] * matrix[i, j] for i in range(len(x))) + bias[j] for j in range(len(bias))]


def add(x: list[float], y: list[float]) -> list[float]:
    return [a + b for a, b in zip(x, y, strict=True)]


def read_slowly(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """Eq. 2 to 6 with a loop for everything, in float64."""
    w = as_doubles(weights)

    def layer(x: list[float], name: str) -> list[float]:
        return layer_slowly(w, name, x)

    def relu(x: list[float]) -> list[float]:
        return [max(0.0, value) for value in x]

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


def gru_slowly(w: dict[str, np.ndarray], direction: str, ids: list[int]) -> list[list[float]]:
    """The states of one direction, "f" or "b", over ids in the order that it reads them."""

    def sigmoid(x: float) -> float:
        return 1 / (1 + exp(-x))

    state, states = [0.0] * H, []
    for id_ in ids:
        x = layer_slowly(w, f"x{direction}", list(w["embedding"][id_]))
        h = layer_slowly(w, direction, state)
        new = []
        for i in range(H):
            r, z = sigmoid(x[i] + h[i]), sigmoid(x[H + i] + h[H + i])
            n = tanh(x[2 * H + i] + r * h[2 * H + i])
            new.append((1 - z) * n + z * state[i])
        state = new
        states.append(state)
    return states


def read_gru_slowly(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """The same with GRUs instead of Eq. 3 to 5, and Eq. 6 without f."""
    w = as_doubles(weights)
    forward, backward = gru_slowly(w, "f", ids), gru_slowly(w, "b", ids[::-1])[::-1]
    return np.array(
        [layer_slowly(w, "d", add(f, b)) for f, b in zip(forward, backward, strict=True)]
    )


SLOWLY = {"rnn": read_slowly, "gru": read_gru_slowly}


def test_worked_by_hand() -> None:
    """One number everywhere: word vectors 1 and 2, e = x.

    Forward remembers half, backward a quarter.
    """
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
    # forward: 1, then 2 + 0.5 = 2.5. backward: 2 + 1 = 3 at the second word, then 1 + 0.75 + 1 =
    # 2.75. sums: 3.75 and 5.5. s: (3.75, 6 - 3.75) and (5.5, 6 - 5.5).
    (s,) = WordsReader(weights).read([np.array([1, 2])])
    assert s.dtype == np.float32
    np.testing.assert_array_equal(s, [[3.75, 2.25], [5.5, 0.5]])


def test_gru_worked_by_hand() -> None:
    """One number everywhere, word vectors 1 and 2.

    Forward: r = z = 1/2, n = tanh(x + 2r) whatever h is. Backward: r is open and z shut, n =
    tanh(h/4 - x).
    """
    weights = {
        "embedding": np.array([[0.0], [1.0], [2.0]], np.float32),
        "W_xf": np.array([[0.0, 0.0, 1.0]], np.float32),
        "b_xf": np.zeros(3, np.float32),
        "W_f": np.zeros((1, 3), np.float32),
        "b_f": np.array([0.0, 0.0, 2.0], np.float32),
        "W_xb": np.array([[0.0, 0.0, -1.0]], np.float32),
        "b_xb": np.array([50.0, -50.0, 0.0], np.float32),
        "W_b": np.array([[0.0, 0.0, 0.25]], np.float32),
        "b_b": np.zeros(3, np.float32),
        "W_d": np.array([[1.0, -1.0]], np.float32),
        "b_d": np.array([0.0, 1.0], np.float32),
    }
    f_1 = tanh(1 + 1) / 2
    f_2 = tanh(2 + 1) / 2 + f_1 / 2
    b_2 = tanh(-2)
    b_1 = tanh(b_2 / 4 - 1)
    (s,) = WordsReader(weights, "gru").read([np.array([1, 2])])
    assert s.dtype == np.float32
    np.testing.assert_allclose(
        s, [[f_1 + b_1, 1 - f_1 - b_1], [f_2 + b_2, 1 - f_2 - b_2]], rtol=1e-6
    )
    assert s[0, 0] < 0  # nothing is cut off at zero


def test_gru_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    weights = random_weights(cell="gru")
    network = torch.nn.GRU(D, H, bidirectional=True)
    for suffix, direction in (("", "f"), ("_reverse", "b")):
        for theirs, ours in (
            ("weight_ih", "W_x"),
            ("weight_hh", "W_"),
            ("bias_ih", "b_x"),
            ("bias_hh", "b_"),
        ):
            tensor = torch.from_numpy(weights[ours + direction].T.copy())
            getattr(network, f"{theirs}_l0{suffix}").data = tensor
    ids = np.array([3, 1, 4, 1, 5])
    with torch.no_grad():
        states = network(torch.from_numpy(weights["embedding"][ids]))[0].numpy()  # (T, 2 H)
    expected = (states[:, :H] + states[:, H:]) @ weights["W_d"] + weights["b_d"]
    np.testing.assert_allclose(
        WordsReader(weights, "gru").read([ids])[0], expected, rtol=1e-5, atol=1e-6
    )


sentences_of_ids = st.lists(
    st.lists(st.integers(0, V - 1), min_size=1, max_size=9), min_size=1, max_size=12
)


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=50)
@given(sentences_of_ids, st.integers(0, 3))
def test_equals_plain_loops(cell: str, sentences: list[list[int]], seed: int) -> None:
    weights = random_weights(seed, cell)
    read = WordsReader(weights, cell).read([np.array(ids) for ids in sentences])
    assert len(read) == len(sentences)
    for vectors, ids in zip(read, sentences, strict=True):
        np.testing.assert_allclose(vectors, SLOWLY[cell](weights, ids), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=50)
@given(sentences_of_ids)
def test_a_batch_equals_one_at_a_time(cell: str, sentences: list[list[int]]) -> None:
    reader = WordsReader(random_weights(cell=cell), cell)
    arrays = [np.array(ids) for ids in sentences]
    for vectors, ids in zip(reader.read(arrays), arrays, strict=True):
        np.testing.assert_allclose(vectors, reader.read([ids])[0], rtol=1e-5, atol=1e-6)


def test_what_sentences_have_in_common_is_read_once() -> None:
    words = [np.array(each) for each in ([3, 1, 2], [3, 1, 4], [5, 2], [3])]
    left, right = Beginnings(words), Beginnings(words, from_right=True)
    # from the left: 3, 5; 3 1, 5 2; 3 1 2, 3 1 4. From the right: 2, 3, 4; 2 1, 2 5, 4 1; 2 1 3, 4
    # 1 3
    assert [word.tolist() for _, word in left.levels] == [[3, 5], [1, 2], [2, 4]]
    assert [before.tolist() for before, _ in left.levels] == [[0, 0], [0, 1], [0, 0]]
    assert [word.tolist() for _, word in right.levels] == [[2, 3, 4], [1, 5, 1], [3, 3]]
    assert [before.tolist() for before, _ in right.levels] == [[0, 0, 0], [0, 0, 2], [0, 2]]
    assert left.place.tolist() == [0, 2, 4, 0, 2, 5, 1, 3, 0]
    assert right.place.tolist() == [6, 3, 0, 7, 5, 2, 4, 0, 1]


@pytest.mark.parametrize("cell", CELLS)
def test_more_sentences_than_a_batch_keep_their_order(cell: str) -> None:
    rng = np.random.default_rng(3)
    reader = WordsReader(random_weights(cell=cell), cell)
    arrays = [rng.integers(0, V, rng.integers(1, 8)) for _ in range(600)]
    for vectors, ids in zip(reader.read(arrays), arrays, strict=True):
        np.testing.assert_allclose(vectors, reader.read([ids])[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_half_precision_weights_are_read_as_float32(cell: str) -> None:
    weights = {
        name: weight.astype(np.float16) for name, weight in random_weights(cell=cell).items()
    }
    full = {name: weight.astype(np.float32) for name, weight in weights.items()}
    ids = [np.array([3, 1, 4])]
    read = WordsReader(weights, cell).read(ids)[0]
    assert read.dtype == np.float32
    assert np.array_equal(read, WordsReader(full, cell).read(ids)[0])


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
    with pytest.raises(ValueError, match=r"embedding .* expected two axes"):
        WordsReader(random_weights() | {"embedding": np.zeros(V, np.float32)})


def test_weights_of_another_cell_are_refused() -> None:
    with pytest.raises(ValueError, match="lacks W_e"):
        WordsReader(random_weights(cell="gru"))
    with pytest.raises(ValueError, match="lacks W_xf"):
        WordsReader(random_weights(), "gru")
    weights = random_weights(cell="gru") | {"b_xb": np.zeros(H, np.float32)}
    with pytest.raises(ValueError, match=rf"b_xb .* \({H},\), expected \({3 * H},\)"):
        WordsReader(weights, "gru")
    with pytest.raises(ValueError, match="cell must be one of rnn, gru, found 'lstm'"):
        WordsReader(random_weights(), "lstm")


# Words that no caption taught


VECTORS = np.float32([[1, 0, 2], [0, 1, 0]])
W_G = np.float32([[1, 2], [3, 4], [5, 6]])


def test_a_placed_word_has_the_vector_that_the_map_gives_it() -> None:
    placed = PlacedVectors({"vectors": VECTORS, "W_g": W_G})
    assert len(placed) == 2
    assert placed[np.array([1, 0, 1])].tolist() == [[3, 4], [11, 14], [3, 4]]
    assert placed_shapes(2, 3, 2) == {"vectors": VECTORS.shape, "W_g": W_G.shape}


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_a_placed_word_is_read_as_a_learnt_one_of_the_same_vector(cell: str) -> None:
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in words_shapes(cell, 6, 2, 5, 4).items()
    }
    weights["embedding"][3] = VECTORS[0] @ W_G
    reader = WordsReader(weights, cell, PlacedVectors({"vectors": VECTORS, "W_g": W_G}))
    with_learnt, with_placed = reader.read([np.array([2, 3, 5]), np.array([2, 6, 5])])
    np.testing.assert_allclose(with_placed, with_learnt, rtol=1e-6)
    alone = WordsReader(weights, cell).read([np.array([2, 3, 5])])[0]
    np.testing.assert_allclose(with_learnt, alone, rtol=1e-6)
    with pytest.raises(ValueError, match=r"an id outside of 0\.\.7"):
        reader.read([np.array([8])])
    with pytest.raises(ValueError, match=r"an id outside of 0\.\.5"):
        WordsReader(weights, cell).read([np.array([6])])


def test_a_vocabulary_with_placed_words() -> None:
    vocabulary = Vocabulary(["a", "dog"], [3, 0, 3, 2]).with_placed(["aardvark", "zither"])
    assert len(vocabulary) == 4  # what a captioner may write
    assert vocabulary.encode(["a", "zither", "dog", "qwx", "aardvark"]).tolist() == [2, 5, 3, 1, 4]
    assert [vocabulary.kind(word) for word in ("dog", "zither", "qwx")] == [
        "learnt",
        "placed",
        "unknown",
    ]
    assert "zither" not in vocabulary
    with pytest.raises(ValueError, match="id 5 is not a word"):
        vocabulary.decode([5])
    content = vocabulary.to_json()
    again = Vocabulary.from_json(content)
    assert again.placed == ("aardvark", "zither") and again.to_json() == content
    assert "placed" not in Vocabulary(["a"], [0, 0, 1]).to_json()


@pytest.mark.parametrize(
    ("placed", "told"),
    [
        (["dog"], "the placed word 'dog' is a learnt one"),
        (["two words"], "not a word as the tokeniser makes them"),
        (["x", "x"], "a placed word occurs more than once"),
        ([5], '"placed" must be a list of strings'),
        ("cat", '"placed" must be a list of strings'),
    ],
)
def test_wrong_placed_words_are_told(placed: object, told: str) -> None:
    with pytest.raises(PackError, match=told):
        Vocabulary.from_json({"words": ["a", "dog"], "counts": [3, 0, 3, 2], "placed": placed})
