from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.captions.metric import score_captions
from regiontalk.evaluation.captions.ngrams import DocumentFrequencies, caution

Words = list[str]

captions = st.lists(st.sampled_from("abcd"), max_size=7)
some = st.lists(
    st.tuples(captions, st.lists(captions, min_size=1, max_size=3)), min_size=1, max_size=5
)


def grams(words: Words, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def by_definition(
    candidates: list[Words], references: list[list[Words]], corpus: list[list[Words]], clip: bool
) -> list[float]:
    """Eq. 1 to 4 of the paper, one n-gram at a time; with `clip` its CIDEr-D. In 0..10."""

    def weighted(words: Words, n: int) -> dict[tuple[str, ...], float]:
        return {
            gram: count
            * math.log(
                len(corpus) / max(1, sum(any(gram in grams(t, n) for t in ts) for ts in corpus))
            )
            for gram, count in grams(words, n).items()
        }

    def length(vector: dict[tuple[str, ...], float]) -> float:
        return math.sqrt(sum(value**2 for value in vector.values()))

    scores = []
    for candidate, truths in zip(candidates, references, strict=True):
        total = 0.0
        for truth in truths:
            # coco-caption's length of a caption is its number of 2-grams.
            delta = max(0, len(candidate) - 1) - max(0, len(truth) - 1)
            penalty = math.exp(-(delta**2) / 72) if clip else 1
            for n in range(1, 5):
                mine, theirs = weighted(candidate, n), weighted(truth, n)
                norm = length(mine) * length(theirs)
                if norm:
                    product = sum(
                        (min(value, theirs.get(gram, 0)) if clip else value) * theirs.get(gram, 0)
                        for gram, value in mine.items()
                    )
                    total += penalty * product / norm
        scores.append(10 * total / 4 / len(truths))
    return scores


@given(some)
def test_as_defined(pairs: list[tuple[Words, list[Words]]]) -> None:
    candidates, references = [c for c, _ in pairs], [r for _, r in pairs]
    each = score_captions(candidates, references).each()
    for name, clip in (("cider", True), ("cider_d", True), ("cider_plain", False)):
        expected = [
            100 * score for score in by_definition(candidates, references, references, clip)
        ]
        assert each[name] == pytest.approx(expected, abs=1e-6)


@given(some, st.lists(st.lists(captions, min_size=1, max_size=3), min_size=1, max_size=4))
def test_frozen_frequencies(
    pairs: list[tuple[Words, list[Words]]], corpus: list[list[Words]]
) -> None:
    candidates, references = [c for c, _ in pairs], [r for _, r in pairs]
    frequencies = DocumentFrequencies.of(corpus)
    each = score_captions(candidates, references, frequencies).each()
    expected = [100 * score for score in by_definition(candidates, references, corpus, clip=True)]
    assert each["cider_d"] == pytest.approx(expected, abs=1e-6)
    # A caption's score depends on no other caption.
    for row, (candidate, truths) in enumerate(pairs):
        alone = score_captions([candidate], [truths], frequencies).corpus()
        assert alone.cider_d == pytest.approx(each["cider_d"][row], abs=1e-9)


@given(some)
def test_frequencies_frozen_from_the_references_change_nothing(
    pairs: list[tuple[Words, list[Words]]],
) -> None:
    candidates, references = [c for c, _ in pairs], [r for _, r in pairs]
    frozen = score_captions(candidates, references, DocumentFrequencies.of(references)).corpus()
    expected = score_captions(candidates, references).corpus()
    assert frozen.by_name() == pytest.approx(expected.by_name())


def test_by_hand() -> None:
    # Two photos; "a" is in both and weighs log(2/2) = 0, all else log 2. Candidate 1 is its
    # reference: 1-grams and 2-grams are alike, it has no longer ones: 10 (1 + 1) / 4. Candidate 2
    # shares nothing that weighs.
    candidates, references = [["a", "dog"], ["a", "dog"]], [[["a", "dog"]], [["a", "cat"]]]
    assert score_captions(candidates, references).each()["cider_d"] == pytest.approx([500, 0])


def test_repeating_a_word_pays_only_without_clipping() -> None:
    references = [[["dog", "runs"]], [["cat", "sits"]]]
    each = score_captions([["dog", "dog"], ["cat", "sits"]], references).each()
    assert each["cider_plain"][0] == pytest.approx(1000 / 4 / math.sqrt(2))
    assert each["cider_d"][0] == pytest.approx(1000 / 4 / math.sqrt(2) / 2)


def test_counts_of_photos_not_of_captions() -> None:
    frequencies = DocumentFrequencies.of([[["a", "b"], ["a", "a"]], [["b", "a"]]])
    assert frequencies.photos == 2
    assert frequencies.counts == {("a",): 2, ("b",): 2, ("a", "b"): 1, ("a", "a"): 1, ("b", "a"): 1}


def test_few_photos_are_cautioned_about() -> None:
    assert score_captions([["a"]], [[["a"]]]).corpus().cider == 0
    assert "CIDEr is 0" in str(caution(1))
    assert "2 photos" in str(caution(2))
    assert caution(1000) is None


def test_no_photo_has_no_frequencies() -> None:
    with pytest.raises(ValueError, match="at least one photo"):
        DocumentFrequencies.of([])
