from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.errors import ConfigError, DataError, PackError
from regiontalk.language import Vocabulary

CAPTIONS = [["a", "dog", "runs"], ["a", "cat"], ["the", "dog", "a"], ["zebra"]]


def test_words_by_frequency_then_alphabet() -> None:
    vocabulary = Vocabulary.from_captions(CAPTIONS, min_count=1)
    assert vocabulary.words == ("a", "dog", "cat", "runs", "the", "zebra")
    assert len(vocabulary) == 8
    assert vocabulary.counts.tolist() == [4, 0, 3, 2, 1, 1, 1, 1]


def test_rare_words_are_unknown() -> None:
    vocabulary = Vocabulary.from_captions(iter(CAPTIONS), min_count=2)
    assert vocabulary.words == ("a", "dog")
    assert vocabulary.counts.tolist() == [4, 4, 3, 2]  # 4 captions; cat, runs, the, zebra
    ids = vocabulary.encode(["dog", "zebra", "a", "unheard"])
    assert ids.dtype == np.int64
    assert ids.tolist() == [3, Vocabulary.UNKNOWN, 2, Vocabulary.UNKNOWN]
    assert "dog" in vocabulary and "zebra" not in vocabulary
    assert vocabulary.encode([]).shape == (0,)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), min_size=1, max_size=20))
def test_every_token_is_counted_and_comes_back(captions: list[list[str]]) -> None:
    captions = [*captions, ["a"] * 3]
    vocabulary = Vocabulary.from_captions(captions, min_count=3)
    assert vocabulary.counts[1:].sum() == sum(map(len, captions))
    assert vocabulary.counts[0] == len(captions)
    assert vocabulary.decode(vocabulary.encode(vocabulary.words)) == list(vocabulary.words)
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again.words == vocabulary.words
    assert np.array_equal(again.counts, vocabulary.counts)


@pytest.mark.parametrize("id_", [-1, Vocabulary.BOUNDARY, Vocabulary.UNKNOWN, 4])
def test_marks_are_never_printed(id_: int) -> None:
    with pytest.raises(ValueError, match=f"id {id_} is not a word"):
        Vocabulary(["a", "dog"], [1, 1, 1, 1]).decode([2, id_])


def test_counts_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Vocabulary(["a"], [1, 0, 1]).counts[0] = 7


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="no word occurs 5 times in the 4 captions"):
        Vocabulary.from_captions(CAPTIONS)
    with pytest.raises(DataError, match="in the 0 captions"):
        Vocabulary.from_captions([])
    with pytest.raises(ConfigError, match="min_count must be at least 1, not 0"):
        Vocabulary.from_captions(CAPTIONS, min_count=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "must be an object"),
        ({"words": ["a"]}, "must be an object"),
        ({"words": ["a"], "counts": [1, 1, 1], "more": 1}, "must be an object"),
        ({"words": "abc", "counts": [1, 1, 1]}, "list of strings"),
        ({"words": ["a", 3], "counts": [1, 1, 1, 1]}, "list of strings"),
        ({"words": ["a"], "counts": [1, 1, 1.5]}, "list of integers"),
        ({"words": ["a"], "counts": [1, 1, True]}, "list of integers"),
        ({"words": ["a"], "counts": [1, 1, 2**70]}, "list of integers"),
        ({"words": ["a"], "counts": [1, 1]}, "1 words need 3 counts, found 2"),
        ({"words": ["a"], "counts": [1, 1, -1]}, "negative"),
        ({"words": ["b", "a", "b"], "counts": [1] * 5}, "'b' occurs more than once"),
        ({"words": ["a", ""], "counts": [1] * 4}, "'' is not a word"),
        ({"words": ["two words"], "counts": [1] * 3}, "'two words' is not a word"),
        ({"words": ["Dog"], "counts": [1] * 3}, "'Dog' is not a word"),
        ({"words": [], "counts": [1, 1]}, "at least one word"),
    ],
)
def test_damaged_file_is_refused(content: Any, message: str) -> None:
    with pytest.raises(PackError, match=message):
        Vocabulary.from_json(content)


FURTHER = [
    ["ein", "mädchen", "läuft", "ein", "hund", "schläft"],
    ["ein", "mädchen", "schläft"],
    ["개가", "있다"],
    ["a", "dog"],
]


def test_further_words_follow_the_known_ones_by_frequency() -> None:
    old = Vocabulary(["a", "dog", "cat"], [100, 20, 150, 25, 3], ["corgi", "mädchen"])
    new = old.extended(FURTHER)
    assert new.words == (
        "a",
        "dog",
        "cat",
        "ein",
        "mädchen",
        "schläft",
        "hund",
        "läuft",
        "개가",
        "있다",
    )
    assert new.placed == ("corgi",)
    assert new.counts.tolist() == [104, 20, 151, 26, 3, 3, 2, 2, 1, 1, 1, 1]
    assert new.encode(["dog", "corgi"]).tolist() == [3, len(new)]


def test_further_words_that_are_rare_stay_what_they_were() -> None:
    new = Vocabulary(["a", "dog"], [100, 20, 150, 25], ["corgi", "läuft"]).extended(
        iter(FURTHER), min_count=2
    )
    kinds = [new.kind(word) for word in ("ein", "mädchen", "corgi", "läuft", "hund")]
    assert kinds == ["learnt", "learnt", "placed", "placed", "unknown"]
    assert new.counts[Vocabulary.UNKNOWN] == 20 + 4  # hund, läuft, 개가, 있다


def test_captions_of_known_words_alone_add_to_the_counts() -> None:
    old = Vocabulary(["a", "dog"], [10, 0, 12, 5])
    new = old.extended([["a", "dog"]])
    assert new.words == old.words and new.counts.tolist() == [11, 0, 13, 6]
