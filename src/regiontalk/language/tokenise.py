"""Tokeniser with the paper's text normalisation, and the list of English function words."""

from __future__ import annotations

import re
import unicodedata

_ASCII_WORD = re.compile(r"[a-z0-9]+")

# Invisible characters: soft hyphen, zero-width (non-)joiners, word joiner, byte order mark,
# variation selectors. They are removed first, so that they split no word and make no second
# spelling of one.
_INVISIBLE = dict.fromkeys([0x00AD, 0x200C, 0x200D, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10)])

_WORDS = """
a about above across after against along alongside am amid among an and another any are around as at
atop away back be because been before behind being below beneath beside besides between beyond both
but by can could did do does doing down during each either every for from front had has have having
he her hers herself him himself his how i if in inside into is it its itself just like many may me
might more most must my near next no nor not of off on one onto or other others our out outside over
own past per she should so some such than that the their theirs them themselves then there these
they this those through to together too toward towards under underneath until up upon us very was we
were what when where which while who whom whose will with within without would you your
"""
FUNCTION_WORDS = frozenset(_WORDS.split())
"""English function words: articles, prepositions, conjunctions, pronouns, auxiliary verbs."""


def tokenise(text: str) -> list[str]:
    """Splits a sentence into lower-case words: maximal runs of letters and digits.

    Everything else separates words and is dropped: apostrophes and hyphens split ("dog's" is two
    words, "t-shirt" too), digits stay, an underscore is no letter. Published captions of Flickr8k's
    test photos show this rule word for word, and scores against them agree to 12 digits.

    Letters of every script count, with their combining marks. Spellings that Unicode holds
    compatible (NFKC) are one word: "é" as one character or two, full-width letters, ligatures.
    Scripts without spaces are not segmented.

    Args:
        text: any text; may be empty.

    Returns:
        The words in order; empty if the text holds no letter and no digit.
        `tokenise(" ".join(words)) == words`.

    >>> tokenise("A dark-haired girl's T-shirt , number 528 .")
    ['a', 'dark', 'haired', 'girl', 's', 't', 'shirt', 'number', '528']
    >>> tokenise("Ein Mädchen läuft.")
    ['ein', 'mädchen', 'läuft']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _tokenise_unicode(text)


def _tokenise_unicode(text: str) -> list[str]:
    text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    # NFKC again after lower(): a few capitals decompose into a letter and a mark, and only one
    # order of marks is canonical.
    text = unicodedata.normalize("NFKC", text.lower())
    words: list[str] = []
    inside = False
    for character in text:
        letter = character.isalnum()
        if letter and not inside:
            words.append(character)
        elif letter or (inside and _is_mark(character)):
            words[-1] += character
        inside = letter or (inside and _is_mark(character))
    return words


def _is_mark(character: str) -> bool:
    """Whether this is a combining mark (accent, vowel sign), part of the letter before it."""
    return unicodedata.category(character) in ("Mn", "Mc")
