"""A person's captioned photos for `regiontalk teach`: those that are learnt, and those that are held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regiontalk.data import CaptionedPhoto, Dataset, RegionStore, read_dataset
from regiontalk.data.folder import read_captions
from regiontalk.errors import DataError
from regiontalk.files import json_sha256
from regiontalk.language import Vocabulary
from regiontalk.settings import VisionSettings
from regiontalk.training.regions import names_below_common_folder, store_regions
from regiontalk.training.sentences import Sentences, caption_words, encode_captions

TRAIN, DEV = "train", "dev"
HELD_OUT_EVERY, FEWEST_HELD_OUT = 10, 20
"""One photo in so many is held out where the data has no dev split, and at least so many are."""
FEWEST_TAUGHT, FEWEST_OWN_DEV = 20, 2
"""Photos to learn from, and in a dev split of the data's own: CIDEr of a single photo is 0, whatever its caption."""


@dataclass(frozen=True)
class TaughtPhotos:
    """Photos with captions: `taught` are learnt, `held_out` are measured on; no photo is in both."""

    taught: Dataset
    held_out: Dataset

    @property
    def checksum(self) -> str:
        """Of the photos' names and captions: what a run that goes on must find as it was."""
        parts = [
            list(zip(names_below_common_folder(each.files), [photo.captions for photo in each.photos], strict=True))
            for each in (self.taught, self.held_out)
        ]
        return json_sha256(parts)


@dataclass(frozen=True)
class StoredPhotos:
    """Photos as networks learn from them.

    Attributes:
        dataset: the photos.
        store: their regions, in the same order.
        words: each photo's captions as words.
        sentences: the captions as ids.
    """

    dataset: Dataset
    store: RegionStore
    words: list[list[list[str]]]
    sentences: Sentences


def read_taught_photos(path: Path) -> TaughtPhotos:
    """Photos in any layout that `read_dataset` knows: its split "train", and its split "dev" or, without one, some of
    the training photos, chosen by their names.

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
                f"{path}: {len(every)} captioned photos, expected at least {least}, of which {FEWEST_HELD_OUT} are "
                "held out to measure on; caption more photos"
            )
        photos, fewest = hold_out(every), FEWEST_HELD_OUT
    if len(photos.taught) < FEWEST_TAUGHT or len(photos.held_out) < fewest:
        raise DataError(
            f"{path}: {len(photos.taught)} photos in train and {len(photos.held_out)} in dev, expected at least "
            f"{FEWEST_TAUGHT} and {fewest}; caption more photos"
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
    """Hold out one photo in ten, at least 20: those whose names have the smallest sha256, so that chance, and not the
    order of the photos, chooses, and chooses the same again."""
    hashes = [hashlib.sha256(name.encode()).digest() for name in names_below_common_folder(dataset.files)]
    count = max(FEWEST_HELD_OUT, round(len(dataset) / HELD_OUT_EVERY))
    chosen = set(sorted(range(len(dataset)), key=hashes.__getitem__)[:count])

    def part(split: str, held_out: bool) -> Dataset:
        rows: Sequence[CaptionedPhoto] = [p for row, p in enumerate(dataset.photos) if (row in chosen) == held_out]
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
    """Photos with their regions, looked at once and then kept in a folder; goes on where it was stopped.

    Args:
        graph, settings: of the pack's vision network.
        vocabulary: that the captions are read with.
        regions: folder of the region stores.
        max_pixels: see `open_photo`.

    Raises:
        DataError: if the folder holds regions of other photos or of another network, or no caption a known word.
        PhotoError: if a photo cannot be read.
    """
    words = caption_words(dataset)
    sentences = encode_captions(words, vocabulary)
    store = store_regions(graph, settings, dataset, regions / dataset.split, max_pixels)
    return StoredPhotos(dataset, store, words, sentences)
