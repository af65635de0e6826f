"""BLEU, ROUGE-L and all scores together."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.captions.metric import (
    BLEU_NAMES,
    NAMES,
    CaptionResult,
    CorpusScores,
    caption_scores,
    common_lengths,
    rouge_l,
    score_captions,
)

captions = st.lists(st.sampled_from("abc"), max_size=7)


def bleu(candidates: list[list[str]], references: list[list[list[str]]]) -> dict[str, float]:
    """Of the corpus, without the other scores."""
    scores = caption_scores(candidates, references).by_name()
    return {name: scores[name] for name in BLEU_NAMES}


def test_precisions_by_hand() -> None:
    scores = bleu(
        [["the", "the", "cat", "sat", "on"]],
        [[["the", "cat", "sat"], ["a", "cat", "sat", "on", "the", "mat"]]],
    )
    # 1-grams: one "the" clipped, 4 of 5. 2-grams: the cat, cat sat, sat on, 3 of 4. 3-grams: the
    # cat sat, cat sat on, 2 of 3. 4-grams: neither. Length 5; the references have 3 and 6, the
    # closest is 6: exp(1 - 6/5).
    penalty = math.exp(1 - 6 / 5)
    assert scores["bleu1"] == pytest.approx(100 * penalty * 4 / 5)
    assert scores["bleu2"] == pytest.approx(100 * penalty * (4 / 5 * 3 / 4) ** (1 / 2))
    assert scores["bleu3"] == pytest.approx(100 * penalty * (4 / 5 * 3 / 4 * 2 / 3) ** (1 / 3))
    # coco-caption's constants: 1e-15 in place of no match.
    assert scores["bleu4"] == pytest.approx(
        100 * penalty * (4 / 5 * 3 / 4 * 2 / 3 * 1e-15 / 2) ** (1 / 4)
    )


def test_the_shorter_of_two_equally_close_references_counts() -> None:
    # Lengths 2 and 4 are equally close to 3: 2 counts, no penalty.
    assert bleu([["a", "b", "c"]], [[["a", "b", "c", "d"], ["a", "b"]]])["bleu1"] == pytest.approx(
        100
    )


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
    assert bleu(candidates, references) == pytest.approx(
        dict.fromkeys(("bleu1", "bleu2", "bleu3", "bleu4"), 100)
    )


@given(
    st.lists(
        st.tuples(captions, st.lists(captions, min_size=1, max_size=3)), min_size=1, max_size=4
    ),
    st.data(),
)
def test_between_0_and_100_in_any_order(
    pairs: list[tuple[list[str], list[list[str]]]], data: st.DataObject
) -> None:
    scores = bleu([c for c, _ in pairs], [r for _, r in pairs])
    assert all(0 <= value <= 100 for value in scores.values())
    shuffled = data.draw(st.permutations(pairs))
    again = bleu([c for c, _ in shuffled], [list(reversed(r)) for _, r in shuffled])
    assert again == pytest.approx(scores)


def test_empty_captions_score_nothing() -> None:
    assert bleu([[]], [[["a"]]])["bleu1"] == pytest.approx(0)
    assert bleu([[], ["a"]], [[["a"]], [["a"]]])["bleu1"] == pytest.approx(
        100 * math.exp(1 - 2 / 1)
    )


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="0 candidates"):
        bleu([], [])
    with pytest.raises(ValueError, match="2 candidates need as many lists of references, found 1"):
        bleu([["a"], ["b"]], [[["a"]]])
    with pytest.raises(ValueError, match="at least one reference"):
        bleu([["a"]], [[]])


corpora = st.lists(
    st.tuples(captions, st.lists(captions, min_size=1, max_size=3)), min_size=1, max_size=5
)
Corpus = list[tuple[list[str], list[list[str]]]]


def split(pairs: Corpus) -> tuple[list[list[str]], list[list[list[str]]]]:
    return [c for c, _ in pairs], [r for _, r in pairs]


@given(corpora)
def test_all_scores_have_their_range(pairs: Corpus) -> None:
    scores = caption_scores(*split(pairs)).by_name()
    assert tuple(scores) == NAMES
    for name, value in scores.items():
        assert 0 <= value <= (1000 if "cider" in name else 100) + 1e-9


@given(corpora, st.data())
def test_order_changes_nothing(pairs: Corpus, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(pairs))))
    each = score_captions(*split(pairs)).each()
    shuffled = score_captions(*split([pairs[row] for row in order])).each()
    for name in NAMES:
        assert shuffled[name] == pytest.approx(each[name][list(order)], abs=1e-9)
    again = caption_scores(*split([(c, r[::-1]) for c, r in pairs]))
    assert again.by_name() == pytest.approx(caption_scores(*split(pairs)).by_name())


@given(corpora)
def test_each_caption_alone(pairs: Corpus) -> None:
    each, together = score_captions(*split(pairs)).each(), caption_scores(*split(pairs))
    for row, (candidate, truths) in enumerate(pairs):
        alone = bleu([candidate], [truths])
        assert {name: each[name][row] for name in alone} == pytest.approx(alone)
    for name in ("rouge_l", "cider", "cider_d", "cider_plain"):
        assert getattr(together, name) == pytest.approx(each[name].mean())


@given(
    st.lists(
        captions.filter(lambda words: len(words) >= 4), min_size=2, max_size=4, unique_by=tuple
    )
)
def test_a_perfect_system(candidates: list[list[str]]) -> None:
    scores = caption_scores(candidates, [[candidate] for candidate in candidates])
    assert list(scores.by_name().values())[:5] == pytest.approx([100] * 5)
    assert scores.cider == scores.cider_d


def test_a_perfect_system_on_different_photos_has_the_highest_cider() -> None:
    candidates = [list("abcd"), list("efgh"), list("ijkl")]
    scores = caption_scores(candidates, [[candidate] for candidate in candidates])
    assert (scores.cider_d, scores.cider_plain) == pytest.approx((1000, 1000))


def test_intervals_are_those_of_resampled_photos() -> None:
    pairs: Corpus = [
        (list("abcd"), [list("abcd")]),
        (list("abce"), [list("xyz")]),
        (list("ad"), [list("ada")]),
    ]
    scores = score_captions(*split(pairs))
    found = scores.intervals(300, seed=1)
    assert found == scores.intervals(300, seed=1)
    assert found != scores.intervals(300, seed=2)
    together = scores.corpus()
    # Drawn one by one, as the definition says.
    draws = np.random.default_rng(1)
    weights = np.concatenate(
        [draws.multinomial(3, [1 / 3] * 3, rows) for rows in (64, 64, 64, 64, 44)]
    )
    drawn = [
        bleu(*split([pairs[row] for row in range(3) for _ in range(times[row])]))
        for times in weights
    ]
    for name in ("bleu1", "bleu4"):
        expected = np.quantile([each[name] for each in drawn], [0.025, 0.975])
        assert found[name] == pytest.approx(expected.tolist())
        assert found[name][0] <= getattr(together, name) <= found[name][1]


def test_the_confidence_is_the_one_that_signatures_state(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = score_captions([list("abcd"), list("xbz")], [[list("abc")], [list("xyz")]])
    monkeypatch.setattr("regiontalk.evaluation.results.CONFIDENCE", 0)
    low, high = scores.intervals(50)["bleu1"]
    assert low == high  # the median


def test_a_single_photo_has_no_spread() -> None:
    scores = score_captions([list("ab")], [[list("abc")]])
    assert scores.intervals(10)["rouge_l"] == pytest.approx([scores.corpus().rouge_l] * 2)


def test_a_result_to_json() -> None:
    """Rounded to four digits, in this order; the interval only with a bootstrap."""
    scores = CorpusScores(75, 50.00004, 40, 30, 100 / 3, 50, 50, 60, java_metrics={"spice": 20})
    plain = CaptionResult(scores, {}, {"beam": 7})
    assert json.dumps(plain.to_json()) == (
        '{"bleu1": 75, "bleu2": 50.0, "bleu3": 40, "bleu4": 30, "rouge_l": 33.3333, "cider": 50, '
        '"cider_d": 50, "cider_plain": 60, "spice": 20, "signature": {"beam": 7}}'
    )
    sampled = CaptionResult(scores, {"bleu1": [70.00001, 80]}, {}).to_json()
    assert list(sampled)[-2:] == ["interval", "signature"]
    assert sampled["interval"] == {"bleu1": [70.0, 80]}


def test_wrong_input_is_refused_by_all() -> None:
    with pytest.raises(ValueError, match="0 candidates"):
        caption_scores([], [])
    with pytest.raises(ValueError, match="at least one reference"):
        score_captions([["a"]], [[]]).each()


def longest_common(one: list[str], other: list[str]) -> int:
    """By the definition: drop the last word of either, or take both."""

    @cache
    def of(i: int, j: int) -> int:
        if not i or not j:
            return 0
        return (
            of(i - 1, j - 1) + 1 if one[i - 1] == other[j - 1] else max(of(i - 1, j), of(i, j - 1))
        )

    return of(len(one), len(other))


@given(captions, st.lists(captions, min_size=1, max_size=3))
def test_longest_common_subsequence(candidate: list[str], truths: list[list[str]]) -> None:
    assert common_lengths(candidate, truths) == [
        longest_common(candidate, truth) for truth in truths
    ]


def test_long_captions() -> None:
    candidate = list("abc" * 50)
    assert common_lengths(candidate, [list("ab" * 50), list("c" * 10), candidate]) == [100, 10, 150]


def test_by_hand() -> None:
    # Common: "a dog" of 3 and 4 words; precision 2/3, recall 1/2.
    expected = (1 + 1.44) * (2 / 3) * (1 / 2) / (1 / 2 + 1.44 * 2 / 3)
    assert rouge_l([["a", "big", "dog"]], [[["a", "dog", "runs", "fast"]]])[0] == pytest.approx(
        expected
    )


def test_precision_and_recall_may_come_from_different_references() -> None:
    # Precision 1 from the long reference, recall 1 from the short one.
    assert rouge_l([["a", "b"]], [[["a", "b", "c", "d", "e"], ["a"]]])[0] == pytest.approx(1)


def test_without_words_nothing_is_common() -> None:
    assert rouge_l([[], ["a"], []], [[["a"]], [[], ["b"]], [[]]]).tolist() == [0, 0, 0]


@given(captions.filter(bool), st.lists(captions, max_size=3))
def test_between_0_and_1_and_a_reference_itself_is_perfect(
    candidate: list[str], others: list[list[str]]
) -> None:
    assert rouge_l([candidate], [[*others, candidate]])[0] == pytest.approx(1)
    if others:
        assert 0 <= rouge_l([candidate], [others])[0] <= 1 + 1e-12
