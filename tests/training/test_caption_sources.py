"""What captioners learn from: names in captions, their things' places, mixtures of datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regiontalk.captioning.beam import Hypothesis
from regiontalk.errors import DataError
from regiontalk.language import Vocabulary
from regiontalk.training.box_labels import FEWEST, BoxLabels
from regiontalk.training.caption_sources import (
    Glance,
    Names,
    contexts_of,
    described_boxes,
    plural,
    read_texts,
    showing,
    shown_things,
)
from regiontalk.training.captioner_data import References, said_in
from regiontalk.training.self_critical import CaptionReward

WORDS = ["a", "dog", "dogs", "puppy", "hot", "table", "dining", "and", "man", "on"]
VOCABULARY = Vocabulary(WORDS, [1, 0] + [1] * len(WORDS))
BOX = np.array([[0.1, 0.1, 0.5, 0.5]], np.float32)


def labels(*names: str) -> BoxLabels:
    """One box of each name, as often as it takes for a name to be taught."""
    boxes = tuple(np.repeat(BOX, len(names), 0) for _ in range(FEWEST))
    photos = tuple(Path(f"{n}.jpg") for n in range(FEWEST))
    return BoxLabels(
        Path("boxes.jsonl"), photos, boxes, (tuple((name,) for name in names),) * FEWEST
    )


NAMES = Names(labels("dog", "hot dog", "dining table", "person", "zebra"), VOCABULARY)


def find(caption: str) -> list[tuple[int, int, str]]:
    return [
        (start, end, " ".join(name))
        for start, end, name in NAMES.find(VOCABULARY.encode(caption.split()).tolist())
    ]


def test_names_are_found_with_their_synonyms_and_plurals_the_longest_first() -> None:
    assert find("a man and dogs on a dining table") == [
        (1, 2, "man"),
        (3, 4, "dog"),
        (6, 8, "dining table"),
    ]
    assert find("a puppy on a table") == [(1, 2, "dog"), (4, 5, "dining table")]
    assert find("a hot dog") == [(1, 3, "hot dog")]
    assert find("a zebra") == []  # no word of this vocabulary
    assert said_in([["a", "dog"], ["a", "puppy", "and", "a", "man"]], NAMES, VOCABULARY) == {
        ("dog",),
        ("man",),
    }


def test_boxes_are_described_as_captions_describe_them() -> None:
    two = labels("dog", "person").some(np.array([0, 1]))
    captions = [
        [["a", "hot", "man", "and", "the", "dog"], ["a", "dog"]],
        [["dogs", "on", "a", "table"]],
    ]
    found = described_boxes(two, captions, NAMES, VOCABULARY)
    assert found == [[(("a", "dog"),), (("a", "hot", "man"),)], [(), ()]]
    several = labels("dog", "dog").some(np.array([0]))  # which of the dogs is meant?
    assert described_boxes(several, captions[:1], NAMES, VOCABULARY) == [[(), ()]]


@pytest.mark.parametrize(
    ("one", "many"), [("dog", "dogs"), ("bus", "buses"), ("puppy", "puppies"), ("toy", "toys")]
)
def test_plurals(one: str, many: str) -> None:
    assert plural((one,)) == (many,)


def test_boxes_by_name() -> None:
    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]], np.float32)
    found = NAMES.boxes(boxes, [["dog"], ["dog", "person"], ["zebra"]])
    assert set(found) == {("dog",), ("man",)}
    np.testing.assert_array_equal(found["dog",], boxes[:2])
    np.testing.assert_array_equal(found["man",], boxes[1:2])


def test_regions_show_what_they_overlap_by_half_or_else_the_best_by_a_third() -> None:
    regions = np.array(
        [[0, 0, 1, 1], [0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.35], [0.6, 0.6, 0.9, 0.9]]
    )
    assert showing(BOX, regions).tolist() == [False, True, True, False]
    # 0.35
    assert showing(BOX, np.array([[0.1, 0.1, 0.5, 0.24], [0, 0, 1, 1]])).tolist() == [True, False]
    assert not showing(BOX, regions[[0, 3]]).any()


def test_glances_of_unlike_photos_make_one_batch() -> None:
    shows = np.array([False, True, True])
    first = Glance(
        np.ones(2, np.float32), np.ones((3, 8), np.float32), things=((1, shows), (5, shows))
    )
    second = first.without_whole()
    contexts = contexts_of([first, second])
    assert contexts.counts.tolist() == [3, 2] and not contexts.regions[1, 2].any()
    assert not second.shown
    things = shown_things([first, second], words=4)  # the sixth word is beyond what is learnt
    assert things.shape == (2, 4, 3)
    assert np.argwhere(things).tolist() == [[0, 1, 1], [0, 1, 2], [1, 1, 0], [1, 1, 1]]


def test_texts_that_name_nothing_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "captions.tsv"
    file.write_text("flickr30k\t1\tA dog on a table .\ncoco\t2\tA man .\nA puppy\n")
    regions = {("dog",): np.array([[0, 1]])}
    texts = read_texts(file, NAMES, regions, None, VOCABULARY)  # type: ignore[arg-type]
    assert [VOCABULARY.decode(ids) for ids in texts.ids] == [
        ["a", "dog", "on", "a", "table"],
        ["a", "puppy"],
    ]
    assert texts.names == [(("dog",),), (("dog",),)]
    with pytest.raises(DataError, match=r"captions\.tsv: no caption holds a name"):
        read_texts(file, NAMES, {}, None, VOCABULARY)  # type: ignore[arg-type]


def test_things_that_are_not_there_are_taken_off_the_reward() -> None:
    references = [[["a", "dog"], ["a", "puppy"]], [["a", "man"], ["a", "man", "on", "a", "table"]]]
    present = (frozenset({("dog",), ("dining", "table")}), frozenset({("man",)}))
    every = References(references, present, np.array([0, 2]))
    drawn = [
        Hypothesis(tuple(VOCABULARY.encode(text.split()).tolist()), -1.0)
        for text in ("a man", "a dog and table")
    ]
    photos = np.array([0, 0])
    plain = CaptionReward(every, VOCABULARY)(drawn, photos)
    less = CaptionReward(every, VOCABULARY, NAMES, 0.5)
    assert less.absent(drawn, photos).tolist() == [1, 0]
    np.testing.assert_allclose(less(drawn, photos), plain - [0.5, 0])
