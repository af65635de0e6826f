from __future__ import annotations

import pytest

from regiontalk.evaluation.class_words import SYNONYMS, known, names_class, synonyms
from regiontalk.language import tokenise


def test_pascal_voc_has_twenty_classes() -> None:
    assert len(SYNONYMS) == 20
    for names in SYNONYMS.values():
        assert names and len(set(names)) == len(names)
        assert all(name == tuple(tokenise(" ".join(name))) for name in names)


def test_no_word_names_two_classes() -> None:
    names = [name for each in SYNONYMS.values() for name in each]
    assert len(set(names)) == len(names)


def test_coco_names_of_the_same_classes() -> None:
    assert synonyms("airplane") == synonyms("aeroplane")
    assert synonyms("dining table") == synonyms("diningtable")
    assert synonyms("person")[0] == ("person",)


def test_other_classes_are_called_what_they_are() -> None:
    assert synonyms("Traffic light") == (("traffic", "light"),)


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
