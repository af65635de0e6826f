"""A person's captioned photos for `regiontalk teach`.

Those that are learnt, and those that are held out to measure on. Axis names: N held-out photos, L
captions of them.
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
"""One photo in so many is held out where the data has no dev split, and at least so many are."""
FEWEST_TAUGHT, FEWEST_OWN_DEV = 20, 2
"""Photos to learn from, and in a dev split of the data's own: CIDEr of a single photo is 0,
whatever its caption."""
RECALL_AT = (1, 5)
DRAWS = 1000
"""Of the bootstrap."""


@dataclass(frozen=True)
class TaughtPhotos:
    """Photos with captions: `taught` are learnt, `held_out` are measured on.

    No photo is in both.
    """

    taught: Dataset
    held_out: Dataset

    @property
    def checksum(self) -> str:
        """Of the photos' names and captions: what a run that goes on must find as it was."""
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
    """Photos in any layout that `read_dataset` knows: its split "train", and its split "dev".

    Without the latter, some of the training photos, chosen by their names.

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

    So chance, and not the order of the photos, chooses, and chooses the same again.
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
    """Photos with their regions, looked at once and then kept in a folder.

    Goes on where it was stopped.

    Args:
        graph, settings: of the pack's vision network.
        vocabulary: whose words the captions are read with; words that are only placed count as
            unknown.
        regions: folder of the region stores.
        max_pixels: see `open_photo`.

    Raises:
        DataError: if the folder holds regions of other photos or of another network, or no caption
            a known word.
        PhotoError: if a photo cannot be read.
    """
    words = caption_words(dataset)
    # A placed word that is said too rarely to be taught is not in what the networks learn: as
    # unknown as it is rare.
    sentences = encode_captions(words, vocabulary.with_placed(()))
    store = store_regions(graph, settings, dataset, regions / dataset.split, max_pixels)
    return StoredPhotos(dataset, store, words, sentences)


def stored_regions(photos: StoredPhotos, row: int, projection: Mapping[str, np.ndarray]) -> Regions:
    """The regions of a stored photo as a model with this projection finds them."""
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
    """A pack on held-out photos.

    All photos against all their captions, and what it writes against what people wrote.

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
        """CIDEr of photos that count so many times each."""
        return float(weights @ self.cider / weights.sum())


def without_shared(
    scores: np.ndarray, photo_of: np.ndarray, captions: Sequence[Hashable]
) -> np.ndarray:
    """Scores in which a caption that several photos have is wrong for none of them.

    People say the same of many photos. Whether such a photo finds its own line or another's of the
    same words says nothing, and to count it as a mistake would hide what was learnt.

    Args:
        scores: (N, L), photos by captions.
        photo_of: (L,) the photo of each caption.
        captions: L, what they say.

    Returns:
        The scores, those of a photo with others' captions that it has as well below all.

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
    """Measure a pack on captioned photos.

    A caption that several photos have is right for each of them.

    Args:
        model: of a pack whose vision network gave the stored regions.
        photos: are not looked at again: before and after a teaching, vision is the same.
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
    """What is worse after than before, beyond noise; nothing if nothing is.

    Worse is the mean of the four recalls, or CIDEr, if the 95 % interval of its difference lies
    below 0 as a whole: by the bootstrap over the held-out photos, the same photos drawn for both.
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
