"""Vocabulary: words learnt from captions or placed by pretrained vectors; spelling suggestions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_lowercase
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from regiontalk.errors import ConfigError, DataError, PackError
from regiontalk.language.tokenise import tokenise

_LONGEST, _NEAR = 40, 3
"""Letters of the longest word that gets spelling suggestions; the most suggestions for a word."""

WordKind: TypeAlias = Literal["learnt", "placed", "unknown"]
"""Learnt from captions; placed by pretrained word vectors alone; or unknown."""


class Vocabulary:
    """Maps words to V ids: two special ids, then the words by descending frequency.

    Words added by `extended` follow, likewise by frequency, so that existing ids are stable. Placed
    words have the ids from V on: they can be read, but are never generated.

    Attributes:
        BOUNDARY: id 0, START as the captioner's input and END as its output.
        UNKNOWN: id 1, for out-of-vocabulary words.
        words: the V - 2 real words; `words[i]` has the id i + 2. Ties of frequency are broken
            alphabetically.
        counts: (V,) int64, read-only: how often each id occurs in the training captions. For
            BOUNDARY that is the number of captions, for UNKNOWN that of too rare words.
        placed: P further words; `placed[i]` has the id V + i.
    """

    BOUNDARY: ClassVar[int] = 0
    UNKNOWN: ClassVar[int] = 1
    _SPECIAL: ClassVar[int] = 2

    def __init__(
        self, words: Sequence[str], counts: Sequence[int] | np.ndarray, placed: Sequence[str] = ()
    ) -> None:
        """Takes the V - 2 real words in the order of their ids, the V counts, and P placed words.

        Raises:
            ValueError: if a word is not one word as `tokenise` makes it, occurs twice, or the
                counts do not fit.
        """
        self.words = tuple(words)
        self.counts = np.array(counts, dtype=np.int64)
        self.counts.flags.writeable = False
        self._ids = {word: id_ for id_, word in enumerate(self.words, start=self._SPECIAL)}
        _check(self.words, self.counts, len(self._ids), len(self))
        self.placed = tuple(placed)
        self._placed_ids = {word: id_ for id_, word in enumerate(self.placed, start=len(self))}
        _check_placed(self.placed, self._placed_ids, self._ids)

    def __len__(self) -> int:
        """V, the two special ids included."""
        return len(self.words) + self._SPECIAL

    def __contains__(self, word: object) -> bool:
        """Whether the word was learnt from captions."""
        return word in self._ids

    def kind(self, word: str) -> WordKind:
        """Whether a word is learnt, placed or unknown."""
        return (
            "learnt" if word in self._ids else "placed" if word in self._placed_ids else "unknown"
        )

    def with_placed(self, placed: Sequence[str]) -> Vocabulary:
        """A copy with other placed words.

        Raises:
            ValueError: as the constructor.
        """
        return Vocabulary(self.words, self.counts, placed)

    @classmethod
    def from_captions(
        cls, token_lists: Iterable[Sequence[str]], min_count: int = 5, always: Iterable[str] = ()
    ) -> Vocabulary:
        """Collects the words that occur at least `min_count` times in the training captions.

        Args:
            token_lists: each caption as `tokenise` splits it. May be an iterator; it is read once.
            min_count: at least 1; the paper's is 5.
            always: words to include at any frequency.

        Raises:
            ConfigError: if `min_count` is below 1.
            DataError: if there is no caption, or no word that is frequent enough.
        """
        if min_count < 1:
            raise ConfigError(f"min_count must be at least 1, not {min_count}")
        captions, frequency = _count(token_lists)
        kept = {word: count for word, count in frequency.items() if count >= min_count}
        if not kept:
            raise DataError(
                f"no word occurs {min_count} times in the {captions} captions: "
                "there is nothing to learn from; give more captions or lower min_count"
            )
        kept |= {word: frequency[word] for word in always}
        words = sorted(kept, key=lambda word: (-kept[word], word))
        rare = frequency.total() - sum(kept.values())
        return cls(words, [captions, rare, *(kept[word] for word in words)])

    def extended(self, token_lists: Iterable[Sequence[str]], min_count: int = 1) -> Vocabulary:
        """A copy with the new words of further captions appended; existing ids stay.

        New words are sorted by descending frequency, and counts add up. Placed words among them
        become learnt ones.

        Args:
            token_lists: each further caption as `tokenise` splits it; read once.
            min_count: words that occur less often stay as they were, placed or unknown.
        """
        captions, frequency = _count(token_lists)
        further = {
            word: count
            for word, count in frequency.items()
            if word not in self and count >= min_count
        }
        words = sorted(further, key=lambda word: (-further[word], word))
        known = [frequency[word] for word in self.words]
        rare = frequency.total() - sum(known) - sum(further.values())
        counts = self.counts + np.array([captions, rare, *known])
        placed = [word for word in self.placed if word not in further]
        return Vocabulary(
            [*self.words, *words], [*counts.tolist(), *(further[word] for word in words)], placed
        )

    def encode(self, words: Iterable[str]) -> np.ndarray:
        """The ids of T words, (T,) int64; UNKNOWN for words neither learnt nor placed."""
        found = (self._ids.get(word, self._placed_ids.get(word, self.UNKNOWN)) for word in words)
        return np.array(list(found), dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of some ids.

        Raises:
            ValueError: for BOUNDARY, UNKNOWN and ids outside of 0..V-1.
        """
        return [self._word(int(id_)) for id_ in ids]

    def _word(self, id_: int) -> str:
        if not self._SPECIAL <= id_ < len(self):
            raise ValueError(
                f"id {id_} is not a word; words have the ids {self._SPECIAL} to {len(self) - 1}"
            )
        return self.words[id_ - self._SPECIAL]

    def to_json(self) -> dict[str, Any]:
        """`{"words": [V - 2 strings], "counts": [V integers], "placed": [P strings]}`.

        The format of a pack's `vocabulary.json`; without placed words the last is left out.
        """
        content: dict[str, Any] = {"words": list(self.words), "counts": self.counts.tolist()}
        return content | ({"placed": list(self.placed)} if self.placed else {})

    @classmethod
    def from_json(cls, content: object) -> Vocabulary:
        """The inverse of `to_json`, for content from a file that may be damaged.

        Raises:
            PackError: if anything about the content is not as `to_json` writes it.
        """
        if not isinstance(content, Mapping) or set(content) - {"placed"} != {"words", "counts"}:
            raise PackError(
                'the vocabulary must be an object with "words", "counts" and perhaps "placed" alone'
            )
        words, counts, placed = content["words"], content["counts"], content.get("placed", [])
        for name, each in (("words", words), ("placed", placed)):
            if not isinstance(each, list) or not all(isinstance(word, str) for word in each):
                raise PackError(f'the vocabulary\'s "{name}" must be a list of strings')
        # type() and not isinstance(): bool is a subclass of int, but JSON's true is no count
        if not isinstance(counts, list) or not all(
            type(count) is int and abs(count) < 2**63 for count in counts
        ):
            raise PackError('the vocabulary\'s "counts" must be a list of integers')
        try:
            return cls(words, counts, placed)
        except ValueError as error:
            raise PackError(f"the vocabulary is damaged: {error}") from error


def _count(token_lists: Iterable[Sequence[str]]) -> tuple[int, Counter[str]]:
    """The number of captions, and each word's frequency in them."""
    captions, frequency = 0, Counter[str]()
    for tokens in token_lists:
        captions += 1
        frequency.update(tokens)
    return captions, frequency


def _check(words: tuple[str, ...], counts: np.ndarray, distinct: int, length: int) -> None:
    if not words:
        raise ValueError("a vocabulary holds at least one word")
    if distinct != len(words):
        twice = Counter(words).most_common(1)[0][0]
        raise ValueError(f"the word {twice!r} occurs more than once")
    odd = next((word for word in words if tokenise(word) != [word]), None)
    if odd is not None:
        raise ValueError(f"{odd!r} is not a word as the tokeniser makes them")
    if counts.shape != (length,):
        raise ValueError(f"{len(words)} words need {length} counts, found {counts.size}")
    if (counts < 0).any():
        raise ValueError("a count is negative")


def _check_placed(
    placed: tuple[str, ...], distinct: Mapping[str, int], learnt: Mapping[str, int]
) -> None:
    if len(distinct) != len(placed):
        raise ValueError("a placed word occurs more than once")
    wrong = next((word for word in placed if word in learnt or tokenise(word) != [word]), None)
    if wrong is not None:
        raise ValueError(
            f"the placed word {wrong!r} is a learnt one, or not a word as the tokeniser makes them"
        )


def one_letter_off(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Known words at a Damerau-Levenshtein distance of one, the most frequent first.

    Args:
        word: as `tokenise` makes it.
        vocabulary: its learnt and placed words are known.

    >>> vocabulary = Vocabulary(["dog", "dig", "bus"], [9, 0, 5, 3, 2], placed=["dogs"])
    >>> [one_letter_off(word, vocabulary) for word in ("dg", "odg", "dogz")]
    [('dog', 'dig'), ('dog',), ('dog', 'dogs')]
    """
    if len(word) == 1 or len(word) > _LONGEST:  # a single letter is one off from every other
        return ()
    letters = sorted({*ascii_lowercase, *word})
    cuts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    near = {head + tail[1:] for head, tail in cuts if tail}
    near |= {head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1}
    near |= {head + letter + tail[1:] for head, tail in cuts if tail for letter in letters}
    near |= {head + letter + tail for head, tail in cuts for letter in letters}
    known = [each for each in near - {word} if vocabulary.kind(each) != "unknown"]
    # Lower ids are more frequent, except for words added later; placed words come last
    return tuple(sorted(known, key=lambda each: int(vocabulary.encode([each])[0]))[:_NEAR])
