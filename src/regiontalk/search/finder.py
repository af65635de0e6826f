"""Searching by sentences, phrases and photos.

A model reads the question, an engine ranks, and each result says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np

from regiontalk.alignment.certainty import SEARCHED, at_prior
from regiontalk.alignment.hubness import ranking_regions, ranking_words
from regiontalk.alignment.mrf import aligned
from regiontalk.alignment.score import Kind, pad, score_matrix
from regiontalk.errors import ConfigError, PhotoError, SentenceError
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.model import Model
from regiontalk.pack import Pack
from regiontalk.photos.given import PhotoLike
from regiontalk.search.engine import BoxHit, Engine
from regiontalk.search.filters import EVERYTHING, Where
from regiontalk.search.scoring import of_kind, top
from regiontalk.search.storage import Entry
from regiontalk.search.texts import TextQuery
from regiontalk.structures import Alignment, Phrase, Regions, Sentence, phrases_repr


@dataclass(frozen=True, eq=False)
class FoundPhoto:
    """A photo that was found.

    Attributes:
        rank: from 1.
        entry: which one: path, size, date and text.
        score: of a sentence, S_kl as `Model.score` gives it; of a photo, the cosine of
            `Engine.like`, at most 1.
        regions: its boxes and stored vectors; features, (M, 0), are not kept.
        alignment: of the sentence with its regions; None where the query was a photo, or the pack
            knows none of its words.
        text_words: the sentence's words that stand in the photo's text, for which it may rank
            before photos with a higher score, see `regiontalk.search.texts`.
    """

    rank: int
    entry: Entry
    score: float
    regions: Regions
    alignment: Alignment | None = None
    text_words: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Its path, absolute."""
        return self.entry.path

    @property
    def text(self) -> str:
        """What people wrote about it; "" if nothing."""
        return self.entry.text

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """The sentence's phrases, each with the box that answers it.

        None where the query was a photo.
        """
        return () if self.alignment is None else self.alignment.phrases

    @property
    def sure(self) -> float | None:
        """The probability that the photo shows what the sentence says.

        `SEARCHED` is the one before looking. None where the query was a photo, or the pack tells no
        probabilities.
        """
        return None if self.alignment is None else at_prior(self.alignment.sure, SEARCHED)

    def to_json(self) -> dict[str, Any]:
        """The object that `regiontalk search --json` prints.

        Of a sentence with phrases and text_words.
        """
        content = {"rank": self.rank, **self.entry.to_json(), "score": self.score}
        if self.alignment is None and not self.text_words:
            return content
        phrases = [] if self.alignment is None else self.alignment.to_json()["phrases"]
        return (
            content | _sure(self.sure) | {"phrases": phrases, "text_words": list(self.text_words)}
        )

    to_dict = to_json

    def __repr__(self) -> str:
        shown = "" if self.alignment is None else f", phrases={phrases_repr(self.phrases)}"
        shown += f", text={shorten(self.text, 60)!r}" if self.text_words else ""
        return f"FoundPhoto({self.file!r}, score={self.score:.2f}{shown})"


@dataclass(frozen=True, eq=False)
class FoundBox:
    """A box that was found.

    Attributes:
        rank: from 1.
        entry: of the photo that it is in.
        region: its number there; 0 is the whole photo.
        score: v_i·Σ_t s_t, of all words of the phrase together.
        regions: of the photo, as of `FoundPhoto`.
        alignment: the phrase on this box.
    """

    rank: int
    entry: Entry
    region: int
    score: float
    regions: Regions
    alignment: Alignment

    @property
    def file(self) -> str:
        """The photo's path, absolute."""
        return self.entry.path

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]:
        """The box, in pixels of the upright photo."""
        return self.alignment.phrases[0].box_xyxy

    @property
    def sure(self) -> float | None:
        """The probability that the box shows what the phrase says, as of `FoundPhoto`."""
        return at_prior(self.alignment.sure, SEARCHED)

    def to_json(self) -> dict[str, Any]:
        """The object that `regiontalk search --region PHRASE --json` prints."""
        found = {"region": self.region, "box_xyxy": list(self.box_xyxy), "score": self.score}
        return {"rank": self.rank, **self.entry.to_json(), **found, **_sure(self.sure)}

    to_dict = to_json

    def __repr__(self) -> str:
        box = tuple(round(edge) for edge in self.box_xyxy)
        return f"FoundBox({self.file!r}, score={self.score:.2f}, box={box})"


class Finder:
    """Answers questions about the photos of an engine. Results come one by one, the best first.

    Args:
        model: with the pack that made the photos' vectors.
        engine: that ranks them.

    Raises:
        ConfigError: if the pack scores by Eq. 7.
    """

    def __init__(self, model: Model, engine: Engine) -> None:
        require_searchable(model.pack)
        self._model, self._engine = model, engine

    def search(
        self, sentence: str | Sentence, k: int, where: Where = EVERYTHING
    ) -> Iterator[FoundPhoto]:
        """The k best photos for a sentence, each with the boxes that answer its phrases.

        Args:
            sentence: a sentence, or what `Model.read` made of it. Its words are looked for in
                photos' texts too.
            k: at least 1.
            where: which photos may be found.

        Raises:
            SentenceError: if the sentence has no word, or none that the pack knows or a photo's
                text has.
            ConfigError, DataError: as `Engine`.
        """
        read = sentence if isinstance(sentence, Sentence) else self._model.read(sentence)[0]
        query = TextQuery.of(read.text, self._model.pack.vocabulary)
        if not query.has_content and not self._engine.matching_texts(query):
            self._read(read)  # says so
        for rank, hit in enumerate(
            self._engine.photos(read.vectors, _at_least_1(k), where, query), start=1
        ):
            score = of_kind(hit.score, read, self._model.score_kind)
            alignment = self._model.align(hit.regions, read) if query.has_content else None
            yield FoundPhoto(
                rank, hit.entry, score, hit.regions, alignment, query.found_in(hit.entry.text)
            )

    def boxes(
        self, phrase: str | Sentence, k: int, where: Where = EVERYTHING, once: bool = False
    ) -> Iterator[FoundBox]:
        """The k best boxes for a phrase; whole photos count as boxes.

        Args:
            phrase, k, where: as for `search`.
            once: whether only the best box of each photo counts.
        """
        read = self._read(phrase)
        for rank, hit in enumerate(
            self._engine.boxes(read.vectors, _at_least_1(k), where, once), start=1
        ):
            odds = self._model.evidence.odds(hit.regions.vectors[hit.region : hit.region + 1], read)
            yield FoundBox(
                rank, hit.entry, hit.region, hit.score, hit.regions, on_one_region(hit, read, odds)
            )

    def like(
        self, photo: PhotoLike | Regions, k: int, where: Where = EVERYTHING
    ) -> Iterator[FoundPhoto]:
        """The k photos most like another, itself among them if it is there.

        Args:
            photo: one that `Model.look` takes, or what was found in one, as the regions of a
                result.
            k, where: as for `search`.

        Raises:
            PhotoError: if the photo cannot be opened, or is not one photo.
            ConfigError, DataError: as `Engine`.
        """
        looked = [photo.main] if isinstance(photo, Regions) else self._model.look(photo)
        if len(looked) != 1:
            raise PhotoError(
                f"like: expected one photo, found {len(looked)}. Give them one by one."
            )
        for rank, hit in enumerate(
            self._engine.like(looked[0].vectors, _at_least_1(k), where), start=1
        ):
            yield FoundPhoto(rank, hit.entry, hit.score, hit.regions)

    def words_in_texts(self, words: Iterable[str]) -> tuple[str, ...]:
        """Those of some words that a photo's text has.

        `search` finds photos by them, even if the pack knows none.
        """
        asked = ((word, TextQuery((word,), frozenset(), False)) for word in words)
        return tuple(word for word, query in asked if self._engine.matching_texts(query))

    def _read(self, sentence: str | Sentence) -> Sentence:
        """A sentence with a word that the pack knows; others say nothing about a photo."""
        read = sentence if isinstance(sentence, Sentence) else self._model.read(sentence)[0]
        if (read.ids == Vocabulary.UNKNOWN).all():
            raise SentenceError(
                f"The pack knows none of the words in {read.text!r}. "
                "Say it with more common English words."
            )
        return read


def require_searchable(pack: Pack) -> None:
    """Engines rank by Eq. 8, see `scoring.of_kind`.

    Raises:
        ConfigError: if a pack scores by Eq. 7.
    """
    if pack.settings.alignment.score == "sum":
        raise ConfigError(
            f"{pack.folder}: its photos are scored by Eq. 7, but search ranks by Eq. 8. "
            "Take another pack."
        )


def on_one_region(
    hit: BoxHit, read: Sentence, odds: Sequence[float | None] | None = None
) -> Alignment:
    """The whole phrase on the box that was found: β beyond all bounds, and the box given."""
    unary = read.vectors @ hit.regions.vectors.T  # (T, M)
    return aligned(
        hit.regions, read, math.inf, hit.score, np.full(len(read), hit.region), unary, odds
    )


def _sure(probability: float | None) -> dict[str, float]:
    return {} if probability is None else {"sure": round(probability, 4)}


def rank_sentences(
    regions: Regions, sentences: Sequence[Sentence], k: int, kind: Kind = "max"
) -> list[tuple[int, float]]:
    """The sentences that fit a photo best.

    The sum of Eq. 8 runs over each sentence's own words. Engines for MaxSim, whose sums run over
    the query's, do not compute that, so it is done here, exactly.

    Args:
        regions: the photo's, v_i (M, h).
        sentences: each with its words s_t (T, h); read by the same pack.
        k: at least 1.
        kind: "max" for Eq. 8, "sum" for Eq. 7, "mean" for Eq. 8 / words.

    Returns:
        Place and score of the k best, the best first; of equals the first. A score is S_kl less the
        hubness of both.
    """
    if not sentences:
        return []
    region_vectors, region_counts = pad([ranking_regions(regions)])
    word_vectors, word_counts = pad([ranking_words(each) for each in sentences])
    scores = score_matrix(region_vectors, region_counts, word_vectors, word_counts, kind)[0]  # (L,)
    return [(int(place), float(scores[place])) for place in top(np.asarray(scores), k)]


def _at_least_1(k: int) -> int:
    if k < 1:
        raise ValueError(f"k must be at least 1, found {k}")
    return k
