"""A person's captioned photos for `regiontalk teach`: training and held-out split, evaluation.

Axis names: N held-out photos, L captions of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regiontalk.data import CaptionedPhoto, Dataset, RegionStore, read_dataset
from regiontalk.data.folder import read_captions
from regiontalk.errors import DataError
from regiontalk.evaluation.captions.metric import score_captions
from regiontalk.evaluation.results import draw, interval
from regiontalk.evaluation.retrieval.ranks import MatrixScores, Ranks, rank
from regiontalk.files import json_sha256
from regiontalk.language import Vocabulary, tokenise
from regiontalk.model import Model
from regiontalk.settings import VisionSettings
from regiontalk.structures import Regions
from regiontalk.training.region_stores import names_below_common_folder, store_regions
from regiontalk.training.sentences import Sentences, caption_words, encode_captions

TRAIN, DEV = "train", "dev"
HELD_OUT_EVERY, FEWEST_HELD_OUT = 10, 20
"""Without a dev split, one photo in so many is held out, and at least the second number of them."""
FEWEST_TAUGHT, FEWEST_OWN_DEV = 20, 2
"""Least training photos, and least photos of a dev split: CIDEr of a single photo is 0, whatever
its caption."""
RECALL_AT = (1, 5)
DRAWS = 1000
"""Bootstrap samples."""


@dataclass(frozen=True)
class TaughtPhotos:
    """Captioned photos to train on (`taught`) and to evaluate on (`held_out`), none in both."""

    taught: Dataset
    held_out: Dataset

    @property
    def checksum(self) -> str:
        """Checksum of the photos' names and captions, which must be equal when a run is resumed."""
        parts = [
            list(
                zip(
                    names_below_common_folder(each.files),
                    [photo.captions for photo in each.photos],
                    strict=True,
                )
            )
            for each in (self.taught, self.held_out)
        ]
        return json_sha256(parts)


@dataclass(frozen=True)
class StoredPhotos:
    """Captioned photos with stored region features.

    Attributes:
        dataset, store: the photos and, in the same order, their regions.
        words, sentences: their captions as tokens, by photo, and as ids.
    """

    dataset: Dataset
    store: RegionStore
    words: list[list[list[str]]]
    sentences: Sentences


def read_taught_photos(path: Path) -> TaughtPhotos:
    """Read the splits "train" and "dev" in any layout that `read_dataset` knows.

    Without a split "dev", some of the training photos are held out, chosen by their names.

    Raises:
        DataError: if the captions cannot be read, or there are too few photos.
    """
    every = read_dataset(path, TRAIN)
    if has_dev(path):
        photos = TaughtPhotos(every, read_dataset(path, DEV))
        fewest = FEWEST_OWN_DEV
    else:
        least = FEWEST_TAUGHT + FEWEST_HELD_OUT
        if len(every) < least:
            raise DataError(
                f"{path}: {len(every)} captioned photos, expected at least {least}, of which "
                f"{FEWEST_HELD_OUT} are held out to measure on; caption more photos"
            )
        photos, fewest = hold_out(every), FEWEST_HELD_OUT
    if len(photos.taught) < FEWEST_TAUGHT or len(photos.held_out) < fewest:
        raise DataError(
            f"{path}: {len(photos.taught)} photos in train and {len(photos.held_out)} in dev, "
            f"expected at least {FEWEST_TAUGHT} and {fewest}; caption more photos"
        )
    return photos


def has_dev(path: Path) -> bool:
    """Whether captioned photos have a dev split of their own."""
    try:
        read_captions(path).names(DEV)
    except DataError:  # what is damaged was found before
        return False
    return True


def hold_out(dataset: Dataset) -> TaughtPhotos:
    """Hold out one photo in ten, at least 20: those whose names have the smallest sha256.

    The choice is pseudorandom, reproducible, and independent of the photos' order.
    """
    hashes = [
        hashlib.sha256(name.encode()).digest() for name in names_below_common_folder(dataset.files)
    ]
    count = max(FEWEST_HELD_OUT, round(len(dataset) / HELD_OUT_EVERY))
    chosen = set(sorted(range(len(dataset)), key=hashes.__getitem__)[:count])

    def part(split: str, held_out: bool) -> Dataset:
        rows: Sequence[CaptionedPhoto] = [
            p for row, p in enumerate(dataset.photos) if (row in chosen) == held_out
        ]
        return Dataset(dataset.name, split, tuple(rows))

    return TaughtPhotos(part(TRAIN, False), part(DEV, True))


def store_photos(
    graph: bytes,
    settings: VisionSettings,
    dataset: Dataset,
    vocabulary: Vocabulary,
    regions: Path,
    max_pixels: int | None = None,
) -> StoredPhotos:
    """Photos with region features, computed once and kept in a folder; resumable.

    Args:
        graph, settings: of the pack's vision network.
        vocabulary: to encode captions with; placed words count as unknown.
        regions: folder of the region stores.
        max_pixels: see `open_photo`.

    Raises:
        DataError: if the folder holds regions of other photos or of another network, or no caption
            a known word.
        PhotoError: if a photo cannot be read.
    """
    words = caption_words(dataset)
    # The networks have no trainable row for a placed word that is too rare to enter the vocabulary
    sentences = encode_captions(words, vocabulary.with_placed(()))
    store = store_regions(graph, settings, dataset, regions / dataset.split, max_pixels)
    return StoredPhotos(dataset, store, words, sentences)


def stored_regions(photos: StoredPhotos, row: int, projection: Mapping[str, np.ndarray]) -> Regions:
    """The regions of a stored photo, as a model with this projection computes them."""
    store, count = photos.store, int(photos.store.counts[row])
    features = np.asarray(store.features[row, :count], np.float32)
    width, height = (int(side) for side in store.sizes[row])
    return Regions(
        file=str(photos.dataset.photos[row].file),
        width=width,
        height=height,
        boxes_xyxy=np.array(store.boxes[row, :count]),
        scores=np.array(store.scores[row, :count]),
        features=features,
        vectors=features @ projection["W_m"] + projection["b_m"],
    )


@dataclass(frozen=True)
class HeldOutScores:
    """Scores of a pack on held-out photos: retrieval among them, and CIDEr of its captions.

    Attributes:
        ranks: of the captions and photos, L and N.
        cider: (N,) CIDEr of each photo's caption in percent, the document frequencies those of the
            held-out captions.
    """

    ranks: Ranks
    cider: np.ndarray

    def numbers(self) -> dict[str, float]:
        """Recalls in percent, their mean, and CIDEr."""
        once = np.ones(len(self.cider))
        return {
            **self.recalls(once),
            "mean_recall": self.mean_recall(once),
            "cider": self.mean_cider(once),
        }

    def recalls(self, weights: np.ndarray) -> dict[str, float]:
        """Recall at 1 and 5 both ways, photo k and its captions counted `weights[k]` times."""
        ways = {
            "image_to_text": (self.ranks.photos, weights),
            "text_to_image": (self.ranks.sentences, weights[self.ranks.photo_of_sentence]),
        }
        return {
            f"{way}_r{k}": float(100 * (counted @ (ranks <= k)) / counted.sum())
            for way, (ranks, counted) in ways.items()
            for k in RECALL_AT
        }

    def mean_recall(self, weights: np.ndarray) -> float:
        """The mean of these four."""
        return float(np.mean(list(self.recalls(weights).values())))

    def mean_cider(self, weights: np.ndarray) -> float:
        """Mean CIDEr, photo k counted `weights[k]` times."""
        return float(weights @ self.cider / weights.sum())


def without_shared(
    scores: np.ndarray, photo_of: np.ndarray, captions: Sequence[Hashable]
) -> np.ndarray:
    """Scores without false negatives: a caption text that several photos have is wrong for none.

    People write the same of many photos. Whether such a photo ranks its own line or another's of
    the same text first is arbitrary, and counting it as an error would hide what was learnt.

    Args:
        scores: (N, L), photos by captions.
        photo_of: (L,) the photo of each caption.
        captions: L texts.

    Returns:
        The scores; those of a photo with another's caption whose text it has too lie below all.

    >>> scores = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    >>> without_shared(scores, np.array([0, 1, 1]), ["a", "a", "b"]).tolist()
    [[3.0, 0.0, 1.0], [0.0, 2.0, 3.0]]
    """
    numbers: dict[Hashable, int] = {}
    said = np.array([numbers.setdefault(caption, len(numbers)) for caption in captions])
    has = np.zeros((len(scores), len(numbers)), bool)
    has[photo_of, said] = True
    shared = has[:, said] & (photo_of != np.arange(len(scores))[:, None])
    return np.where(shared, scores.min() - 1, scores)


def measure_pack(model: Model, photos: StoredPhotos) -> HeldOutScores:
    """Evaluate a pack on captioned photos.

    A caption text that several photos have is right for each of them. The regions are the stored
    ones, as teaching does not change the vision network.
    """
    projection = model.pack.arrays["projection"]
    regions = model.with_hubness(
        [stored_regions(photos, row, projection) for row in range(len(photos.store))]
    )
    captions = [caption for photo in photos.dataset.photos for caption in photo.captions]
    photo_of = np.repeat(np.arange(len(photos.words)), [len(own) for own in photos.words])
    said = [tuple(words) for own in photos.words for words in own]
    ranks = rank(
        MatrixScores(without_shared(model.score(regions, captions), photo_of, said), photo_of)
    )
    written = [tokenise(caption.text) for caption in model.caption(regions)]
    return HeldOutScores(ranks, score_captions(written, photos.words).means["cider"])


def worsened(before: HeldOutScores, after: HeldOutScores) -> list[str]:
    """Metrics that are significantly worse after than before, in words; empty if none is.

    Tested are the mean of the four recalls, and CIDEr: worse if the 95 % interval of the difference
    lies below 0 as a whole, by the paired bootstrap over the held-out photos.
    """
    measured: dict[str, Callable[[HeldOutScores, np.ndarray], float]] = {
        "the mean of the recalls": HeldOutScores.mean_recall,
        "CIDEr": HeldOutScores.mean_cider,
    }
    photos = len(before.cider)
    found = []
    for name, value in measured.items():
        generator = np.random.default_rng(0)
        draws = [draw(photos, generator).astype(np.float64) for _ in range(DRAWS)]
        low, high = interval([value(after, weights) - value(before, weights) for weights in draws])
        if high < 0:
            once = np.ones(photos)
            found.append(
                f"{name} falls from {value(before, once):.1f} to {value(after, once):.1f} "
                f"(95 % interval of the difference: {low:.1f} to {high:.1f})"
            )
    return found
