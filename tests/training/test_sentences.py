"""Phrases begin and end as captions' phrases do."""

from __future__ import annotations

import pytest

from regiontalk.language import Vocabulary
from regiontalk.training.sentences import PhraseEdges

CAPTIONS = (
    "a brown dog chases a red ball",
    "a red ball is in the brown grass",
    "a dog and a man in a red shirt",
    "the dog with the ball in its mouth is on the grass",
)
VOCABULARY = Vocabulary.from_captions([caption.split() for caption in CAPTIONS], 1)


@pytest.fixture
def edges() -> PhraseEdges:
    return PhraseEdges.of([VOCABULARY.encode(caption.split()) for caption in CAPTIONS], VOCABULARY)


@pytest.mark.parametrize(
    ("phrase", "trimmed"),
    [
        ("a brown dog chases a red", "a brown dog"),
        ("in the brown grass", "the brown grass"),
        ("a dog", "a dog"),
        ("and a man in a", "a man"),
        ("is in the", ""),
        ("a red", ""),
        ("a dog with the ball", "a dog with the ball"),
    ],
)
def test_what_sticks_out_is_cut_off(edges: PhraseEdges, phrase: str, trimmed: str) -> None:
    assert VOCABULARY.decode(edges.trim(VOCABULARY.encode(phrase.split()))) == trimmed.split()


def test_a_language_without_these_links_is_left_alone() -> None:
    captions = ("ein hund rennt", "ein brauner hund")
    words = Vocabulary.from_captions([caption.split() for caption in captions], 1)
    ids = [words.encode(caption.split()) for caption in captions]
    edges = PhraseEdges.of(ids, words)
    assert edges.trim(ids[0][:2]).tolist() == ids[0][:2].tolist()
    assert edges.trim(ids[1][:2]).tolist() == ids[1][:2].tolist()


def test_english_links_that_nobody_says_do_not_count() -> None:
    """A pack that knows English words is taught German captions, one of which says "was"."""
    captions = ["ein hund rennt schnell", "ein brauner hund auf der wiese", "was ein hund frisst"]
    words = VOCABULARY.extended([caption.split() for caption in captions])
    ids = [words.encode(caption.split()) for caption in captions]
    edges = PhraseEdges.of(ids, words)
    assert edges.trim(ids[0][:2]).tolist() == ids[0][:2].tolist()


def test_links_that_are_only_placed_do_not_count() -> None:
    """A pack may place words like "but", which its captions never say.

    They have no place among the learnt ones.
    """
    placed = VOCABULARY.with_placed(("but", "his"))
    ids = [placed.encode(caption.split()) for caption in CAPTIONS]
    found, known = PhraseEdges.of(ids, placed), PhraseEdges.of(ids, VOCABULARY)
    assert len(found.end) == len(placed) and {"but", "his"}.isdisjoint(VOCABULARY.words)
    assert (found.begin == known.begin).all() and (found.end == known.end).all()
