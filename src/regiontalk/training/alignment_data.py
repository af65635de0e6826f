"""Datasets, vocabulary and region features of an alignment run, loaded before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from regiontalk.data import Dataset, RegionStore, read_dataset
from regiontalk.language import Vocabulary
from regiontalk.settings import VisionSettings
from regiontalk.training.alignment_net import AlignmentNet, read_alignment
from regiontalk.training.backbones import require_whole_cells
from regiontalk.training.box_labels import BoxLabels, learnt_vocabulary, read_box_labels
from regiontalk.training.region_stores import store_boxes, store_regions, store_views
from regiontalk.training.regions import CachedFeatures, FeatureSource, LiveFeatures, Views
from regiontalk.training.sentences import Sentences, caption_words, encode_captions, first_photos
from regiontalk.training.vision_graph import read_graph, read_settings, read_vision
from regiontalk.training.vision_net import VisionNet

if TYPE_CHECKING:
    from regiontalk.training.alignment_config import AlignmentConfig


@dataclass(frozen=True)
class Captioned:
    """A captioned dataset: its name, encoded captions, and the source of its region features."""

    name: str
    sentences: Sentences
    source: FeatureSource


@dataclass(frozen=True)
class AlignmentData:
    """Everything that an alignment run trains and evaluates on.

    Attributes:
        vocabulary: V words.
        started: the network to start from; None for random weights.
        train, dev: datasets to train and to evaluate on.
        train_files: of all training photos, concatenated.
        labels: box labels, if they are trained on.
        named_store: the features of these boxes, if the vision network is fixed.
    """

    vocabulary: Vocabulary
    started: AlignmentNet | None
    vision: VisionNet
    settings: VisionSettings
    train: tuple[Captioned, ...]
    dev: tuple[Captioned, ...]
    train_files: Sequence[Path]
    labels: BoxLabels | None
    named_store: RegionStore | None


def read_alignment_data(config: AlignmentConfig, device: str) -> AlignmentData:
    """Load the data of an alignment run.

    Where the backbone is fine-tuned, features are computed on `device` during training.

    Raises:
        DataError, PhotoError, TrainingError: if something is missing or damaged.
    """
    train = [first_photos(read_dataset(path, "train"), config.limit) for path, _ in config.data]
    dev = [first_photos(read_dataset(path, "dev"), config.limit) for path in config.dev]
    labels = None if config.boxes is None else read_box_labels(config.boxes)
    words = [caption_words(each) for each in train]
    if config.start is None:
        vocabulary, started = learnt_vocabulary(words, labels, config.min_count), None
    else:
        vocabulary, started = read_alignment(config.start)
    vision, settings = read_vision(config.vision)
    for size, _ in config.sizes:  # fail before any features are computed
        require_whole_cells("sizes", size, vision.backbone)

    def captioned(dataset: Dataset, captions: list[list[list[str]]]) -> Captioned:
        sentences = encode_captions(captions, vocabulary, config.longest)
        return Captioned(dataset.name, sentences, feature_source(config, dataset, vision, device))

    return AlignmentData(
        vocabulary=vocabulary,
        started=started,
        vision=vision,
        settings=settings,
        train=tuple(captioned(*each) for each in zip(train, words, strict=True)),
        dev=tuple(captioned(each, caption_words(each)) for each in dev),
        train_files=[file for each in train for file in each.files],
        labels=labels,
        named_store=None
        if labels is None or config.vision_learning_rate
        else named_store(config, labels),
    )


def feature_source(
    config: AlignmentConfig, dataset: Dataset, vision: VisionNet, device: str
) -> FeatureSource:
    """Source of a dataset's region features: cached, or live if the backbone is fine-tuned."""
    folder = config.regions / dataset.name / dataset.split
    graph, settings = read_graph(config.vision), read_settings(config.vision)
    store = store_regions(graph, settings, dataset, folder, config.max_pixels)
    if not config.vision_learning_rate:
        count = config.views if dataset.split == "train" else 0
        stored = store_views(
            graph, settings, dataset, store, folder.parent, count, config.max_pixels
        )
        return CachedFeatures(store, device, stored)
    views = Views(config.smallest_view, config.jitter)
    return LiveFeatures(vision, store, dataset.files, device, views, config.max_pixels)


def named_store(config: AlignmentConfig, labels: BoxLabels) -> RegionStore:
    """The features of the labelled boxes, from a store."""
    graph, settings = read_graph(config.vision), read_settings(config.vision)
    return store_boxes(
        graph, settings, labels.photos, labels.boxes, config.regions / "named", config.max_pixels
    )
