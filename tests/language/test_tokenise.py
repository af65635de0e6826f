from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.language import tokenise


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n", []),
        (". , ! -- '' _", []),
        ("A child in a pink dress .", ["a", "child", "in", "a", "pink", "dress"]),
        # As the published captions of Flickr8k's test photos show.
        ("a big brown dog 's head", ["a", "big", "brown", "dog", "s", "head"]),
        ("a yellow-suited musician", ["a", "yellow", "suited", "musician"]),
        ("a merry-go-round", ["a", "merry", "go", "round"]),
        (
            'a sign that says " Jesus or hell " .',
            ["a", "sign", "that", "says", "jesus", "or", "hell"],
        ),
        ("number 528 , wearing red", ["number", "528", "wearing", "red"]),
        ("red sleeves ; the other", ["red", "sleeves", "the", "other"]),
        ("with the # 8 yellow", ["with", "the", "8", "yellow"]),
        # Beyond English.
        (
            "Ein Mädchen läuft über die Straße.",
            ["ein", "mädchen", "läuft", "über", "die", "straße"],
        ),
        ("Девочка и собака", ["девочка", "и", "собака"]),
        ("女孩 和 狗。", ["女孩", "和", "狗"]),
        ("हिन्दी शब्द", ["हिन्दी", "शब्द"]),
        ("d’une fille", ["d", "une", "fille"]),
        ("snake_case", ["snake", "case"]),
        ("ＡＢＣ １２", ["abc", "12"]),
        ("co\u00adoperate", ["cooperate"]),
        ("❤️ dogs 🐶", ["dogs"]),
        ("\u0301alone", ["alone"]),
    ],
)
def test_splits_into_words(text: str, words: list[str]) -> None:
    assert tokenise(text) == words


def test_composed_and_decomposed_letters_are_one_spelling() -> None:
    assert (
        tokenise(unicodedata.normalize("NFD", "café"))
        == tokenise(unicodedata.normalize("NFC", "café"))
        == ["café"]
    )


@given(st.text())
def test_words_are_words(text: str) -> None:
    words = tokenise(text)
    assert tokenise(" ".join(words)) == words
    assert all(word[0].isalnum() and not any(c.isspace() for c in word) for word in words)


@given(st.lists(st.text(), max_size=4))
def test_joining_texts_joins_their_words(texts: list[str]) -> None:
    assert tokenise(" . ".join(texts)) == [word for text in texts for word in tokenise(text)]


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_english_takes_the_same_way_as_unicode(text: str) -> None:
    assert tokenise(text + " é") == [*tokenise(text), "é"]
