"""Caption generation: beam search, reranking by alignment score, and the region of each word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from regiontalk.alignment.distinct import Distinct, key_of
from regiontalk.alignment.score import Kind, products, score_of_products
from regiontalk.captioning.attention import Contexts
from regiontalk.captioning.beam import Hypothesis
from regiontalk.captioning.captioner import Captioner
from regiontalk.language.tokenise import FUNCTION_WORDS
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.settings import CaptionerSettings
from regiontalk.structures import Caption


class Writer:
    """Caption pipeline: beam search or sampling, reranking, decoding of ids into words.

    Args:
        captioner: of the settings' sizes.
        settings: of the search and the reranking.
        vocabulary: of the captioner.
        read: ids of sentences → their word vectors (T, h).
        kind: of S_kl.
    """

    def __init__(
        self,
        captioner: Captioner,
        settings: CaptionerSettings,
        vocabulary: Vocabulary,
        read: Callable[[list[np.ndarray]], list[np.ndarray]],
        kind: Kind,
    ) -> None:
        self.captioner, self.settings, self.vocabulary = captioner, settings, vocabulary
        self.read, self.kind = read, kind
        naming = [word not in FUNCTION_WORDS for word in vocabulary.words]
        # _once: (V,); the special ids come first
        self._once = np.array([False] * (len(vocabulary) - len(naming)) + naming)

    def write(
        self,
        contexts: Contexts,
        seen: Sequence[np.ndarray],
        beam: int | None = None,
        temperature: float | None = None,
    ) -> list[Caption]:
        """A caption for each of N contexts.

        Args:
            seen: N arrays (M, h), the vectors of the regions that each caption describes.
            beam: hypotheses kept in the search; None for the settings'.
            temperature: of sampling instead of the search.

        Raises:
            ValueError: if `beam` is below 1, `temperature` not above 0, or both are given.
        """
        if beam is not None and temperature is not None:
            raise ValueError(
                "a temperature draws captions, a beam searches for them: give one of the two"
            )
        if temperature is not None:
            best = self.captioner.sample(
                contexts, temperature, np.random.default_rng(), self.settings.max_words
            )
            return self._captions(contexts, best)
        # Equal contexts are searched once: faster, and equal inputs get equal captions.
        wanted = Distinct(
            key_of(whole, regions[:count], vectors)
            for whole, regions, count, vectors in zip(
                contexts.whole, contexts.regions, contexts.counts, seen, strict=True
            )
        )
        few = contexts[wanted.first]
        width = self.settings.beam if beam is None else beam
        limits = self.settings.max_words, self.settings.length_normalisation
        found = self.captioner.beam(
            few, width, *limits, self._once if self.settings.say_once else None
        )
        written = self._captions(few, self._choose(found, [seen[each] for each in wanted.first]))
        return [written[number] for number in wanted.number]

    def _choose(
        self, found: list[list[Hypothesis]], seen: Sequence[np.ndarray]
    ) -> list[Hypothesis]:
        """Each row's most probable hypothesis, or with a rerank weight the best by `rerank`."""
        weight, alpha = self.settings.rerank_weight, self.settings.length_normalisation
        if not weight:
            return [first for first, *_ in found]
        # Regions share candidates such as "a dog": each is encoded once
        said = list(dict.fromkeys(each.ids for row in found for each in row))
        read = dict(zip(said, self.read([np.array(ids, np.int64) for ids in said]), strict=True))
        scores = [
            [score_of_products(products(read[each.ids], vectors), self.kind) for each in row]
            for row, vectors in zip(found, seen, strict=True)
        ]
        return [
            rerank(row, of_row, weight, alpha) for row, of_row in zip(found, scores, strict=True)
        ]

    def _captions(self, contexts: Contexts, chosen: Sequence[Hypothesis]) -> list[Caption]:
        """Hypotheses decoded into words, with each word's region if there is attention."""
        words = [self.vocabulary.decode(each.ids) for each in chosen]
        traced: list[tuple[int | None, ...]] = [()] * len(words)
        if self.captioner.attention:
            looks = self.captioner.looks(contexts, [each.ids for each in chosen])
            traced = [trace(own, rows) for own, rows in zip(words, looks, strict=True)]
        return [
            Caption(" ".join(own), each.log_prob, regions)
            for own, each, regions in zip(words, chosen, traced, strict=True)
        ]


def rerank(
    found: Sequence[Hypothesis],
    scores: Sequence[float],
    weight: float,
    length_normalisation: float = 0.0,
) -> Hypothesis:
    """Rerank beam-search candidates by their alignment score; returns the best.

    That is the largest log-probability / length ** α + weight · S_kl, finished candidates before
    unfinished ones. The captioner alone prefers frequent sentences; the alignment score depends on
    these regions.

    Args:
        found: candidates, at least one.
        scores: S_kl of each with the regions to describe.
        weight: of S_kl, in nats per unit.
        length_normalisation: α of the search.

    >>> likely, aligned = Hypothesis((5, 6), -1.0), Hypothesis((7,), -2.0)
    >>> found, scores = [likely, aligned], [0.5, 2.0]
    >>> rerank(found, scores, weight=0.5) == likely  # -1.0 + 0.25 against -2.0 + 1.0
    True
    >>> rerank(found, scores, weight=1.0) == aligned  # -1.0 + 0.5 against -2.0 + 2.0
    True
    """
    ranks = [
        each.rank(length_normalisation) + weight * score
        for each, score in zip(found, scores, strict=True)
    ]
    return found[max(range(len(found)), key=lambda k: (found[k].finished, ranks[k]))]


def trace(words: Sequence[str], looks: np.ndarray) -> tuple[int | None, ...]:
    """The region with the most attention (T, M) at each of T words; None for function words."""
    regions = looks.argmax(axis=1).tolist()
    return tuple(
        None if word in FUNCTION_WORDS else row for word, row in zip(words, regions, strict=True)
    )


def of_rows(caption: Caption, rows: np.ndarray) -> Caption:
    """A caption with `word_regions` renumbered: region k becomes region `rows[k]` of the photo."""
    return replace(
        caption,
        word_regions=tuple(None if k is None else int(rows[k]) for k in caption.word_regions),
    )
