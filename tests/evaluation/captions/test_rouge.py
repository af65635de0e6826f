from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.captions.rouge import common_lengths, rouge_l

captions = st.lists(st.sampled_from("abc"), max_size=8)


def longest_common(one: list[str], other: list[str]) -> int:
    """By the definition: drop the last word of either, or take both."""

    @cache
    def of(i: int, j: int) -> int:
        if not i or not j:
            return 0
        return of(i - 1, j - 1) + 1 if one[i - 1] == other[j - 1] else max(of(i - 1, j), of(i, j - 1))

    return of(len(one), len(other))


@given(captions, st.lists(captions, min_size=1, max_size=3))
def test_longest_common_subsequence(candidate: list[str], truths: list[list[str]]) -> None:
    assert common_lengths(candidate, truths) == [longest_common(candidate, truth) for truth in truths]


def test_long_captions() -> None:
    candidate = list("abc" * 50)
    assert common_lengths(candidate, [list("ab" * 50), list("c" * 10), candidate]) == [100, 10, 150]


def test_by_hand() -> None:
    # Common: "a dog" of 3 and 4 words; precision 2/3, recall 1/2.
    expected = (1 + 1.44) * (2 / 3) * (1 / 2) / (1 / 2 + 1.44 * 2 / 3)
    assert rouge_l([["a", "big", "dog"]], [[["a", "dog", "runs", "fast"]]])[0] == pytest.approx(expected)


def test_precision_and_recall_may_come_from_different_references() -> None:
    # Precision 1 from the long reference, recall 1 from the short one.
    assert rouge_l([["a", "b"]], [[["a", "b", "c", "d", "e"], ["a"]]])[0] == pytest.approx(1)


def test_without_words_nothing_is_common() -> None:
    assert rouge_l([[], ["a"], []], [[["a"]], [[], ["b"]], [[]]]).tolist() == [0, 0, 0]


@given(captions.filter(bool), st.lists(captions, max_size=3))
def test_between_0_and_1_and_a_reference_itself_is_perfect(candidate: list[str], others: list[list[str]]) -> None:
    assert rouge_l([candidate], [[*others, candidate]])[0] == pytest.approx(1)
    if others:
        assert 0 <= rouge_l([candidate], [others])[0] <= 1 + 1e-12
