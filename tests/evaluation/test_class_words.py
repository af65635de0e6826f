from __future__ import annotations

from collections import Counter

import pytest

from regiontalk.evaluation.class_words import (
    BY_NAME,
    CLASSES,
    CONTENT,
    SYNONYMS,
    as_words,
    known,
    names_class,
    synonyms,
)
from regiontalk.language import tokenise


def test_pascal_voc_has_twenty_classes() -> None:
    assert len(SYNONYMS) == 20
    for names in SYNONYMS.values():
        assert names and len(set(names)) == len(names)
        assert all(name == tuple(tokenise(" ".join(name))) for name in names)


def test_coco_has_eighty_classes() -> None:
    assert len(CLASSES) == 80
    assert (CLASSES[0].name, CLASSES[1].name, CLASSES[-1].name) == ("person", "bicycle", "toothbrush")
    assert len(BY_NAME) == 80 + 6  # VOC calls six by names of its own
    assert {each.kind for each in CLASSES} == {"person", "animal", "vehicle", ""}


def test_what_the_file_says_is_words() -> None:
    texts = [
        *(text for entry in CONTENT["classes"].values() for key in LISTS for text in entry.get(key, ())),
        *(text for each in CONTENT["either"] for text in each["words"]),
        *(text for key in ("nothing", "not_there", "unsure_before", "unsure_after") for text in CONTENT[key]),
        *(text for words in CONTENT["modifiers"].values() for text in words),
        *CONTENT["plurals"],
        *CONTENT["plurals"].values(),
    ]
    assert [text for text in texts if not text or text != " ".join(tokenise(text))] == []
    assert {name for each in CONTENT["either"] for name in each["classes"]} <= set(CONTENT["classes"])
    assert set(CONTENT) == {
        *("classes", "either", "nothing", "modifiers", "like_animals", "not_there"),
        *("unsure_before", "unsure_after", "plurals"),
    }


LISTS = ("asked", "words", "unsure", "unsure_in_voc")


def test_no_list_says_a_word_twice() -> None:
    for entry in CONTENT["classes"].values():
        assert set(entry) <= {"voc", "kind", *LISTS}
        for key in LISTS:
            assert [word for word, times in Counter(entry.get(key, ())).items() if times > 1] == []
    assert [word for word, times in Counter(CONTENT["nothing"]).items() if times > 1] == []


def test_no_word_names_two_classes() -> None:
    names = [name for each in SYNONYMS.values() for name in each]
    assert len(set(names)) == len(names)


def test_no_sure_word_names_two_classes() -> None:
    sure = Counter[tuple[str, ...]]()
    for each in CLASSES:
        sure.update({*each.asked, *each.words, *as_words([each.name])} - set(each.unsure))
    sure.subtract({words: sure[words] for each in CONTENT["either"] for words in as_words(each["words"])})
    assert [words for words, classes in sure.items() if classes > 1] == []


def test_no_word_is_both_a_class_and_nothing() -> None:
    listed = {words for each in CLASSES for words in (*each.asked, *each.words, *each.unsure, *as_words([each.name]))}
    assert listed & set(as_words(CONTENT["nothing"])) == set()


def test_coco_names_of_the_same_classes() -> None:
    assert synonyms("airplane") == synonyms("aeroplane")
    assert synonyms("dining table") == synonyms("diningtable")
    assert synonyms("person")[0] == ("person",)


def test_other_classes_are_called_what_they_are() -> None:
    assert synonyms("Traffic light") == (("traffic", "light"),)
    assert synonyms("frisbee") == (("frisbee",),)


def test_what_classes_are_asked_for_with_stays() -> None:
    """Published numbers of grounding, regions and search depend on these very lists and their order."""
    first = {label: " ".join(names[0]) for label, names in SYNONYMS.items()}
    others = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv"}
    assert first == {label: others.get(label, label) for label in SYNONYMS}
    assert sum(map(len, SYNONYMS.values())) == 89
    assert [" ".join(name) for name in SYNONYMS["boat"]] == ["boat", "boats", "ship", "canoe", "kayak", "sailboat"]


def test_known_names_keep_their_order() -> None:
    assert known(synonyms("diningtable"), {"table", "tables", "dining"}) == (
        ("dining", "table"),
        ("table",),
        ("tables",),
    )
    assert known(synonyms("diningtable"), {"table"}) == (("table",),)
    assert known(synonyms("diningtable"), {"dog"}) == ()
    assert known(((),), {"dog"}) == ()


def test_naming() -> None:
    assert names_class(["a", "puppy", "on", "a", "sofa"], "dog")
    assert names_class(["a", "puppy", "on", "a", "sofa"], "sofa")
    assert not names_class(["a", "potted", "tree", "and", "a", "plan"], "pottedplant")
    assert not names_class(["a", "catalogue"], "cat")  # whole words only
    assert not names_class([], "cat")
    assert names_class(["traffic", "light"], "traffic light")
    assert not names_class(["light", "traffic"], "traffic light")


@pytest.mark.parametrize("label", ["Person", "TV", "Couch", "Potted Plant", "Traffic Light"])
def test_letter_case_does_not_matter(label: str) -> None:
    assert synonyms(label) == synonyms(label.lower())
    assert names_class(["a", *synonyms(label)[-1]], label)
