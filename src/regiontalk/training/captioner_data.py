"""Texts, visual contexts and references of a captioner run, loaded before the first step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regiontalk.data import Dataset, RegionStore, read_dataset
from regiontalk.evaluation.class_words import Words
from regiontalk.language import Vocabulary
from regiontalk.settings import VisionSettings
from regiontalk.training.alignment_net import AlignmentNet, read_alignment
from regiontalk.training.batches import mixture
from regiontalk.training.box_labels import BoxLabels, named_texts, read_box_labels
from regiontalk.training.caption_sources import (
    Boxes,
    Described,
    FromText,
    Names,
    Source,
    described_boxes,
    read_texts,
    regions_of_names,
)
from regiontalk.training.region_stores import store_boxes, store_regions, store_views
from regiontalk.training.sentences import (
    PhraseEdges,
    Sentences,
    Snippets,
    caption_words,
    encode_captions,
    every_photo,
    first_photos,
    infer_snippets,
    whole_captions,
)
from regiontalk.training.vision_graph import read_graph, read_settings

if TYPE_CHECKING:
    from regiontalk.training.captioner_config import CaptionerConfig

PhotoWords = list[list[list[str]]]
"""Each photo's captions as tokens."""


@dataclass(frozen=True)
class HeldOut:
    """A dataset's dev split: its texts, and its photos' captions as tokens."""

    name: str
    source: Described
    words: PhotoWords


@dataclass(frozen=True)
class References:
    """References of the training photos for self-critical training, concatenated over datasets.

    Attributes:
        words: the captions of each photo.
        present: names of the objects on each photo, from its boxes and captions; empty where no
            penalty needs them.
        first: row of each dataset's first photo.
    """

    words: PhotoWords
    present: tuple[frozenset[Words], ...]
    first: np.ndarray


@dataclass(frozen=True)
class CaptionerData:
    """Everything that a captioner run trains and evaluates on.

    Attributes:
        vocabulary: V words.
        names: finds object names in captions; None without boxes.
        sources: texts with their visual contexts; for self-critical training one empty text a
            photo.
        rows: (n, 2) source and row of each text of an epoch.
        text: captions without photos, if they are trained on.
        references: of the photos, for the reward.
        dev: datasets to evaluate on.
    """

    vocabulary: Vocabulary
    names: Names | None
    sources: tuple[Source, ...]
    rows: np.ndarray
    text: FromText | None
    references: References
    dev: tuple[HeldOut, ...]


class Reader:
    """Loads the data of one captioner run."""

    def __init__(
        self,
        config: CaptionerConfig,
        vision: tuple[bytes, VisionSettings],
        alignment: tuple[Vocabulary, AlignmentNet],
        labels: BoxLabels | None,
    ) -> None:
        self.config, self.labels = config, labels
        self.graph, self.settings = vision
        self.vocabulary, self.alignment = alignment
        self.names = None if labels is None else Names(labels, self.vocabulary)

    @classmethod
    def of(cls, config: CaptionerConfig) -> Reader:
        """A reader of the finished runs and the box labels that the settings name.

        Raises:
            DataError, TrainingError: if one is missing or damaged.
        """
        vision = read_graph(config.vision), read_settings(config.vision)
        labels = None if config.boxes is None else read_box_labels(config.boxes)
        return cls(config, vision, read_alignment(config.alignment), labels)

    def read(self) -> CaptionerData:
        """Load all data of the run.

        Raises:
            DataError, PhotoError, TrainingError: if something is missing or damaged.
        """
        config = self.config
        train = [first_photos(read_dataset(path, "train"), config.limit) for path, _ in config.data]
        dev = [first_photos(read_dataset(path, "dev"), config.limit) for path in config.dev]
        words = [caption_words(each) for each in train]
        sentences = [encode_captions(each, self.vocabulary) for each in words]
        edges = PhraseEdges.of([ids for each in sentences for ids in each.ids], self.vocabulary)
        named = [self.named_boxes(each) for each in train]
        sources: list[Source] = []
        for dataset, own, boxes in zip(train, sentences, named, strict=True):
            store = self.store(dataset)
            texts = (
                every_photo(len(dataset))
                if config.loss == "reward"
                else self.texts(own, store, edges)
            )
            sources.append(self.described(texts, [store, *self.views(dataset, store)], boxes))
        shares = [share for _, share in config.data]
        if config.about == "region" and self.labels is not None:
            sources.append(self.named_regions(self.labels, train, words))
            shares.append(config.boxes_share)
        return CaptionerData(
            vocabulary=self.vocabulary,
            names=self.names,
            sources=tuple(sources),
            rows=mixture([len(each.ids) for each in sources], shares, config.seed),
            text=self.text(),
            references=self.references(words, named),
            dev=tuple(self.held_out(each, edges) for each in dev),
        )

    def store(self, dataset: Dataset) -> RegionStore:
        """Region features of a dataset's photos."""
        folder = self.config.regions / dataset.name / dataset.split
        return store_regions(self.graph, self.settings, dataset, folder, self.config.max_pixels)

    def views(self, dataset: Dataset, store: RegionStore) -> list[RegionStore]:
        """Region features of random views of a dataset's photos."""
        folder, config = self.config.regions / dataset.name, self.config
        return store_views(
            self.graph, self.settings, dataset, store, folder, config.views, config.max_pixels
        )

    def texts(self, sentences: Sentences, store: RegionStore, edges: PhraseEdges) -> Snippets:
        """Whole captions, or the snippets inferred for regions."""
        if self.config.about == "photo":
            return whole_captions(sentences)
        return infer_snippets(
            self.alignment, store, sentences, edges, self.config.beta, self.config.min_words
        )

    def described(
        self, texts: Snippets, looked: list[RegionStore], named: Sequence[Boxes] = ()
    ) -> Described:
        """Texts with their visual contexts, and attention targets where attention is supervised."""
        names = self.names if self.config.looking_weight and named else None
        return Described(texts, looked, self.config.about, self.config.attention > 0, names, named)

    def held_out(self, dataset: Dataset, edges: PhraseEdges) -> HeldOut:
        """A dev split with its visual contexts."""
        store, words = self.store(dataset), caption_words(dataset)
        texts = self.texts(encode_captions(words, self.vocabulary), store, edges)
        return HeldOut(dataset.name, self.described(texts, [store]), words)

    def named_boxes(self, dataset: Dataset) -> list[Boxes]:
        """Each photo's labelled boxes by name; none where no loss or reward needs them."""
        asked = self.config.looking_weight or self.config.absent_weight
        if not asked or self.names is None or self.labels is None:
            return []
        rows = [self.labelled.get(file.resolve()) for file in dataset.files]
        return [
            {} if row is None else self.names.boxes(self.labels.boxes[row], self.labels.names[row])
            for row in rows
        ]

    @cached_property
    def labelled(self) -> dict[Path, int]:
        """Row in `labels` of each photo."""
        return (
            {}
            if self.labels is None
            else {file.resolve(): row for row, file in enumerate(self.labels.photos)}
        )

    def named_store(self, labels: BoxLabels) -> RegionStore:
        """Features of the labelled boxes."""
        folder, most = self.config.regions / "named", self.config.max_pixels
        return store_boxes(self.graph, self.settings, labels.photos, labels.boxes, folder, most)

    def named_regions(
        self, labels: BoxLabels, train: list[Dataset], words: list[PhotoWords]
    ) -> Described:
        """Labelled boxes as texts about regions, with the adjectives that captions use."""
        store, said = self.named_store(labels), defaultdict[Path, list[list[str]]](list)
        for dataset, captions in zip(train, words, strict=True):
            for photo, own in zip(dataset.photos, captions, strict=True):
                said[photo.file.resolve()] += own
        every = [said[file.resolve()] for file in labels.photos]
        assert self.names is not None
        described = described_boxes(labels, every, self.names, self.vocabulary)
        return Described(
            named_texts(labels, store, self.vocabulary, described), [store], self.config.about
        )

    def text(self) -> FromText | None:
        """Captions without photos."""
        if self.config.text is None or self.labels is None or self.names is None:
            return None
        store = self.named_store(self.labels)
        regions = regions_of_names(self.labels, store, self.names)
        return read_texts(self.config.text, self.names, regions, store, self.vocabulary)

    def references(self, words: list[PhotoWords], named: list[list[Boxes]]) -> References:
        """The training photos' captions, and the names of objects on them."""
        every = [captions for each in words for captions in each]
        boxes = [each for photos in named for each in photos]
        present: tuple[frozenset[Words], ...] = ()
        if self.config.absent_weight and self.names is not None:
            present = tuple(
                frozenset(own) | said_in(captions, self.names, self.vocabulary)
                for own, captions in zip(boxes, every, strict=True)
            )
        return References(every, present, np.cumsum([0, *(len(each) for each in words)])[:-1])


def said_in(
    captions: Sequence[Sequence[str]], names: Names, vocabulary: Vocabulary
) -> frozenset[Words]:
    """The names in captions."""
    return frozenset(
        name for words in captions for _, _, name in names.find(vocabulary.encode(words).tolist())
    )
