"""Words that no caption taught are read through their vectors from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from regiontalk.errors import PackError
from regiontalk.language.placed import PlacedVectors, placed_shapes
from regiontalk.language.reader import WordsReader, words_shapes
from regiontalk.language.vocabulary import Vocabulary

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
        name: rng.normal(size=shape).astype(np.float32) for name, shape in words_shapes(cell, 6, 2, 5, 4).items()
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
    assert [vocabulary.kind(word) for word in ("dog", "zither", "qwx")] == ["learnt", "placed", "unknown"]
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
