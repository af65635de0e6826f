from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.regions.metric import (
    OVERLAPS,
    SIMILARITIES,
    DenseScores,
    Described,
    average_precision,
    dense_captioning,
    merge_boxes,
    named_shares,
)

DOG, CAT = np.array([[0, 0, 10, 10]], np.float32), np.array([[20, 20, 30, 30]], np.float32)


def shared_words(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> list[float]:
    """A similarity for tests: the share of a caption's words that its best reference has."""
    return [
        max(sum(word in reference for word in candidate) / len(candidate) for reference in texts)
        for candidate, texts in zip(candidates, references, strict=True)
    ]


def described(**changes: object) -> Described:
    """Both boxes found and described as people did."""
    boxes = np.concatenate([DOG, CAT])
    captions = [["a", "dog"], ["a", "cat"]]
    perfect = Described(
        boxes, np.array([0.9, 0.8]), captions, boxes, [[caption] for caption in captions]
    )
    return replace(perfect, **changes)


def test_a_perfect_system() -> None:
    assert dense_captioning([described(), described()], shared_words) == DenseScores(100, 100)


def test_right_boxes_with_foreign_captions() -> None:
    foreign = described(captions=[["green"], ["grass"]])
    assert dense_captioning([foreign], shared_words) == DenseScores(0, 100)


def test_the_similarity_must_exceed_its_threshold() -> None:
    found = dense_captioning([described()], lambda candidates, _: [0.1] * len(candidates))
    # More than 0 and 0.05, not more than 0.1
    assert found.map == pytest.approx(100 * 2 / len(SIMILARITIES))


def test_the_overlap_may_equal_its_threshold() -> None:
    half = np.array([[0, 0, 10, 5]], np.float32)  # IoU 0.5
    photo = Described(half, np.ones(1), [["a", "dog"]], DOG, [[["a", "dog"]]])
    found = dense_captioning([photo], shared_words)
    assert found.detection_map == pytest.approx(100 * 3 / len(OVERLAPS))


def test_the_surest_box_takes_a_true_box_even_if_it_fits_worse() -> None:
    """The other one is wrong then, as in the published program."""
    boxes = np.array([[0, 0, 10, 4], [0, 0, 10, 10]], np.float32)
    texts = [["a", "dog"], ["a", "dog"]]
    photo = Described(boxes, np.array([0.9, 0.8]), texts, DOG, [[["a", "dog"]]])
    # IoU 0.4 counts at the thresholds 0.3 and 0.4, where the first of two answers finds all there
    # is
    assert dense_captioning([photo], shared_words).detection_map == pytest.approx(100 * 2 / 5)
    sure = replace(photo, confidence=np.array([0.8, 0.9]))
    assert dense_captioning([sure], shared_words).detection_map == 100


def test_merged_true_boxes_share_their_captions() -> None:
    truth = np.array([[0, 0, 10, 10], [0, 0, 10, 9]], np.float32)  # IoU 0.9
    photo = Described(DOG, np.ones(1), [["a", "dog"]], truth, [[["grass"]], [["a", "dog"]]])
    assert dense_captioning([photo], shared_words) == DenseScores(100, 100)


def test_photos_with_nothing_found_or_nothing_true() -> None:
    nothing = Described(np.zeros((0, 4)), np.zeros(0), [], DOG, [[["a", "dog"]]])
    assert dense_captioning([nothing], shared_words) == DenseScores(0, 0)
    assert dense_captioning([nothing, described()], shared_words).detection_map == pytest.approx(
        100 * 67 / 101
    )
    untrue = described(true_boxes=np.zeros((0, 4)), true_captions=[])
    assert dense_captioning([described(), untrue], shared_words).map < 100
    with pytest.raises(ValueError, match="no true box"):
        dense_captioning([untrue], shared_words)


def test_parts_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        dense_captioning([described(confidence=np.ones(1))], shared_words)
    with pytest.raises(ValueError, match="every true box needs a caption"):
        dense_captioning([described(true_captions=[[["a"]], []])], shared_words)


def plain_average_precision(right: list[bool], positives: int) -> float:
    """By the definition, answer by answer; recalls compared as whole numbers."""
    total = 0.0
    for t in range(101):
        best = 0.0
        for end in range(1, len(right) + 1):
            found = sum(right[:end])
            if 100 * found >= t * positives:
                best = max(best, found / end)
        total += best
    return total / 101


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 5))
def test_average_precision_is_the_definition(right: list[bool], missed: int) -> None:
    positives = max(1, sum(right) + missed)
    assert average_precision(np.array(right, bool), positives) == pytest.approx(
        plain_average_precision(right, positives)
    )


def test_average_precision_by_hand() -> None:
    # precision 1, 1/2, 2/3; recall 1/2, 1/2, 1: 51 recalls up to 0.5 see 1, 50 see 2/3
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx(
        (51 + 50 * 2 / 3) / 101
    )


boxes_in_a_row = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=7)


@given(boxes_in_a_row)
def test_merging_puts_every_box_in_one_group(spans: list[tuple[int, int]]) -> None:
    boxes = np.array([[left, 0, left + width, 1] for left, width in spans], np.float32).reshape(
        -1, 4
    )
    groups = merge_boxes(boxes)
    assert sorted(np.concatenate([*groups, []]).astype(int).tolist()) == list(range(len(boxes)))


def test_the_most_crowded_box_leads() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 6.2], [50, 50, 60, 60]], np.float32)
    # 0 and 2 overlap by 0.62 only; 1 reaches both
    assert [group.tolist() for group in merge_boxes(boxes)] == [[0, 1, 2], [3]]


def test_shares_of_named_classes() -> None:
    captions = [["a", "puppy"], ["a", "dog"], ["green", "grass"], ["a", "dog"]]
    found = named_shares(captions, ["dog", "dog", "dog", "cat"])
    assert found.distinct_words == len({word for words in captions for word in words})
    assert found.mean_words == sum(map(len, captions)) / 4
    assert found.micro == 50
    assert found.by_class == {"cat": 0, "dog": pytest.approx(200 / 3)}
    assert found.macro == pytest.approx(100 / 3)
    assert found.another == 25  # the cat that is called a dog; grass is no class here
    for captions, labels in (([], []), ([["a"]], [])):
        with pytest.raises(ValueError, match="need as many labels"):
            named_shares(captions, labels)
