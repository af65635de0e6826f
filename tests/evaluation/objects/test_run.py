"""Captions against boxes: from words to numbers, by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regiontalk.data import BoxedDataset, BoxedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.class_words import ClassNamer
from regiontalk.evaluation.objects.metric import ClassScores
from regiontalk.evaluation.objects.photo_captions import PhotoCaptions, TracedCaption
from regiontalk.evaluation.objects.run import WrongWords, evaluate_objects, main_thing
from regiontalk.evaluation.results import Reporting

CLASSES = ("cat", "chair", "diningtable", "dog", "person", "sofa")


def boxed(name: str, *things: tuple[str, float], unclear: str = "") -> BoxedPhoto:
    """A photo with a box of each label, so many pixels wide and high."""
    boxes = np.array([[0, 0, side, side] for _, side in things], np.float32).reshape(-1, 4)
    return BoxedPhoto(
        Path(name),
        99,
        99,
        boxes,
        tuple((label,) for label, _ in things),
        frozenset(unclear.split()),
        (name,),
    )


PHOTOS = (
    boxed("a.jpg", ("dog", 40), ("person", 50)),
    boxed("b.jpg", ("cat", 9), ("sofa", 9), unclear="person"),
    boxed("c.jpg"),
)
DATASET = BoxedDataset("boxes", "all", "labels", PHOTOS, classes=CLASSES)


def said(**captions: list[str]) -> PhotoCaptions:
    by_name = {f"{name}.jpg": texts for name, texts in captions.items()}
    return PhotoCaptions(
        by_name, {"captions_from": "x.json", "seen_in_training": "unknown"}, Path("x.json")
    )


SYSTEM = said(
    a=["A puppy and a cat, and another cat"],
    b=["people by a chair with a frisbee"],
    c=["a couch and a hot dog"],
)


def test_by_hand() -> None:
    found = evaluate_objects(DATASET, SYSTEM)
    # named for sure: dog, cat (wrong); person, chair (wrong); sofa (wrong). A frisbee is none of
    # these classes
    assert (found.captions.mentions, found.captions.wrong, found.captions.captions) == (5, 3, 3)
    assert found.captions.chair_i == pytest.approx(60)
    assert found.captions.chair_s == pytest.approx(100)
    assert found.captions.main_named == 0  # a person, and a cat: the first of two boxes of one size
    # Dog and person of dog, person; cat, sofa, person
    assert found.captions.recall == pytest.approx(100 * 2 / 5)
    assert (found.human, found.boxes_or_people, found.interval) == (None, None, {})
    assert found.by_class["person"] == ClassScores(photos=2, named=50.0, mentions=1, wrong=0)
    assert found.wrong_words == [
        WrongWords("cat", "cat", 1),
        WrongWords("chair", "chair", 1),
        WrongWords("couch", "sofa", 1),
    ]
    assert found.each[0] == {
        "image": "a.jpg",
        "caption": "A puppy and a cat, and another cat",
        "named": ["dog"],
        "wrong": ["cat"],
        "main": "person",
        "main_named": False,
    }
    assert (found.each[2]["main"], found.each[2]["main_named"]) == (None, False)


def test_people_stand_beside() -> None:
    people = said(a=["a man and his dog", "a cat"], b=["a cat on a couch"], c=["a room"])
    found = evaluate_objects(DATASET, SYSTEM, people)
    assert found.human is not None and found.boxes_or_people is not None
    assert (found.human.captions, found.human.mentions, found.human.wrong) == (4, 5, 1)
    assert found.human.main_named == pytest.approx(100 * (0.5 + 1) / 2)
    assert found.boxes_or_people.wrong == 2  # the cat that a person named is no lie
    assert found.captions.wrong == 3
    assert found.signature["human_from"] == "x.json"
    assert list(found.rows()) == ["captions", "boxes_or_people", "human"]


def test_words_are_traced_to_boxes_of_what_they_name() -> None:
    boxes = np.array([[0, 0, 99, 99], [60, 60, 90, 90], [10, 10, 30, 30]], np.float32)
    scores = np.array([1, 0.9, 0.8], np.float32)
    texts = {"a": ["a puppy on a man"], "b": ["a cat and a dog"], "c": ["nothing"]}
    regions = {"a": (None, 2, None, None, 1), "b": (None, None, None, None, 2), "c": (None,)}
    traced = {f"{name}.jpg": TracedCaption(rows, boxes, scores) for name, rows in regions.items()}
    found = evaluate_objects(DATASET, replace(said(**texts), traced=traced)).traced
    # the puppy lies on the dog, 40 wide; the man, at 75, not on the person, 50 wide; the cat was
    # not looked at
    assert found is not None
    assert found["words"] == 3
    assert found["micro"]["model"] == pytest.approx(100 / 3)
    assert found["macro"]["model"] == pytest.approx(100 / 3)
    assert found["micro"]["surest_region"] == 0
    # No region is on the cat, 9 wide
    assert found["micro"]["best_region"] == pytest.approx(200 / 3)
    assert evaluate_objects(DATASET, SYSTEM).traced is None


def test_no_word_to_trace() -> None:
    traced = {f"{name}.jpg": TracedCaption((None,), np.zeros((1, 4)), np.ones(1)) for name in "abc"}
    captions = replace(said(a=["nothing"], b=["nothing"], c=["nothing"]), traced=traced)
    assert evaluate_objects(DATASET, captions).traced == {"words": 0}


def test_a_word_that_no_region_can_be_right_for() -> None:
    """Every baseline has 0, and there is no ratio to the best."""
    boxes = np.array([[0, 0, 99, 99]], np.float32)
    traced = {f"{name}.jpg": TracedCaption((None, None), boxes, np.ones(1)) for name in "abc"}
    captions = replace(said(a=["nothing"], b=["a cat"], c=["nothing"]), traced=traced)
    found = evaluate_objects(DATASET, captions).to_json()["traced"]
    assert list(found) == ["words", "micro", "macro"] and set(found["micro"].values()) == {0}


def test_json() -> None:
    found = evaluate_objects(DATASET, SYSTEM, reporting=Reporting(samples=20, seed=3)).to_json()
    assert found == json.loads(json.dumps(found))
    assert list(found) == ["captions", "by_class", "interval", "wrong_words", "signature"]
    assert found["captions"] == {
        "chair_i": 60.0,
        "chair_s": 100.0,
        "main_named": 0.0,
        "recall": 40.0,
        "photos": 3,
        "captions": 3,
        "mentions": 5,
        "wrong": 3,
    }
    assert found["interval"]["captions"]["chair_s"] == [100, 100]
    assert found["wrong_words"][0] == {"words": "cat", "class": "cat", "captions": 1}
    signature = found["signature"]
    assert (signature["photos"], signature["boxes"], signature["captions_per_photo"]) == (3, 4, "1")
    assert (signature["classes"], signature["classes_from"]) == (list(CLASSES), "data")
    assert "seed 3" in signature["interval"]


def test_classes_of_a_list() -> None:
    found = evaluate_objects(DATASET, SYSTEM, classes="coco")
    assert found.captions.wrong == 5  # the frisbee and the hot dog too
    assert len(found.signature["classes"]) == 80
    assert found.signature["classes_from"] == "coco"
    assert (
        evaluate_objects(DATASET, SYSTEM, classes="voc").captions
        == evaluate_objects(DATASET, SYSTEM).captions
    )


def test_the_main_thing_is_the_largest_that_counts() -> None:
    photo = boxed("a.jpg", ("cat", 5), ("dog", 9), ("sofa", 9), ("Airplane", 20))
    assert main_thing(photo, ClassNamer(["cat", "dog", "sofa"])) == "dog"
    assert main_thing(photo, ClassNamer(["cat", "Couch"])) == "Couch"
    assert main_thing(photo, ClassNamer(["aeroplane"])) == "aeroplane"
    assert main_thing(photo, ClassNamer(["bus"])) is None


def test_an_unsure_word_names_what_is_there() -> None:
    photos = (boxed("a.jpg", ("diningtable", 9)), boxed("b.jpg", ("dog", 9)))
    dataset = BoxedDataset("boxes", "all", "labels", photos, classes=CLASSES)
    found = evaluate_objects(dataset, said(a=["a table"], b=["a table"]))
    assert (found.captions.mentions, found.captions.main_named) == (0, 50)
    assert "chair_i" not in found.to_json()["captions"]


def test_boxes_without_classes() -> None:
    with pytest.raises(DataError, match="its boxes have no classes"):
        evaluate_objects(BoxedDataset("boxes", "all", "captions", PHOTOS), SYSTEM)
    with pytest.raises(DataError, match="its boxes have no classes"):
        evaluate_objects(BoxedDataset("boxes", "all", "labels", PHOTOS[2:]), SYSTEM)
