"""Questions of boxes and of captions.

Balanced, about what the pack knows, never about what may be there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.data import BoxedPhoto
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.evaluation.certainty.questions import (
    caption_answers,
    of_boxes,
    of_captions,
    region_caption_answers,
)

KNOWN = {"dog", "cat", "person", "sheep", "sofa", "traffic", "light"}


def boxed(*labels: str, unclear: frozenset[str] = frozenset()) -> BoxedPhoto:
    boxes = np.tile(np.array([0, 0, 2, 2], np.float32), (len(labels), 1))
    return BoxedPhoto(Path("a.jpg"), 9, 9, boxes, tuple((label,) for label in labels), unclear)


def captioned(*captions: str) -> CaptionedPhoto:
    return CaptionedPhoto(Path("a.jpg"), captions)


def test_boxes_by_hand() -> None:
    photos = [
        boxed("dog", "dog"),
        boxed(),
        boxed("horse"),
        boxed("cat", unclear=frozenset({"person"})),
    ]
    asked = of_boxes(photos, ["dog", "cat", "horse", "person"], KNOWN)
    assert [(each.photo, each.words, each.shown) for each in asked[::2]] == [
        (0, ("dog",), True),
        (3, ("cat",), True),
    ]
    assert not any(each.shown for each in asked[1::2])
    assert asked[1].words in {("cat",), ("person",)}
    # A crowd of persons may be there, and nobody taught the pack "horse"
    assert asked[3].words == ("dog",)


@given(
    st.lists(
        st.sets(st.sampled_from(["dog", "cat", "person", "sheep", "sofa"])), min_size=1, max_size=6
    )
)
def test_boxes_are_asked_for_evenly(shown: list[set[str]]) -> None:
    asked = of_boxes(
        [boxed(*labels) for labels in shown], ["dog", "cat", "person", "sheep", "sofa"], KNOWN
    )
    for yes, no in zip(asked[::2], asked[1::2], strict=True):
        assert yes.photo == no.photo and yes.shown and not no.shown
        assert yes.words[0] in shown[yes.photo] and no.words[0] not in shown[no.photo]


def test_captions_by_hand() -> None:
    photos = [
        # dog twice; couch, person, bed perhaps
        captioned("a dog on a couch", "a puppy sleeps", "a man's bed"),
        captioned("a cat"),  # the only caption
        captioned("a plant", "a bowl of soup"),  # nothing for sure by two
    ]
    asked = of_captions(photos, KNOWN)
    assert [(each.photo, each.words) for each in asked[::2]] == [(0, ("dog",)), (1, ("cat",))]
    assert asked[1].words in {("cat",), ("sheep",), ("traffic", "light")}
    assert asked[3].words != ("cat",)


def test_the_draw_is_the_same_each_time() -> None:
    photos = [boxed("dog") for _ in range(20)]
    classes = ["dog", "cat", "person", "sheep"]
    assert of_boxes(photos, classes, KNOWN) == of_boxes(photos, classes, KNOWN)
    assert of_boxes(photos, classes, KNOWN) != of_boxes(photos, classes, KNOWN, seed=1)


def test_which_captions_are_right() -> None:
    photos = [
        captioned("a dog on a couch", "a puppy"),
        captioned("a plant in a bowl"),
        captioned("two kittens", "cats"),
    ]
    assert caption_answers(photos, ["a dog sleeps", "a bowl", "a cat"]) == [True, True, True]
    assert caption_answers(photos, ["a dog and a cat", "a bowl and a cup", "a dog"]) == [
        False,
        False,
        False,
    ]
    assert caption_answers(photos, ["a thing", "a plant", "the grass"]) == [False, True, False]
    assert caption_answers([captioned("the grass")], ["a dog"]) == [None]
    assert region_caption_answers(photos, ["a thing", "a plant", "the grass"]) == [None, True, None]
    assert region_caption_answers([captioned("the grass")], ["a dog"]) == [None]
