"""Search by sentences, phrases and photos: the model encodes the query, an engine ranks.

Results by words carry the alignment of the query with the photo's regions.
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
    """A photo in the results of a search.

    Attributes:
        rank: from 1.
        entry: its path, size, date and text.
        score: for a sentence, S_kl as `Model.score` gives it; for a photo, the cosine of
            `Engine.like`, at most 1.
        regions: its boxes and stored vectors; features, (M, 0), are not kept.
        alignment: of the sentence with its regions; None if the query was a photo, or the pack
            knows none of its words.
        text_words: the sentence's words that the photo's text has; they may rank it above photos
            with higher scores, see `regiontalk.search.texts`.
    """

    rank: int
    entry: Entry
    score: float
    regions: Regions
    alignment: Alignment | None = None
    text_words: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The photo's absolute path."""
        return self.entry.path

    @property
    def text(self) -> str:
        """The user's text for the photo; "" if there is none."""
        return self.entry.text

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """The sentence's phrases, each with its box; empty without an alignment."""
        return () if self.alignment is None else self.alignment.phrases

    @property
    def sure(self) -> float | None:
        """Calibrated probability that the photo shows the sentence, with prior `SEARCHED`.

        None without an alignment, or if the pack is not calibrated.
        """
        return None if self.alignment is None else at_prior(self.alignment.sure, SEARCHED)

    def to_json(self) -> dict[str, Any]:
        """JSON of `regiontalk search --json`; for a sentence with phrases and text_words."""
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
    """A box in the results of a search.

    Attributes:
        rank: from 1.
        entry: metadata of its photo.
        region: its number in the photo; 0 is the whole photo.
        score: v_i·Σ_t s_t over all words of the phrase.
        regions: of the photo, as in `FoundPhoto`.
        alignment: of the phrase with this box.
    """

    rank: int
    entry: Entry
    region: int
    score: float
    regions: Regions
    alignment: Alignment

    @property
    def file(self) -> str:
        """The photo's absolute path."""
        return self.entry.path

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]:
        """The box, in pixels of the upright photo."""
        return self.alignment.phrases[0].box_xyxy

    @property
    def sure(self) -> float | None:
        """Calibrated probability that the box shows the phrase, as in `FoundPhoto`."""
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
    """Answers queries with photos and boxes of an engine; yields results one by one, best first.

    Args:
        model: with the pack that made the photos' vectors.

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
            sentence: a sentence, or the output of `Model.read`. Its words are also searched for in
                photos' texts.
            k: at least 1.
            where: conditions on the photos.

        Raises:
            SentenceError: if the sentence has no word, or none that the pack knows or a photo's
                text has.
            ConfigError, DataError: as `Engine`.
        """
        read = sentence if isinstance(sentence, Sentence) else self._model.read(sentence)[0]
        query = TextQuery.of(read.text, self._model.pack.vocabulary)
        if not query.has_content and not self._engine.matching_texts(query):
            self._read(read)  # raises SentenceError
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
        """The k photos most like another, itself among them if the engine has it.

        Args:
            photo: one that `Model.look` takes, or regions, such as those of a result.
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
        """Those words that a photo's text has; `search` finds photos by them, known or not."""
        asked = ((word, TextQuery((word,), frozenset(), False)) for word in words)
        return tuple(word for word, query in asked if self._engine.matching_texts(query))

    def _read(self, sentence: str | Sentence) -> Sentence:
        """Reads a sentence.

        Raises:
            SentenceError: if the pack knows none of its words; others say nothing about a photo.
        """
        read = sentence if isinstance(sentence, Sentence) else self._model.read(sentence)[0]
        if (read.ids == Vocabulary.UNKNOWN).all():
            raise SentenceError(
                f"The pack knows none of the words in {read.text!r}. "
                "Say it with more common English words."
            )
        return read


def require_searchable(pack: Pack) -> None:
    """Checks that a pack does not score by Eq. 7: engines rank by Eq. 8, see `scoring.of_kind`.

    Raises:
        ConfigError: if it does.
    """
    if pack.settings.alignment.score == "sum":
        raise ConfigError(
            f"{pack.folder}: its photos are scored by Eq. 7, but search ranks by Eq. 8. "
            "Take another pack."
        )


def on_one_region(
    hit: BoxHit, read: Sentence, odds: Sequence[float | None] | None = None
) -> Alignment:
    """Alignment of a whole phrase with the box that was found: β is infinite, the box is given."""
    unary = read.vectors @ hit.regions.vectors.T  # (T, M)
    return aligned(
        hit.regions, read, math.inf, hit.score, np.full(len(read), hit.region), unary, odds
    )


def _sure(probability: float | None) -> dict[str, float]:
    return {} if probability is None else {"sure": round(probability, 4)}


def rank_sentences(
    regions: Regions, sentences: Sequence[Sentence], k: int, kind: Kind = "max"
) -> list[tuple[int, float]]:
    """The k best sentences for a photo.

    Eq. 8 sums over each sentence's own words. Engines for MaxSim sum over those of the query
    instead, so it is computed here, exactly.

    Args:
        regions: the photo's, v_i (M, h).
        sentences: each with its words s_t (T, h); read by the same pack.
        k: at least 1.
        kind: "max" for Eq. 8, "sum" for Eq. 7, "mean" for Eq. 8 / words.

    Returns:
        Index and score of the k best, the best first; of equals the first. A score is S_kl less the
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
