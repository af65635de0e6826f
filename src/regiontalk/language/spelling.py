"""Words that somebody may have meant: known ones that are one letter off."""

from __future__ import annotations

from regiontalk.language.vocabulary import Vocabulary

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LONGEST = 40
"""Letters; of longer words nobody meant another."""


def one_letter_off(word: str, vocabulary: Vocabulary, most: int = 3) -> tuple[str, ...]:
    """The known words that a letter more, less, changed, or two swapped make of a word, the most frequent first.

    Args:
        word: as `tokenise` makes it.
        vocabulary: the words that are known.
        most: of them.

    >>> vocabulary = Vocabulary(["dog", "dig", "bus"], [9, 0, 5, 3, 2], placed=["dogs"])
    >>> one_letter_off("dg", vocabulary), one_letter_off("odg", vocabulary), one_letter_off("dogz", vocabulary)
    (('dog', 'dig'), ('dog',), ('dog', 'dogs'))
    """
    if len(word) > _LONGEST:
        return ()
    letters = sorted({*_LETTERS, *word})
    cuts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    near = {head + tail[1:] for head, tail in cuts if tail}
    near |= {head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1}
    near |= {head + letter + tail[1:] for head, tail in cuts if tail for letter in letters}
    near |= {head + letter + tail for head, tail in cuts for letter in letters}
    known = [each for each in near - {word} if vocabulary.kind(each) != "unknown"]
    return tuple(
        sorted(known, key=lambda each: int(vocabulary.encode([each])[0]))[:most]
    )  # ids rise as words get rarer
