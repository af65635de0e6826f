"""Class words in captions.

One by one by hand, double words, and the longest match against a plain search.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.class_words import (
    BY_NAME,
    CLASSES,
    CONTENT,
    SYNONYMS,
    ClassNamer,
    Mention,
    as_words,
    known,
    names_class,
    plural,
    synonyms,
)
from regiontalk.evaluation.objects.metric import Named
from regiontalk.evaluation.objects.run import named
from regiontalk.language import tokenise


def test_pascal_voc_has_twenty_classes() -> None:
    assert len(SYNONYMS) == 20
    for names in SYNONYMS.values():
        assert names and len(set(names)) == len(names)
        assert all(name == tuple(tokenise(" ".join(name))) for name in names)


def test_coco_has_eighty_classes() -> None:
    assert len(CLASSES) == 80
    assert (CLASSES[0].name, CLASSES[1].name, CLASSES[-1].name) == (
        "person",
        "bicycle",
        "toothbrush",
    )
    assert len(BY_NAME) == 80 + 6  # VOC calls six by names of its own
    assert {each.kind for each in CLASSES} == {"person", "animal", "vehicle", ""}


def test_what_the_file_says_is_words() -> None:
    texts = [
        *(
            text
            for entry in CONTENT["classes"].values()
            for key in LISTS
            for text in entry.get(key, ())
        ),
        *(text for each in CONTENT["either"] for text in each["words"]),
        *(
            text
            for key in ("nothing", "not_there", "unsure_before", "unsure_after")
            for text in CONTENT[key]
        ),
        *(text for words in CONTENT["modifiers"].values() for text in words),
        *CONTENT["plurals"],
        *CONTENT["plurals"].values(),
    ]
    assert [text for text in texts if not text or text != " ".join(tokenise(text))] == []
    assert {name for each in CONTENT["either"] for name in each["classes"]} <= set(
        CONTENT["classes"]
    )
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
    sure.subtract(
        {words: sure[words] for each in CONTENT["either"] for words in as_words(each["words"])}
    )
    assert [words for words, classes in sure.items() if classes > 1] == []


def test_no_word_is_both_a_class_and_nothing() -> None:
    listed = {
        words
        for each in CLASSES
        for words in (*each.asked, *each.words, *each.unsure, *as_words([each.name]))
    }
    assert listed & set(as_words(CONTENT["nothing"])) == set()


def test_coco_names_of_the_same_classes() -> None:
    assert synonyms("airplane") == synonyms("aeroplane")
    assert synonyms("dining table") == synonyms("diningtable")
    assert synonyms("person")[0] == ("person",)


def test_other_classes_are_called_what_they_are() -> None:
    assert synonyms("Traffic light") == (("traffic", "light"),)
    assert synonyms("frisbee") == (("frisbee",),)


def test_what_classes_are_asked_for_with_stays() -> None:
    """Published numbers of grounding, regions and search depend on these lists and their order."""
    first = {label: " ".join(names[0]) for label, names in SYNONYMS.items()}
    others = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv"}
    assert first == {label: others.get(label, label) for label in SYNONYMS}
    assert sum(map(len, SYNONYMS.values())) == 89
    assert [" ".join(name) for name in SYNONYMS["boat"]] == [
        "boat",
        "boats",
        "ship",
        "canoe",
        "kayak",
        "sailboat",
    ]


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


COCO = ClassNamer([each.name for each in CLASSES])
VOC = ClassNamer(SYNONYMS)


def sure(caption: str, namer: ClassNamer = COCO, *shown: str) -> list[str]:
    return sorted(named(namer.mentions(tokenise(caption)), frozenset(shown)).sure)


def unsure(caption: str, namer: ClassNamer = COCO, *shown: str) -> list[str]:
    return sorted(named(namer.mentions(tokenise(caption)), frozenset(shown)).unsure)


@pytest.mark.parametrize(
    ("caption", "classes"),
    [
        ("A man and two women with puppies.", ["dog", "person"]),
        ("people, children and a fisherman", ["person"]),
        ("geese, mice, knives, calves and sheep", ["bird", "cow", "knife", "mouse", "sheep"]),
        ("three buses, two benches, some ponies", ["bench", "bus", "horse"]),
        ("a TV and a T.V.", ["tv"]),
        ("fire hydrants beside traffic lights", ["fire hydrant", "traffic light"]),
        ("an animal, a vehicle, food and furniture", []),
        ("a catalogue of carpets", []),
        ("", []),
    ],
)
def test_single_and_plural(caption: str, classes: list[str]) -> None:
    assert sure(caption) == classes
    assert unsure(caption) == []


@pytest.mark.parametrize(
    ("caption", "classes"),
    [
        ("a hot dog", ["hot dog"]),
        ("two hot dogs and a dog", ["dog", "hot dog"]),
        ("a teddy bear", ["teddy bear"]),
        ("teddy bears and polar bears", ["bear", "teddy bear"]),
        ("the toilet seat is up", ["toilet"]),
        ("a bow tie", ["tie"]),
        ("the train tracks", []),
        ("a train on train tracks", ["train"]),
        ("a passenger train", ["train"]),
        ("passengers in a passenger plane", ["airplane", "person"]),
        ("a baby zebra", ["zebra"]),
        ("a bull elephant and a mother giraffe", ["elephant", "giraffe"]),
        ("a man with a baby elephant", ["elephant", "person"]),
        ("a wine glass and a glass of wine", ["wine glass"]),
        ("a pit bull", ["dog"]),
        ("a german shepherd", ["dog"]),
        ("a couple of cars", ["car"]),
        ("a couple with cars", ["car", "person"]),
        ("sun glasses", []),
        ("a jet ski", []),
        ("a baseball player in a baseball cap", ["person"]),
        ("a dvd player", []),
        ("orange juice, an apple pie", []),
    ],
)
def test_double_words(caption: str, classes: list[str]) -> None:
    assert sure(caption) == classes


@pytest.mark.parametrize(
    ("caption", "classes"),
    [
        ("green plants", ["potted plant"]),
        ("an orange cat", ["orange"]),
        ("a toy train", ["train"]),
        ("a statue of a horse, horse statues", ["horse"]),
        ("a dog bowl", ["dog"]),
        ("a bus stop", ["bus"]),
        ("a children's room", ["person"]),
        ("a sheep pen", ["sheep"]),
        ("his desk", ["dining table"]),
        ("an elephant with her baby", ["person"]),
        ("a kitten grooms itself", ["person"]),
    ],
)
def test_unsure_words(caption: str, classes: list[str]) -> None:
    assert set(classes) <= set(unsure(caption))
    assert not set(classes) & set(sure(caption))


def test_after_a_plural_stands_a_verb() -> None:
    assert sure("two dogs house themselves") == ["dog"]


@pytest.mark.parametrize(
    "caption", ["no people", "a street without a car", "a bench without people", "no dog"]
)
def test_what_is_not_there_is_not_named(caption: str) -> None:
    assert [label for label in (*sure(caption), *unsure(caption)) if label != "bench"] == []


def test_words_for_one_of_several_classes() -> None:
    assert sure("a man rides a bike") == ["bicycle", "person"]
    assert sure("a man rides a bike", COCO, "motorcycle", "person") == ["motorcycle", "person"]
    assert sure("a bike", COCO, "motorcycle", "bicycle") == ["bicycle"]
    assert sure("a bear", COCO, "teddy bear") == ["teddy bear"]
    assert sure("a bear") == ["bear"]
    # A motorcycle may be what is meant, and nobody looked for one
    bicycles = ClassNamer(["bicycle"])
    assert (sure("a bike", bicycles), unsure("a bike", bicycles)) == ([], ["bicycle"])


def test_tables_of_pascal_voc_are_for_eating_at() -> None:
    assert (sure("a table", COCO), unsure("a table", VOC)) == (["dining table"], ["diningtable"])
    assert sure("a dining table", VOC) == ["diningtable"]


def test_only_classes_that_count() -> None:
    assert sure("a dog catches a frisbee near a van", VOC) == ["dog"]
    # Or a truck, which VOC has no boxes of
    assert unsure("a dog catches a frisbee near a van", VOC) == ["car"]
    assert sure("a hot dog", VOC) == []
    assert sure("an elephant and her baby", VOC) == []


def test_labels_are_the_datas_own() -> None:
    namer = ClassNamer(["Sofa", "TV", "couch", "Traffic cone", "T-shirt"])
    assert namer.labels == ("Sofa", "TV", "Traffic cone", "T-shirt")
    assert [namer.counted(label) for label in ("COUCH", "tvmonitor", "traffic cone", "dog")] == [
        *("Sofa", "TV", "Traffic cone", None)
    ]
    assert sure("couches, televisions, traffic cones and T-shirts", namer) == [
        "Sofa",
        "T-shirt",
        "TV",
        "Traffic cone",
    ]


def test_a_labels_own_name_comes_before_the_synonyms_of_others() -> None:
    assert sure("a man and a woman", ClassNamer(["Person", "Man"])) == ["Man", "Person"]
    assert sure("a train track", ClassNamer(["train", "train track"])) == ["train track"]


def test_mentions_say_where_they_stand() -> None:
    (first, second) = COCO.mentions(tokenise("A hot dog, held by a man"))
    assert first == Mention(1, 3, ("hot dog",), True)
    assert (second.start, second.end, second.labels) == (6, 7, ("person",))


def test_a_sure_word_beats_an_unsure_one() -> None:
    mentions = COCO.mentions(tokenise("a toy train on a train"))
    assert named(mentions, frozenset()) == Named(frozenset({"train"}))


@pytest.mark.parametrize(
    ("word", "many"), [("fly", "flies"), ("boy", "boys"), ("couch", "couches"), ("box", "boxes")]
)
def test_plurals(word: str, many: str) -> None:
    assert plural(word) == many


VOCABULARY = sorted(
    {
        word
        for each in CLASSES
        for words in (*each.words, *each.unsure, *each.asked)
        for word in words
    }
    | {"a", "the", "no", "toy", "of", "statue", "track", "house", "baby", "xyz"}
)
captions = st.lists(st.sampled_from(VOCABULARY), max_size=9)


@given(captions)
def test_mentions_lie_in_order_in_the_caption(words: list[str]) -> None:
    end = 0
    for mention in COCO.mentions(words):
        assert end <= mention.start < mention.end <= len(words)
        assert mention.labels and set(mention.labels) <= set(COCO.labels)
        end = mention.end


@given(captions, st.sets(st.sampled_from(COCO.labels)))
def test_fewer_classes_name_no_more(words: list[str], labels: set[str]) -> None:
    """A class that is not counted takes its words with it, and makes no word name another class for
    sure.
    """
    some = ClassNamer(sorted(labels))
    places = {(each.start, each.end): each for each in COCO.mentions(words)}
    for mention in some.mentions(words):
        whole = places[mention.start, mention.end]
        assert mention.labels == tuple(label for label in whole.labels if label in labels)
        assert mention.sure == (whole.sure and mention.labels == whole.labels)


@given(captions, st.frozensets(st.sampled_from(COCO.labels)))
def test_what_is_shown_only_chooses_among_meanings(words: list[str], shown: frozenset[str]) -> None:
    mentions = COCO.mentions(words)
    found = named(mentions, shown)
    assert not found.sure & found.unsure
    assert found.sure | found.unsure == {each.label(shown) for each in mentions}
    assert len(found.sure - shown) <= len(named(mentions, frozenset()).sure)
