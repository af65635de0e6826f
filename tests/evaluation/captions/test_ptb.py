"""The Penn Treebank tokeniser against Stanford's, whose output lies in reference_values.

`ptb_tokens.jsonl` holds a text and its words on each line: sentences and oddities written for this
test, put through PTBTokenizer 3.4.1 with `-preserveLines -lowerCase` one by one, then without
coco-caption's list of punctuation.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.captions import ptb
from regiontalk.evaluation.captions.ptb import (
    BEFORE_NUMBERS,
    CAPITALISED,
    MAY_END,
    PUNCTUATION,
    WITHIN,
    ptb_tokenise,
)

REFERENCE = Path(__file__).parents[2] / "reference_values" / "ptb_tokens.jsonl"

nasty = st.text(st.sampled_from(list("abstnNUS.'’\"-/,:;!?&%$#@()[]<>0159 _é½😀—…")), max_size=20)


def reference() -> list[tuple[str, list[str]]]:
    return [tuple(json.loads(line)) for line in REFERENCE.read_text(encoding="ascii").splitlines()]


def test_every_line_is_as_the_java_tokeniser_has_it() -> None:
    pairs = reference()
    assert len(pairs) > 1900
    different = {
        text: (ptb_tokenise(text), words) for text, words in pairs if ptb_tokenise(text) != words
    }
    assert different == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        (" . , - -- ... ' \" `` '' ", ""),
        ("The dog's", "the dog 's"),
        ("can't won't cannot gonna 'tis", "ca n't wo n't can not gon na 't is"),
        ("U.S. e.g. Mr. dog.", "u.s. e.g. mr. dog"),
        ("no. no. 5 fig. 2", "no no. 5 fig. 2"),
        ("wash. Wash. D.C.", "wash wash. d.c."),
        ("(red) [blue]", "-lrb- red -rrb- -lsb- blue -rsb-"),
        ("what?! yes!!", "what ?! yes !!"),
        ("1,000.50 $5 50% 1/2 ½", "1,000.50 $ 5 50 % 1/2 1/2"),
        ("black/white t-shirt 3-year-old", "black/white t-shirt 3-year-old"),
        ("a\tb\nc\u2028d", "a b c d"),
        ("dog 😀 cat", "dog cat"),
        ("soft\u00adhyphen", "softhyphen"),
    ],
)
def test_by_hand(text: str, words: str) -> None:
    assert ptb_tokenise(text) == words.split()


@given(nasty)
def test_words_are_lower_case_and_no_punctuation(text: str) -> None:
    for word in ptb_tokenise(text):
        assert word == word.lower()
        assert word
        assert not word.isspace()
        assert word not in PUNCTUATION


@given(st.text(max_size=30))
def test_any_text_is_taken(text: str) -> None:
    assert all(word.strip() == word != "" for word in ptb_tokenise(text))


@given(nasty)
def test_what_is_remembered_is_what_is_found(text: str) -> None:
    first = ptb_tokenise(text)
    ptb.forget()
    assert ptb_tokenise(text) == first


@given(st.lists(st.text(st.sampled_from("abcsS'-"), min_size=1, max_size=6), max_size=5))
def test_spaces_do_not_matter(pieces: list[str]) -> None:
    assert ptb_tokenise(" ".join(pieces)) == ptb_tokenise("   ".join(["", *pieces, ""]))


@pytest.mark.parametrize("end", ["", ".", ",", "!", "?", ";", ":"])
def test_the_short_cut_for_simple_words_is_what_the_rules_say(end: str) -> None:
    joined = "cannot gonna gotta lemme gimme wanna"
    special = f"{MAY_END} {WITHIN} {CAPITALISED} {BEFORE_NUMBERS} {joined}".split()
    plain = [
        word for _, words in reference() for word in words if word.isascii() and word.isalpha()
    ]
    for word in dict.fromkeys([*special, *plain]):
        for written in (word, word.capitalize(), word.upper()):
            assert ptb._chunk(written + end) == ptb._lex(written + end)


@pytest.mark.parametrize(
    "unit", ["a.", "<a ", "a@", "&a", "1,", "a'", "(", "http://", '<a b="c" ', "a b. "]
)
def test_long_oddities_end(unit: str) -> None:
    assert ptb_tokenise(unit * 1500)
