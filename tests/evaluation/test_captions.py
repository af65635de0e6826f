from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation import bleu

captions = st.lists(st.sampled_from("abc"), max_size=7)


def test_precisions_by_hand() -> None:
    scores = bleu(
        [["the", "the", "cat", "sat", "on"]], [[["the", "cat", "sat"], ["a", "cat", "sat", "on", "the", "mat"]]]
    )
    # 1-grams: one "the" clipped, 4 of 5. 2-grams: the cat, cat sat, sat on, 3 of 4. 3-grams: the cat sat, cat sat on,
    # 2 of 3. 4-grams: neither. Length 5; the references have 3 and 6, the closest is 6: exp(1 - 6/5).
    penalty = math.exp(1 - 6 / 5)
    assert scores["bleu1"] == pytest.approx(100 * penalty * 4 / 5)
    assert scores["bleu2"] == pytest.approx(100 * penalty * (4 / 5 * 3 / 4) ** (1 / 2))
    assert scores["bleu3"] == pytest.approx(100 * penalty * (4 / 5 * 3 / 4 * 2 / 3) ** (1 / 3))
    # coco-caption's constants: 1e-15 in place of no match.
    assert scores["bleu4"] == pytest.approx(100 * penalty * (4 / 5 * 3 / 4 * 2 / 3 * 1e-15 / 2) ** (1 / 4))


def test_the_shorter_of_two_equally_close_references_counts() -> None:
    # Lengths 2 and 4 are equally close to 3: 2 counts, no penalty.
    assert bleu([["a", "b", "c"]], [[["a", "b", "c", "d"], ["a", "b"]]])["bleu1"] == pytest.approx(100)


def test_counts_are_summed_over_the_corpus_before_dividing() -> None:
    candidates = [["a"], ["x", "x", "x"]]
    references = [[["a"]], [["y", "y", "y"]]]
    assert bleu(candidates, references)["bleu1"] == pytest.approx(100 * 1 / 4)


def test_clipping_takes_the_reference_that_has_most() -> None:
    scores = bleu([["a", "a", "a"]], [[["a", "b", "b"], ["a", "a", "b"]]])
    assert scores["bleu1"] == pytest.approx(100 * 2 / 3)


@given(st.lists(captions.filter(lambda words: len(words) >= 4), min_size=1, max_size=4))
def test_a_reference_itself_is_perfect(candidates: list[list[str]]) -> None:
    references = [[["z", "z"], candidate] for candidate in candidates]
    assert bleu(candidates, references) == pytest.approx(dict.fromkeys(("bleu1", "bleu2", "bleu3", "bleu4"), 100))


@given(st.lists(st.tuples(captions, st.lists(captions, min_size=1, max_size=3)), min_size=1, max_size=4), st.data())
def test_between_0_and_100_in_any_order(pairs: list[tuple[list[str], list[list[str]]]], data: st.DataObject) -> None:
    scores = bleu([c for c, _ in pairs], [r for _, r in pairs])
    assert all(0 <= value <= 100 for value in scores.values())
    shuffled = data.draw(st.permutations(pairs))
    again = bleu([c for c, _ in shuffled], [list(reversed(r)) for _, r in shuffled])
    assert again == pytest.approx(scores)


def test_empty_captions_score_nothing() -> None:
    assert bleu([[]], [[["a"]]])["bleu1"] == pytest.approx(0)
    assert bleu([[], ["a"]], [[["a"]], [["a"]]])["bleu1"] == pytest.approx(100 * math.exp(1 - 2 / 1))


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="0 candidates"):
        bleu([], [])
    with pytest.raises(ValueError, match="2 candidates need as many lists of references, found 1"):
        bleu([["a"], ["b"]], [[["a"]]])
    with pytest.raises(ValueError, match="at least one reference"):
        bleu([["a"]], [[]])
