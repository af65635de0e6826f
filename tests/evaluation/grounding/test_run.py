"""A tiny pack measured on boxes: every number is computed again, a photo and a word at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from regiontalk.data import BoxedDataset, BoxedPhoto, Entities
from regiontalk.data.flickr30k_entities import EntityPhrase, EntitySentence
from regiontalk.errors import ConfigError, DataError
from regiontalk.evaluation.grounding.class_names import AskedClass, AskedClasses
from regiontalk.evaluation.grounding.metric import (
    METHODS,
    METRICS,
    GroundingIntervals,
    GroundingRow,
    GroundingScores,
    GroundingTable,
    centres_inside,
    overlapping,
)
from regiontalk.evaluation.grounding.run import (
    AlignedWords,
    GroundingResult,
    evaluate_classes,
    evaluate_phrases,
)
from regiontalk.evaluation.results import Reporting
from regiontalk.model import Model

from ..conftest import SIZE

BOXES = np.array([[0, 0, 40, 40], [30, 10, 64, 48]], np.float32)


def boxed(file: Path, *labels: str, unclear: frozenset[str] = frozenset()) -> BoxedPhoto:
    return BoxedPhoto(
        file, *SIZE, BOXES[: len(labels)], tuple((label,) for label in labels), unclear
    )


@pytest.fixture
def dataset(files: list[Path]) -> BoxedDataset:
    photos = [boxed(file, *("dog", "person")[: 1 + row % 2]) for row, file in enumerate(files)]
    return BoxedDataset("boxes", "all", "labels", tuple(photos))


def points_right(model: Model, photo: BoxedPhoto, sentence: str, words: slice, label: str) -> bool:
    (regions,), (read,) = model.look(photo.file), model.read(sentence)
    best = int((regions.vectors @ read.vectors[words].sum(axis=0)).argmax())
    return bool(centres_inside(regions.boxes_xyxy[best : best + 1], photo.boxes_of(label))[0])


def test_words_are_asked_in_a_neutral_sentence(model: Model, dataset: BoxedDataset) -> None:
    found = evaluate_classes(model, dataset)
    assert found.asked is not None and found.asked.classes == {
        "dog": AskedClass("dog", ("dog",), 11),
        "person": AskedClass("man", ("man", "woman", "boy", "girl", "people", "child"), 5),
    }
    for label, word in (("dog", "dog"), ("person", "man")):
        right = [
            points_right(model, photo, f"a {word}", slice(1, 2), label)
            for photo in dataset.photos
            if len(photo.boxes_of(label))
        ]
        assert found.scores["words"].by_class[label].model.pointing == pytest.approx(
            100 * np.mean(right), abs=1e-3
        )
    micro = sum(
        found.scores["words"].by_class[label].model.pointing * n
        for label, n in (("dog", 11), ("person", 5))
    )
    assert found.scores["words"].micro.model.pointing == pytest.approx(micro / 16, abs=1e-3)


def test_synonyms_count_as_much_as_one_word(model: Model, dataset: BoxedDataset) -> None:
    found = evaluate_classes(model, dataset)
    with_person = [photo for photo in dataset.photos if len(photo.boxes_of("person"))]
    words = found.asked.classes["person"].synonyms
    right = [
        points_right(model, photo, f"a {word}", slice(1, 2), "person")
        for photo in with_person
        for word in words
    ]
    person = found.scores["synonyms"].by_class["person"].model.pointing
    assert person == pytest.approx(100 * np.mean(right), abs=1e-3)
    dog = found.scores["words"].by_class["dog"].model.pointing
    assert found.scores["synonyms"].micro.model.pointing == pytest.approx(
        (11 * dog + 5 * person) / 16, abs=1e-3
    )
    for metric in METRICS:
        values = (getattr(found.scores[k].micro.whole_photo, metric) for k in ("words", "synonyms"))
        assert next(values) == pytest.approx(next(values))


def test_the_sentence_matters_and_is_signed(model: Model, dataset: BoxedDataset) -> None:
    found = evaluate_classes(model, dataset, "on the {} with snow")
    right = [
        points_right(model, photo, "on the dog with snow", slice(2, 3), "dog")
        for photo in dataset.photos
    ]
    assert found.scores["words"].by_class["dog"].model.pointing == pytest.approx(
        100 * np.mean(right), abs=1e-3
    )
    assert found.signature["sentence"] == "on the {} with snow"
    for wrong in ("a dog", "{} {}", "a {x}", "{} {"):
        with pytest.raises(ConfigError, match="--sentence"):
            evaluate_classes(model, dataset, wrong)


def test_difficult_queries_are_small_things_beside_others(
    model: Model, dataset: BoxedDataset
) -> None:
    assert "difficult" not in evaluate_classes(model, dataset).scores  # both boxes are large
    first = dataset.photos[0]
    small = BoxedPhoto(
        first.file,
        *SIZE,
        np.array([[0, 0, 31, 24], [0, 0, 64, 48]], np.float32),
        (("dog",), ("person",)),
    )
    alone = BoxedPhoto(first.file, *SIZE, small.boxes_xyxy[:1], (("dog",),))
    quarter = BoxedPhoto(
        first.file, *SIZE, np.array([[0, 0, 32, 24], [0, 0, 64, 48]], np.float32), small.texts
    )
    found = evaluate_classes(model, BoxedDataset("boxes", "all", "labels", (small, alone, quarter)))
    assert found.signature["difficult_queries"] == 1
    right = points_right(model, small, "a dog", slice(1, 2), "dog")
    assert found.scores["difficult"].micro.model.pointing == 100 * right


def test_unknown_and_unclear_classes_are_told(model: Model, dataset: BoxedDataset) -> None:
    more = (
        *dataset.photos,
        boxed(dataset.photos[0].file, "tvmonitor"),
        boxed(dataset.photos[0].file, "dog", "person", unclear=frozenset({"person"})),
    )
    found = evaluate_classes(
        model, BoxedDataset("boxes", "all", "labels", more, {"bad": 2}, {"crowds": 1})
    )
    assert found.asked is not None and found.asked.unknown_classes == {"tvmonitor": 1}
    assert found.asked.classes["dog"].photos == 12
    signature = found.signature
    assert (signature["queries"], signature["pairs_left_out_for_crowds"]) == (17, 1)
    assert (signature["photos"], signature["boxes"]) == (13, 19)
    assert (signature["left_out"], signature["remarks"]) == ({"bad": 2}, {"crowds": 1})
    with pytest.raises(DataError, match="a word for none of its classes tvmonitor"):
        evaluate_classes(model, BoxedDataset("boxes", "all", "labels", more[-2:-1]))
    with pytest.raises(DataError, match="no classes"):
        evaluate_classes(model, BoxedDataset("boxes", "all", "captions", more))


def test_rare_classes_are_left_out_of_every_average(model: Model, dataset: BoxedDataset) -> None:
    found, all_classes = (
        evaluate_classes(model, dataset, min_photos=6),
        evaluate_classes(model, dataset),
    )
    assert (found.asked.rare_classes, all_classes.asked.rare_classes) == ({"person": 5}, {})
    assert found.scores["words"].by_class == {"dog": all_classes.scores["words"].by_class["dog"]}
    for way in ("micro", "macro"):
        assert getattr(found.scores["words"], way) == all_classes.scores["words"].by_class["dog"]
    assert (found.signature["queries"], found.signature["min_photos_of_a_class"]) == (11, 6)
    assert (
        evaluate_classes(model, dataset, min_photos=5).scores["words"]
        == all_classes.scores["words"]
    )
    with pytest.raises(
        ConfigError, match="--min-photos 12: no class of boxes has so many; give 11 or less"
    ):
        evaluate_classes(model, dataset, min_photos=12)


def test_a_photo_of_another_size(model: Model, dataset: BoxedDataset) -> None:
    first = dataset.photos[0]
    other = BoxedPhoto(first.file, 65, 48, first.boxes_xyxy, first.texts)
    with pytest.raises(
        DataError,
        match="expected a photo of 65 x 48, as its boxes were drawn on, found one of 64 x 48",
    ):
        evaluate_classes(model, BoxedDataset("boxes", "all", "labels", (other,)))


def test_phrases_sum_their_words(model: Model, files: list[Path]) -> None:
    words = ("a", "brown", "dog", "in", "the", "snow", "with", "zebras")
    phrases = (
        EntityPhrase(0, 3, "1", ("animals",)),
        EntityPhrase(4, 6, "2", ("scene", "other")),
        EntityPhrase(7, 8, "2", ("animals",)),
    )
    sentences = (EntitySentence(words, phrases), EntitySentence(("nothing",), ()))
    texts = (("1", "2"), ("2",))
    photos = tuple(BoxedPhoto(file, *SIZE, BOXES, texts) for file in files)
    found = evaluate_phrases(
        model, Entities(BoxedDataset("e", "test", "entities", photos), (sentences,) * len(files))
    )

    (read,) = model.read(" ".join(words))
    hits, merged, pointed = [], [], []
    for photo in photos:
        (regions,) = model.look(photo.file)
        alignment = model.align(regions, read)
        for phrase in phrases:
            span, truth = slice(phrase.start, phrase.end), photo.boxes_of(phrase.entity)
            best = regions.boxes_xyxy[
                [int((regions.vectors @ read.vectors[span].sum(axis=0)).argmax())]
            ]
            hits.append(overlapping(best, truth)[0])
            around = np.array([[*truth[:, :2].min(axis=0), *truth[:, 2:].max(axis=0)]])
            merged.append(overlapping(best, around)[0])
            pointed += centres_inside(
                regions.boxes_xyxy[alignment.word_regions[span]], truth
            ).tolist()
    assert found.scores["phrases"].micro.model.recall1 == pytest.approx(
        100 * np.mean(hits), abs=1e-3
    )
    assert found.scores["phrases_merged"].micro.model.recall1 == pytest.approx(
        100 * np.mean(merged), abs=1e-3
    )
    assert found.aligned_words is not None and found.aligned_words.words == 66
    assert found.aligned_words.pointing == pytest.approx(100 * np.mean(pointed))
    assert set(found.scores["phrases"].by_class) == {"animals", "scene"}
    assert (found.signature["queries"], found.signature["phrases_without_a_known_word"]) == (
        33,
        11,
    )
    assert found.signature["sentences"] == 22


def test_sentences_of_unknown_words(model: Model, files: list[Path]) -> None:
    sentence = EntitySentence(("zebras",), (EntityPhrase(0, 1, "1", ("animals",)),))
    photo = BoxedPhoto(files[0], *SIZE, BOXES[:1], (("1",),))
    found = evaluate_phrases(
        model, Entities(BoxedDataset("e", "all", "entities", (photo,)), ((sentence,),))
    )
    # The photo's centre lies in the box
    assert found.aligned_words == AlignedWords(pointing=100, words=1)
    with pytest.raises(DataError, match="no phrase has a box"):
        evaluate_phrases(model, Entities(BoxedDataset("e", "all", "entities", (photo,)), ((),)))


def test_intervals_hold_the_numbers_and_are_signed(
    model: Model, dataset: BoxedDataset, files: list[Path]
) -> None:
    reporting = Reporting(samples=200, seed=3)
    found = evaluate_classes(model, dataset, reporting=reporting)
    assert set(found.interval) == {"words", "synonyms"}
    for kind in found.interval:
        for way in ("micro", "macro"):
            scores = getattr(found.scores[kind], way).model
            for metric, (low, high) in getattr(found.interval[kind], way)["model"].items():
                assert low <= getattr(scores, metric) <= high
    assert (
        found.signature["interval"]
        == "95 %, percentiles of 200 bootstrap samples of photos, seed 3"
    )
    plain = evaluate_classes(model, dataset)
    assert not plain.interval and "interval" not in plain.signature
    assert plain.scores["words"] == found.scores["words"]

    sentence = EntitySentence(("dog",), (EntityPhrase(0, 1, "1", ("animals",)),))
    photos = tuple(BoxedPhoto(file, *SIZE, BOXES[:1], (("1",),)) for file in files)
    entities = Entities(BoxedDataset("e", "all", "entities", photos), ((sentence,),) * len(files))
    found = evaluate_phrases(model, entities, reporting=reporting)
    low, high = found.interval["phrases"].micro["model"]["recall1"]
    assert low < high  # of eleven photos, not of one
    assert low <= found.scores["phrases"].micro.model.recall1 <= high


def test_a_result_to_json() -> None:
    """Rounded to four digits, in this order, without what there is not."""
    row = GroundingRow(50, 100 / 3, 100, 100)
    table = GroundingTable(*[row] * 7)
    scores = GroundingScores(table, table, {"dog": table})
    printed = {"pointing": 50, "recall1": 33.3333, "recall5": 100, "recall10": 100}
    methods = dict.fromkeys(METHODS, printed)
    asked = AskedClasses({"dog": AskedClass("dog", ("dog", "puppy"), 2)}, {"emu": 1}, {})
    numbers = {
        "micro": methods,
        "macro": methods,
        "by_class": {"dog": methods},
        "times_best_baseline": {"micro": 1.0, "macro": 1.0},
    }
    classes = GroundingResult({"words": scores}, {}, asked, None, {"sentence": "a {}"})
    assert json.dumps(classes.to_json()) == json.dumps(
        {
            "words": numbers,
            "classes": {"dog": {"word": "dog", "synonyms": ["dog", "puppy"], "photos": 2}},
            "unknown_classes": {"emu": 1},
            "rare_classes": {},
            "signature": {"sentence": "a {}"},
        }
    )
    intervals = {"phrases": GroundingIntervals({}, {"model": {"pointing": [1 / 3, 1]}}, {})}
    phrases = GroundingResult({"phrases": scores}, intervals, None, AlignedWords(200 / 3, 6), {})
    edges = {"micro": {}, "macro": {"model": {"pointing": [0.3333, 1]}}, "times_best_baseline": {}}
    assert json.dumps(phrases.to_json()) == json.dumps(
        {
            "phrases": numbers,
            "interval": {"phrases": edges},
            "aligned_words": {"pointing": 66.6667, "words": 6},
            "signature": {},
        }
    )
