"""What is passed around: checked when made, frozen, and the exact JSON of the command line."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from regiontalk import Alignment, Caption, Description, Phrase, Regions, Sentence
from regiontalk.structures import regions_to_json


def some_regions(**changes: Any) -> Regions:
    """The whole photo and one box, h = 2, D = 3."""
    values: dict[str, Any] = {
        "file": "dog.jpg",
        "width": 40,
        "height": 30,
        "boxes_xyxy": np.array([[0, 0, 40, 30], [1.26, 2, 10, 20]], np.float32),
        "scores": np.array([1, 0.87654], np.float32),
        "features": np.zeros((2, 3), np.float32),
        "vectors": np.ones((2, 2), np.float32),
    }
    return Regions(**(values | changes))


def some_sentence() -> Sentence:
    return Sentence("A dog!", ("a", "dog"), np.array([2, 3]), np.zeros((2, 4), np.float32))


def test_regions_count() -> None:
    assert len(some_regions()) == 2
    assert len(some_sentence()) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes_xyxy": np.zeros((0, 4), np.float32)}, "at least one region"),
        (
            {"boxes_xyxy": np.zeros((2, 3), np.float32)},
            r"boxes_xyxy has shape \(2, 3\), expected \(2, 4\)",
        ),
        ({"scores": np.ones(3, np.float32)}, r"scores has shape \(3,\), expected \(2,\)"),
        (
            {"features": np.zeros((1, 3), np.float32)},
            r"features has shape \(1, 3\), expected \(2, None\)",
        ),
        ({"vectors": np.zeros(2, np.float32)}, r"vectors has shape \(2,\), expected \(2, None\)"),
        (
            {"vectors": np.full((2, 2), np.nan, np.float32)},
            "vectors holds a value that is not finite",
        ),
        ({"scores": np.array([1, np.inf], np.float32)}, "scores holds a value that is not finite"),
        ({"width": 41}, "region 0 must be the whole photo"),
    ],
)
def test_regions_that_disagree_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        some_regions(**changes)


def test_sentences_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        Sentence("", (), np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
    with pytest.raises(ValueError, match="ids has shape"):
        replace(some_sentence(), ids=np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="vectors has shape"):
        replace(some_sentence(), vectors=np.zeros((1, 4), np.float32))


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        some_regions().width = 3  # type: ignore[misc]


def test_regions_to_json() -> None:
    assert regions_to_json(some_regions()) == [
        {"box_xyxy": [0.0, 0.0, 40.0, 30.0], "score": 1.0},
        {"box_xyxy": [1.3, 2.0, 10.0, 20.0], "score": 0.8765},
    ]


def test_alignment_to_json() -> None:
    box = (1.0, 2.0, 10.0, 20.0)
    phrase = Phrase("a dog", 0, 2, 1, box, 2.25)
    scores = np.array([[0.0, 0.25], [9.0, 2.0]], np.float32)
    found = Alignment(
        some_regions(), some_sentence(), 1.0, 2.25, np.array([1, 1]), scores, (phrase,)
    ).to_json()
    assert json.loads(json.dumps(found)) == {
        "file": "dog.jpg",
        "width": 40,
        "height": 30,
        "sentence": "A dog!",
        "score": 2.25,
        "words": [
            {"text": "a", "known": True, "region": 1, "score": 0.25},
            {"text": "dog", "known": True, "region": 1, "score": 2.0},
        ],
        "phrases": [
            {
                "text": "a dog",
                "start": 0,
                "end": 2,
                "region": 1,
                "box_xyxy": list(box),
                "score": 2.25,
                "found": True,
            }
        ],
        "regions": regions_to_json(some_regions()),
    }


def test_alignment_to_json_with_probabilities() -> None:
    phrase = Phrase("a dog", 0, 2, 1, (1.0, 2.0, 10.0, 20.0), 2.25, 0.03125, found=False)
    scores = np.array([[0.0, 0.25], [9.0, 2.0]], np.float32)
    sentence = replace(some_sentence(), kinds=("learnt", "unknown"))
    alignment = Alignment(
        some_regions(),
        sentence,
        1.0,
        2.25,
        np.array([1, 1]),
        scores,
        (phrase,),
        (None, 0.12345),
        0.12345,
    )
    found = json.loads(json.dumps(alignment.to_json()))
    assert found["sure"] == 0.1235
    assert [(word["known"], word["sure"]) for word in found["words"]] == [
        (True, None),
        (False, 0.1235),
    ]
    assert found["phrases"][0]["sure"] == 0.0312 and not found["phrases"][0]["found"]


def test_regions_to_dict() -> None:
    regions = regions_to_json(some_regions())
    assert some_regions().to_dict() == {
        "file": "dog.jpg",
        "width": 40,
        "height": 30,
        "regions": regions,
    }


@pytest.mark.parametrize("kind", [Alignment, Caption, Description, Regions])
def test_to_dict_is_to_json(kind: type[Any]) -> None:
    assert kind.to_dict is kind.to_json


def test_reprs_are_short() -> None:
    regions, sentence = some_regions(), some_sentence()
    phrase = Phrase("a dog", 0, 2, 1, (1.26, 2.0, 10.0, 19.6), 2.25)
    alignment = Alignment(
        regions, sentence, 1.0, 2.25, np.array([1, 1]), np.ones((2, 2), np.float32), (phrase,)
    )
    assert repr(regions) == "Regions('dog.jpg', 40 x 30, regions=2)"
    assert repr(sentence) == "Sentence('A dog!', words=2)"
    assert repr(alignment) == "Alignment('dog.jpg', score=2.25, phrases=['a dog' (1, 2, 10, 20)])"
    description = Description(regions, Caption("a dog runs", -4.5), (Caption("a dog", -2.0),))
    assert repr(description) == "Description('dog.jpg', 'a dog runs', region_captions=1)"
    assert repr(phrase) == "Phrase('a dog', (1, 2, 10, 20))"
    assert (
        repr(replace(phrase, sure=0.123, found=False))
        == "Phrase('a dog', (1, 2, 10, 20), sure=0.12, found=False)"
    )
    assert repr(Caption("a dog", -8.7498, (None, 1))) == "Caption('a dog')"
    assert repr(Caption("a dog", -8.7498, sure=1 / 3)) == "Caption('a dog', sure=0.33)"


def test_description_to_json() -> None:
    found = Description(
        some_regions(), Caption("a dog runs", -4.56789), (Caption("a dog", -2.0),)
    ).to_json()
    assert json.loads(json.dumps(found)) == {
        "file": "dog.jpg",
        "width": 40,
        "height": 30,
        "caption": {"text": "a dog runs", "log_prob": -4.5679},
        "regions": [
            {
                "box_xyxy": [1.3, 2.0, 10.0, 20.0],
                "score": 0.8765,
                "caption": {"text": "a dog", "log_prob": -2.0},
            }
        ],
    }


def test_extra_regions_are_left_out_of_the_main_ones() -> None:
    regions = replace(some_regions(), extra=1)
    assert (len(regions), len(regions.main), regions.main.extra) == (2, 1, 0)
    assert some_regions().main.to_dict() == some_regions().to_dict()
    with pytest.raises(ValueError, match=r"expected extra in 0\.\.1, found 2"):
        replace(some_regions(), extra=2)


def test_a_traced_caption_to_json() -> None:
    caption = Caption("a dog on grass", -2.0, (None, 1, None, 0))
    words = [("a", None), ("dog", 1), ("on", None), ("grass", 0)]
    assert caption.to_json() == {
        "text": "a dog on grass",
        "log_prob": -2.0,
        "words": [{"text": word, "region": region} for word, region in words],
    }
    with pytest.raises(ValueError, match="a region for each of its words, or none"):
        Caption("a dog", -1.0, (1,))


def test_a_description_has_a_caption_for_each_region() -> None:
    with pytest.raises(ValueError, match="a caption for each region but the whole photo"):
        Description(some_regions(), Caption("a dog", -1.0), ())
