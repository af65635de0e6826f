"""CHAIR, the main thing and recall: by hand, against plain loops, and laws of every caption."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from regiontalk.evaluation.objects.metric import (
    NAMES,
    ClassScores,
    Named,
    NamedPhoto,
    class_scores,
    object_intervals,
    object_scores,
)


def names(*sure: str, unsure: tuple[str, ...] = ()) -> Named:
    return Named(frozenset(sure), frozenset(unsure))


def photo(shown: str, main: str | None, *captions: Named) -> NamedPhoto:
    return NamedPhoto(frozenset(shown.split()), main, captions)


BY_HAND = [
    photo("dog person", "dog", names("dog", "frisbee"), names("person")),
    photo("cat", "cat", names("dog", "cat", "sofa")),
    photo("plant", "plant", names(unsure=("plant", "car"))),
    photo("", None, names("bird")),
]


def test_by_hand() -> None:
    scores = object_scores(BY_HAND)
    # named for sure: dog, frisbee; person; dog, cat, sofa; none; bird. Wrong: frisbee; dog, sofa;
    # bird
    assert (scores.photos, scores.captions, scores.mentions, scores.wrong) == (4, 5, 7, 4)
    assert scores.chair_i == pytest.approx(100 * 4 / 7)
    assert scores.chair_s == pytest.approx(100 * 3 / 5)
    assert scores.main_named == pytest.approx(100 * (0.5 + 1 + 1) / 3)
    assert scores.recall == pytest.approx(100 * (0.5 + 0.5 + 1 + 1) / 4)
    assert list(scores.to_json()) == [*NAMES, "photos", "captions", "mentions", "wrong"]


def test_classes_by_hand() -> None:
    found = class_scores(BY_HAND)
    assert list(found) == ["bird", "cat", "dog", "frisbee", "person", "plant", "sofa"]
    assert found["dog"] == ClassScores(photos=1, named=50.0, mentions=2, wrong=1)
    assert found["plant"] == ClassScores(photos=1, named=100.0, mentions=0, wrong=0)
    assert found["bird"].to_json() == {"photos": 0, "mentions": 1, "wrong": 1}


def test_what_there_is_not_has_no_score() -> None:
    scores = object_scores([photo("", None, names())])
    assert (scores.chair_i, scores.chair_s, scores.main_named, scores.recall) == (
        None,
        0,
        None,
        None,
    )
    assert scores.to_json() == {
        "chair_s": 0.0,
        "photos": 1,
        "captions": 1,
        "mentions": 0,
        "wrong": 0,
    }
    assert set(object_intervals([photo("", None, names())], 5)) == {"chair_s"}


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="no photo"):
        object_scores([])
    with pytest.raises(ValueError, match="no photo"):
        object_intervals([], 5)
    with pytest.raises(ValueError, match="samples"):
        object_intervals(BY_HAND, 0)
    with pytest.raises(ValueError, match="no caption"):
        photo("dog", "dog")
    with pytest.raises(ValueError, match="not among"):
        photo("dog", "cat", names())


LABELS = ("dog", "cat", "car", "sofa")
sets = st.frozensets(st.sampled_from(LABELS))


@st.composite
def photos(draw: st.DrawFn) -> NamedPhoto:
    shown = draw(sets)
    main = draw(st.sampled_from(sorted(shown))) if shown else None
    captions = st.builds(lambda sure, other: Named(sure, other - sure), sets, sets)
    return NamedPhoto(shown, main, tuple(draw(st.lists(captions, min_size=1, max_size=3))))


several = st.lists(photos(), min_size=1, max_size=6)


@given(several)
def test_they_equal_plain_loops(found: list[NamedPhoto]) -> None:
    mentions = wrong = lies = captions = 0
    main, recalled, shown = [], 0.0, 0
    for each in found:
        shown += len(each.shown)
        if each.main is not None:
            main.append(
                sum(each.main in c.sure | c.unsure for c in each.captions) / len(each.captions)
            )
        for caption in each.captions:
            captions += 1
            mentions += len(caption.sure)
            wrong += len([label for label in caption.sure if label not in each.shown])
            lies += any(label not in each.shown for label in caption.sure)
            recalled += len((caption.sure | caption.unsure) & each.shown) / len(each.captions)
    scores = object_scores(found)
    assert (scores.captions, scores.mentions, scores.wrong) == (captions, mentions, wrong)
    assert scores.chair_s == pytest.approx(100 * lies / captions)
    assert scores.chair_i == (pytest.approx(100 * wrong / mentions) if mentions else None)
    assert scores.main_named == (pytest.approx(100 * sum(main) / len(main)) if main else None)
    assert scores.recall == (pytest.approx(100 * recalled / shown) if shown else None)


@given(several)
def test_classes_sum_up_to_the_whole(found: list[NamedPhoto]) -> None:
    scores, by_class = object_scores(found), class_scores(found)
    assert sum(each.mentions for each in by_class.values()) == scores.mentions
    assert sum(each.wrong for each in by_class.values()) == scores.wrong
    shown = {label: each for label, each in by_class.items() if each.named is not None}
    if scores.recall is not None:
        total = sum(each.photos for each in shown.values())
        assert sum(
            each.photos * (each.named or 0) for each in shown.values()
        ) / total == pytest.approx(scores.recall)


def changed(found: list[NamedPhoto], at: int, caption: Named) -> list[NamedPhoto]:
    """The same, with another first caption of one photo."""
    each = found[at]
    return [*found[:at], replace(each, captions=(caption, *each.captions[1:])), *found[at + 1 :]]


@given(several, st.data())
def test_without_a_wrong_mention_chair_is_no_higher(
    found: list[NamedPhoto], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(found) - 1))
    caption = found[at].captions[0]
    wrong = sorted(caption.sure - found[at].shown)
    assume(wrong)
    before = object_scores(found)
    after = object_scores(changed(found, at, Named(caption.sure - {wrong[0]}, caption.unsure)))
    assert before.chair_i is not None
    assert (after.chair_i or 0) <= before.chair_i
    assert after.chair_s <= before.chair_s
    assert (after.main_named, after.recall) == (before.main_named, before.recall)


@given(several, st.data())
def test_one_more_right_mention_is_never_worse(
    found: list[NamedPhoto], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(found) - 1))
    caption = found[at].captions[0]
    unsaid = sorted(found[at].shown - caption.sure)
    assume(unsaid)
    before = object_scores(found)
    after = object_scores(
        changed(found, at, Named(caption.sure | {unsaid[0]}, caption.unsure - {unsaid[0]}))
    )
    assert after.chair_s == before.chair_s
    assert before.chair_i is None or (after.chair_i or 0) <= before.chair_i
    assert (after.recall or 0) >= (before.recall or 0) - 1e-9
    assert (after.main_named or 0) >= (before.main_named or 0) - 1e-9


@given(several)
def test_order_does_not_matter(found: list[NamedPhoto]) -> None:
    there, back = object_scores(found).to_json(), object_scores(found[::-1]).to_json()
    assert there == pytest.approx(back)


def test_intervals() -> None:
    many = BY_HAND[:2] * 20
    found = object_intervals(many, 200, seed=1)
    scores = object_scores(many).to_json()
    assert list(found) == list(NAMES)
    assert all(low <= scores[name] <= high for name, (low, high) in found.items())
    assert found == object_intervals(many, 200, seed=1)
    same = object_intervals([BY_HAND[0]] * 5, 20)
    assert all(low == pytest.approx(high) for low, high in same.values())
