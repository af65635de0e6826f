"""Grounding evaluation of a model: class names and phrases against ground-truth boxes.

Results carry a signature of data, model and settings. Axis names: T words, M regions, h dimensions
of the shared space.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from regiontalk.alignment.mrf import unary_potentials
from regiontalk.alignment.score import products
from regiontalk.data import BoxedDataset, BoxedPhoto, Entities
from regiontalk.data.flickr30k_entities import EntitySentence
from regiontalk.errors import DataError
from regiontalk.evaluation.class_words import Words
from regiontalk.evaluation.grounding.class_names import (
    SENTENCE,
    AskedClasses,
    class_names,
    classes_asked,
    read_names,
)
from regiontalk.evaluation.grounding.metric import (
    IOU,
    GroundingIntervals,
    GroundingScores,
    Query,
    centres_inside,
    grounding,
    grounding_intervals,
    union,
)
from regiontalk.evaluation.looking import boxed_regions
from regiontalk.evaluation.results import SILENT, Progress, Reporting, interval_words, printed
from regiontalk.evaluation.signature import TIES, box_signature
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.model import Model
from regiontalk.structures import Regions, Sentence
from regiontalk.vision.boxes import area

_POINTING = "the centre of the best region lies inside a true box, edges included"


@dataclass(frozen=True, slots=True)
class AlignedWords:
    """Pointing accuracy of single words of phrases, by the whole sentence's alignment.

    Attributes:
        pointing: percent of the words whose region has its centre in a box of their phrase.
        words: how many.
    """

    pointing: float
    words: int


@dataclass(frozen=True, slots=True)
class GroundingResult:
    """Grounding metrics with a signature.

    Attributes:
        scores: by kind of queries: "words", "difficult" and "synonyms" of classes, without empty
            ones; "phrases" and "phrases_merged", with entity types as classes.
        interval: of each of these; empty without a bootstrap.
        asked: the classes queried; None for phrases.
        aligned_words: of phrases; None for classes.
        signature: settings and origin of the numbers.
    """

    scores: Mapping[str, GroundingScores]
    interval: Mapping[str, GroundingIntervals]
    asked: AskedClasses | None
    aligned_words: AlignedWords | None
    signature: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As printed."""
        numbers: dict[str, Any] = {kind: each.to_json() for kind, each in self.scores.items()}
        numbers["interval"] = {kind: asdict(each) for kind, each in self.interval.items()} or None
        numbers |= {} if self.asked is None else asdict(self.asked)
        aligned_words = None if self.aligned_words is None else asdict(self.aligned_words)
        return printed(self.signature, **numbers, aligned_words=aligned_words)


OnQuery = Callable[[BoxedPhoto, str, Query], None]
"""Callback for each query: the photo, the text, and the query with its predictions."""


def _ignore(photo: BoxedPhoto, asked: str, query: Query) -> None:
    """The default callback."""


def evaluate_classes(
    model: Model,
    dataset: BoxedDataset,
    sentence: str = SENTENCE,
    selection: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    on_query: OnQuery = _ignore,
    reporting: Reporting | None = None,
    min_photos: int = 1,
) -> GroundingResult:
    """Evaluate grounding by class names: each photo is queried for each class on its boxes.

    A class is queried by the first of its listed synonyms in the pack's vocabulary (`words`), and
    again by each of them, with weights that sum to one query (`synonyms`). The name is read in a
    neutral sentence (prompt template); a region's score is that of `align`, ψ_U summed over the
    name's words.

    Args:
        dataset: photos with class names on their boxes.
        sentence: prompt template, with {} for the name.
        selection: how the photos were chosen, for the signature.
        on_query: called with each query of `words`.
        reporting: the bootstrap.
        min_photos: least number of photos of a class, since all classes have the same weight in the
            macro average.

    Returns:
        Scores of `words`, of `synonyms`, and of `difficult`, the subset of `words` by
        `_is_difficult`, missing if empty.

    Raises:
        DataError: if no class to query has a name in the pack's vocabulary, or a photo is not of
            the size that its boxes were drawn on.
        ConfigError: if `sentence` has no {} or two, or other braces, or no class has `min_photos`
            photos.
        PhotoError: if a photo is broken. None is skipped: the numbers would be of another dataset.
    """
    asked = [photo.labels - photo.unclear for photo in dataset.photos]
    photos_of, names = class_names(model, dataset, asked, min_photos)
    scores_of = _scorer_of_names(model, {*chain(*names.values())}, sentence)
    looked = look_at_photos(model, dataset.photos, progress, extra=True)
    shown = zip(dataset.photos, looked, asked, strict=True)
    questions = _ask_classes(shown, names, scores_of, on_query)
    crowds = sum(len(photo.unclear & photo.labels) for photo in dataset.photos)
    signature = {
        **box_signature(model, dataset, selection or {}, progress),
        "queries": len(questions["words"]),
        "difficult_queries": len(questions["difficult"]),
        "pairs_left_out_for_crowds": crowds,
        "sentence": sentence,
        "min_photos_of_a_class": min_photos,
        **_how(reporting),
    }
    scores, intervals = _numbers(questions, reporting)
    return GroundingResult(scores, intervals, classes_asked(photos_of, names), None, signature)


def _ask_classes(
    shown: Iterable[tuple[BoxedPhoto, Regions, Collection[str]]],
    names: Mapping[str, Sequence[Words]],
    scores_of: Callable[[Words, Regions], np.ndarray],
    on_query: OnQuery,
) -> dict[str, list[Query]]:
    """Queries of all photos by class names, by kind: words, difficult, synonyms."""
    questions: dict[str, list[Query]] = {"words": [], "difficult": [], "synonyms": []}
    for row, (photo, regions, labels) in enumerate(shown):
        for label in sorted(names.keys() & labels):
            _ask_class(questions, label, names[label], (photo, regions, row), scores_of, on_query)
    return questions


def _scorer_of_names(
    model: Model, names: set[Words], sentence: str
) -> Callable[[Words, Regions], np.ndarray]:
    """A function that scores a photo's regions for a name (`_scores`); names are encoded once."""
    read = read_names(model, names, sentence)
    objectness = model.pack.settings.alignment.objectness
    return lambda name, regions: _scores(read[name], regions, objectness)


def _ask_class(
    questions: dict[str, list[Query]],
    label: str,
    names: Sequence[Words],
    looked: tuple[BoxedPhoto, Regions, int],
    scores_of: Callable[[Words, Regions], np.ndarray],
    on_query: OnQuery,
) -> None:
    """Queries a photo for a class by each of its names; appends the queries to `questions`."""
    photo, regions, row = looked
    truth, share = photo.boxes_of(label), 1 / max(1, len(names))
    queries = [
        _query(label, truth, regions, scores_of(name, regions), share, row) for name in names
    ]
    questions["synonyms"] += queries
    for query in queries[:1]:
        first = replace(query, weight=1.0)
        questions["words"].append(first)
        on_query(photo, " ".join(names[0]), first)
        questions["difficult"] += [first] if _is_difficult(photo, label) else []


def evaluate_phrases(
    model: Model,
    entities: Entities,
    selection: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    on_query: OnQuery = _ignore,
    reporting: Reporting | None = None,
) -> GroundingResult:
    """Evaluate phrase grounding: each photo is queried for each phrase with a ground-truth box.

    Sentences are encoded as a whole; a phrase's score for a region is the sum of its words' ψ_U,
    including those of unknown words. A phrase with several boxes may match any of them (`phrases`),
    or their bounding box (`phrases_merged`), the protocol of the dataset's authors. `aligned_words`
    is over single words: whether the centre of region a_j, of the whole sentence's alignment, lies
    inside a box of the word's phrase.

    Args:
        selection, progress: as in `evaluate_classes`.
        on_query: called with each query of `phrases`.
        reporting: the bootstrap.

    Raises:
        DataError: if no phrase has a box, or a photo is not of the size that its boxes were drawn
            on.
        PhotoError: if a photo is broken.
    """
    photos, asked_of = entities.boxes.photos, entities.sentences
    looked = look_at_photos(model, photos, progress, extra=True)
    rows = enumerate(zip(photos, looked, asked_of, strict=True))
    answers = [answer for row, each in rows for answer in _ask_phrases(model, *each, row)]
    if not answers:
        raise DataError(f"{entities.boxes.name}: no phrase has a box")
    for answer in answers:
        on_query(answer.photo, answer.text, answer.query)
    asked = [answer.query for answer in answers]
    merged = [replace(query, truth=union(query.truth)) for query in asked]
    words = sum(answer.words for answer in answers)
    pointed = 100 * sum(answer.words_inside for answer in answers) / words
    signature = {
        **box_signature(model, entities.boxes, selection or {}, progress),
        "sentences": sum(map(len, entities.sentences)),
        "queries": len(answers),
        "phrases_without_a_known_word": sum(answer.unknown for answer in answers),
        "beta": model.pack.settings.alignment.beta,
        **_how(reporting),
    }
    scores, intervals = _numbers({"phrases": asked, "phrases_merged": merged}, reporting)
    return GroundingResult(scores, intervals, None, AlignedWords(pointed, words), signature)


_HOW = {
    "pointing": _POINTING,
    "recall": f"a region among the best k has an IoU of at least {IOU} with a true box",
    "micro": "average over queries",
    "macro": "average over classes",
    "ties": TIES,
}


@dataclass(frozen=True, eq=False)
class _Answer:
    """Result of one phrase.

    Attributes:
        words: number of its words.
        words_inside: how many are aligned with a region whose centre is inside a true box.
        unknown: whether all its words are unknown.
    """

    photo: BoxedPhoto
    text: str
    query: Query
    words: int
    words_inside: int
    unknown: bool


def _ask_phrases(
    model: Model, photo: BoxedPhoto, regions: Regions, sentences: Sequence[EntitySentence], row: int
) -> Iterator[_Answer]:
    wanted = [sentence for sentence in sentences if sentence.phrases]
    named = {phrase.entity for sentence in wanted for phrase in sentence.phrases}
    truths = {entity: photo.boxes_of(entity) for entity in named}
    for sentence, read in zip(
        wanted, model.read(" ".join(sentence.words) for sentence in wanted), strict=True
    ):
        word_regions = _word_regions(model, regions, read)
        for phrase in sentence.phrases:
            span = slice(phrase.start, phrase.end)
            truth = truths[phrase.entity]
            scores = _scores(read.vectors[span], regions, model.pack.settings.alignment.objectness)
            query = _query(phrase.types[0], truth, regions, scores, 1.0, row)
            inside = centres_inside(regions.boxes_xyxy[word_regions[span]], truth)
            unknown = bool((read.ids[span] == Vocabulary.UNKNOWN).all())
            text = " ".join(sentence.words[span])
            yield _Answer(photo, text, query, phrase.end - phrase.start, int(inside.sum()), unknown)


def _word_regions(model: Model, regions: Regions, read: Sentence) -> np.ndarray:
    """a_j of each word, (T,); region 0 for sentences of unknown words, which `align` refuses."""
    if (read.ids == Vocabulary.UNKNOWN).all():
        return np.zeros(len(read), np.int64)
    return model.align(regions, read).word_regions


def look_at_photos(
    model: Model, photos: Sequence[BoxedPhoto], progress: Progress, extra: bool = False
) -> Iterator[Regions]:
    """The regions of each photo, in order, in batches; `extra` as in `Model.look`."""
    return chain.from_iterable(
        looked for _, looked in boxed_regions(model, photos, progress, extra=extra)
    )


def _scores(words: np.ndarray, regions: Regions, objectness: float) -> np.ndarray:
    """Scores of each region for words (T, h) that share one, as in `align`: Σ_t ψ_U. # (M,)"""
    scores: np.ndarray = unary_potentials(
        products(words, regions.vectors), regions.scores, objectness
    ).sum(axis=0)
    return scores


def _query(
    label: str, truth: np.ndarray, regions: Regions, scores: np.ndarray, weight: float, row: int
) -> Query:
    return Query(label, truth, regions.boxes_xyxy, scores, regions.scores, weight, row)


def _is_difficult(photo: BoxedPhoto, label: str) -> bool:
    """Whether a query is in the pointing game's "difficult" subset (Zhang et al. 2016).

    The class's boxes have less than a quarter of the photo's area in total, and the photo has
    another class.
    """
    covered = float(area(photo.boxes_of(label)).sum())
    return covered < photo.width * photo.height / 4 and len(photo.labels) > 1


def _numbers(
    questions: Mapping[str, Sequence[Query]], reporting: Reporting | None
) -> tuple[dict[str, GroundingScores], dict[str, GroundingIntervals]]:
    """Grounding metrics of each kind of queries, with bootstrap intervals."""
    asked = {kind: queries for kind, queries in questions.items() if queries}
    intervals = {
        kind: grounding_intervals(queries, reporting.samples, reporting.seed)
        for kind, queries in asked.items()
        if reporting is not None and reporting.samples
    }
    return {kind: grounding(queries) for kind, queries in asked.items()}, intervals


def _how(reporting: Reporting | None) -> dict[str, str]:
    """Definitions of the metrics and intervals, for the signature."""
    return _HOW | (
        {"interval": interval_words(reporting)}
        if reporting is not None and reporting.samples
        else {}
    )
