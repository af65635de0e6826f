"""Text search in photos' own captions.

Matches of query words, weighted by idf, are added to the visual score. A photo whose text has words
of the query is ranked by S + R (3 r + s²), the others by S.

- S: the visual score, Eq. 8, as without texts. R: the largest S less the smallest, of the photos
  that are ranked.
- r: idf of the words that the pack does not know, such as names: their sum of log((P + 1) /
  (d + 1/2)) divided by log((P + 1) / (3/2)), where d of the index's P photos have the word in their
  texts: 1 for a word of a single photo.
- s: share of the query's idf that the text covers, 0 to 1: a word weighs log((T + 1) / (d + 1/2)),
  where T photos have a text.

So the few photos whose texts have a name, which no content can show, rank above all others; a photo
whose text has the whole query ranks level with the best content at least; and a word of many texts
weighs little beside content. s is squared because photos without a text would otherwise rank below
all that share a word or two.

Axis names: P positions in the index, n photos whose texts have a word of a query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import log

import numpy as np

from regiontalk.language.tokenise import FUNCTION_WORDS, tokenise
from regiontalk.language.vocabulary import Vocabulary

MOST_WORDS = 64
"""Maximum words of a query that are searched for: the first. Each costs a pass over all texts."""

_NAMES = 3.0
"""Weight of r, above the sum of the other terms: S differs by R at most, and s² is 1 at most."""

_UNSPACED = re.compile(
    r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no space between words: Thai, Lao, Tibetan, Burmese, Khmer, Japanese,
Chinese."""


@dataclass(frozen=True)
class TextQuery:
    """The words of a query for text search.

    Attributes:
        words: distinct tokens of `tokenise`.
        names: those that the pack does not know.
        has_content: whether the pack knows any word of the query; if not, only texts can match.
    """

    words: tuple[str, ...]
    names: frozenset[str]
    has_content: bool

    @classmethod
    def of(cls, sentence: str, vocabulary: Vocabulary) -> TextQuery:
        """Content words of a sentence: no `FUNCTION_WORDS`, nor single letters, as in "dog's"."""
        words = list(dict.fromkeys(tokenise(sentence)))
        known = dict(zip(words, vocabulary.encode(words) != Vocabulary.UNKNOWN, strict=True))
        asked = [
            each
            for each in words
            if each not in FUNCTION_WORDS and not (len(each) == 1 and "a" <= each <= "z")
        ]
        names = frozenset(each for each in asked if not known[each])
        return cls(tuple(asked[:MOST_WORDS]), names, any(known.values()))

    def found_in(self, text: str) -> tuple[str, ...]:
        """The words that a text has, in the query's order.

        >>> query = TextQuery(("anna", "東京", "old"), frozenset(), True)
        >>> query.found_in("Anna's golden 東京タワー")
        ('anna', '東京')
        """
        held = _spaced(text)
        return tuple(word for word in self.words if _pattern(word) in held)


@dataclass(frozen=True, eq=False)
class TextMatch:
    """Photos whose texts have words of a query.

    Attributes:
        positions: (n,) int64, rising.
        lifts: (n,) float32, 3 r + s², above 0.
        has_content: see `TextQuery`.
    """

    positions: np.ndarray
    lifts: np.ndarray
    has_content: bool

    def lifted(self, scores: np.ndarray) -> np.ndarray:
        """S + R (3 r + s²) of each photo.

        Args:
            scores: (P,) float32, S; −∞ for photos that must not be found.

        Returns:
            (P,) float32; −∞ too for photos without a match, if the query has no content.

        >>> match = TextMatch(np.array([1]), np.array([2.0], np.float32), True)
        >>> match.lifted(np.array([5, 1, -np.inf], np.float32))
        array([  5.,   9., -inf], dtype=float32)
        """
        counted = scores[scores > -np.inf]
        span = np.ptp(counted) if len(counted) else 0
        ranked = scores.copy() if self.has_content else np.full_like(scores, -np.inf)
        ranked[self.positions] = scores[self.positions] + self.lifts * (span or 1)
        return ranked


class Texts:
    """Full-text search over an index's texts by scanning them; all are read at construction.

    Args:
        texts: position and text of the photos that have one.
        photos: number of photos, with and without a text.
    """

    def __init__(self, texts: Iterable[tuple[int, str]], photos: int) -> None:
        found = [(position, _spaced(text)) for position, text in texts]
        self._photos = photos
        self._positions = np.array([position for position, _ in found], np.int64)
        self._ends = np.cumsum([len(text) + 1 for _, text in found], dtype=np.int64)
        # No word has a line break, so that no match goes beyond a text
        self._joined = "".join(f"{text}\n" for _, text in found)

    def __len__(self) -> int:
        return len(self._positions)

    def match(self, query: TextQuery | None) -> TextMatch | None:
        """The photos whose texts have a word of a query; None if there are none."""
        rows = [] if query is None or not len(self) else [self._rows(word) for word in query.words]
        if query is None or not any(map(len, rows)):
            return None
        r, s = np.zeros(len(self)), np.zeros(len(self))
        for at, (rarity, share) in zip(
            rows, word_weights(query, map(len, rows), len(self), self._photos), strict=True
        ):
            r[at] += rarity
            s[at] += share
        lifts = _NAMES * r + s**2
        matching = np.flatnonzero(lifts)
        return TextMatch(
            self._positions[matching], lifts[matching].astype(np.float32), query.has_content
        )

    def _rows(self, word: str) -> np.ndarray:
        """Numbers of the texts that have a word, (n,) rising."""
        rows, sought = list[int](), _pattern(word)
        at = self._joined.find(sought)
        while at >= 0:
            rows.append(int(np.searchsorted(self._ends, at, side="right")))
            at = self._joined.find(sought, self._ends[rows[-1]])  # in the next text
        return np.array(rows, np.int64)


def word_weights(
    query: TextQuery, having: Iterable[int], texts: int, photos: int
) -> list[tuple[float, float]]:
    """What each word of a query adds to r and to s of a text that has it.

    Args:
        having: d, the document frequency of each word.
        texts, photos: T and P.

    >>> anna = TextQuery(("anna", "beach"), frozenset({"anna"}), True)
    >>> found = word_weights(anna, [1, 3], 9, 9)
    >>> [(round(r, 2), round(s, 2)) for r, s in found]  # 1.90 and 1.05 of 2.95
    [(1.0, 0.64), (0.0, 0.36)]
    """
    counts = list(having)
    weights = [log((texts + 1) / (each + 0.5)) for each in counts]
    rarity = [log((photos + 1) / (each + 0.5)) / log((photos + 1) / 1.5) for each in counts]
    return [
        (rare if word in query.names else 0.0, weight / sum(weights))
        for word, weight, rare in zip(query.words, weights, rarity, strict=True)
    ]


def lift(weights: Iterable[tuple[float, float]]) -> float:
    """3 r + s² of a text from the `word_weights` of the words that it has.

    >>> lift([(1.0, 0.5), (0.0, 0.25)])
    3.5625
    """
    found = list(weights)
    return _NAMES * sum(rarity for rarity, _ in found) + sum(share for _, share in found) ** 2


def _spaced(text: str) -> str:
    """The tokens of a text with a space before and after each.

    >>> _spaced("Anna's café, 1999")
    ' anna s café 1999 '
    """
    return f" {' '.join(tokenise(text))} "


def _pattern(word: str) -> str:
    """Search string of a word: the whole word; in scripts without spaces, any substring."""
    return word if _is_unspaced(word) else f" {word} "


def _is_unspaced(word: str) -> bool:
    """Whether a token is of a script without spaces, so that it may be several words."""
    return _UNSPACED.search(word) is not None


def keys_of_text(text: str) -> set[str]:
    """Keys of a text for exact matching: words; in unspaced scripts also letters and bigrams."""
    words = set(tokenise(text))
    unspaced = filter(_is_unspaced, words)
    return words.union(part for word in unspaced for part in (*word, *_pairs(word)))


def keys_of_word(word: str) -> list[str]:
    """Keys that every text with a word has; in unspaced scripts necessary, not sufficient."""
    return (_pairs(word) or [word]) if _is_unspaced(word) else [word]


def _pairs(word: str) -> list[str]:
    return ["".join(pair) for pair in pairwise(word)]
