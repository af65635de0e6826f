"""Where a phrase may begin and end: the chain MRF cuts captions where regions change, and that may be inside a phrase.

"in a brown dog chases a red" becomes "a brown dog": a caption that stops after "red" or "chases" says too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.language import Vocabulary

_DETERMINERS = "a an the his her its their"
_LINKS = """
and or but of in on at to with by for from into onto over under through near behind beside between across along around
against off up down out as while who that which is are was were has have
"""
DETERMINERS, LINKS = frozenset(_DETERMINERS.split()), frozenset(_LINKS.split())
"""English words that begin phrases but never end them, and words between phrases."""
LEAST_LINKS = 0.1
"""Of the words of English captions far more are links; in other languages a few words happen to be spelt like one."""
ENDS_FROM = 0.3
"""A word may end a phrase if this share of its occurrences is followed by the caption's end or by a link."""


@dataclass(frozen=True)
class PhraseEdges:
    """Of each word of the vocabulary, (V,) bool: whether a phrase may begin, and end, with it."""

    begin: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, captions: Sequence[np.ndarray], vocabulary: Vocabulary) -> PhraseEdges:
        """As training captions (ids) use the words; captions with next to no English link are left as they are."""
        link, words = member(vocabulary, LINKS), np.concatenate(captions)
        if link[words].mean() < LEAST_LINKS:
            every = np.ones(len(vocabulary), bool)
            return cls(every, every)
        link[Vocabulary.BOUNDARY] = True
        after = np.concatenate([np.append(ids[1:], Vocabulary.BOUNDARY) for ids in captions])
        occurs = np.bincount(words, minlength=len(vocabulary))
        before_link = np.bincount(words[link[after]], minlength=len(vocabulary))
        end = (before_link >= ENDS_FROM * occurs) & ~link & ~member(vocabulary, DETERMINERS)
        return cls(~link, end)

    def trim(self, phrase: np.ndarray) -> np.ndarray:
        """The longest part of a phrase (t,) that begins and ends as one may; nothing where there is none."""
        begins, ends = np.flatnonzero(self.begin[phrase]), np.flatnonzero(self.end[phrase])
        if not len(begins) or not len(ends):
            return phrase[:0]
        return phrase[begins[0] : ends[-1] + 1]


def member(vocabulary: Vocabulary, words: frozenset[str]) -> np.ndarray:
    """Which ids are of these words.  # (V,) bool"""
    found = np.zeros(len(vocabulary), bool)
    found[[id_ for id_ in vocabulary.encode(sorted(words)) if id_ != Vocabulary.UNKNOWN]] = True
    return found
