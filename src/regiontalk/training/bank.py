"""Training photos as a pack sees them, and the bank that is made of some (`regiontalk.alignment.hubness`).

A bank's photos are some of those that the alignment was trained on; its sentences are what the photo captioner draws
for them, so that no pack passes on what people wrote.

Axis names: N photos and R regions, L sentences and P words; h dimensions of the shared space, D of the visual features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from regiontalk.captioning.captioner import Captioner
from regiontalk.data import Dataset, RegionStore
from regiontalk.language import tokenise
from regiontalk.language.reader import WordsReader
from regiontalk.model import distinct
from regiontalk.settings import BankSettings, PackSettings
from regiontalk.structures import WHOLE_PHOTO, Regions

SEED = 0
"""Of the choice of photos and of what is drawn for them."""


@dataclass(frozen=True)
class SeenPhotos:
    """Training photos as a pack sees them.

    Attributes:
        dataset: the photos with their captions.
        store: their regions.
        rows: (N,) which of them; None for all.
    """

    dataset: Dataset
    store: RegionStore
    rows: np.ndarray | None = None

    def some(self, photos: int) -> SeenPhotos:
        """So many of all photos at random, always the same; all if there are fewer."""
        rows = np.random.default_rng(SEED).permutation(len(self.dataset))[:photos]
        return replace(self, rows=np.sort(rows))

    def captions(self) -> list[list[str]]:
        """The words of their captions; of captions without a word none."""
        photos = self.dataset.photos
        texts = [text for row in self._chosen() for text in photos[row].captions]
        return [words for words in map(tokenise, texts) if words]

    def regions(self, projection: Mapping[str, np.ndarray]) -> list[Regions]:
        """Their regions, as `Model.look` finds them.

        Args:
            projection: `W_m` (D, h) and `b_m` (h,).
        """
        return [self._regions(row, projection) for row in self._chosen()]

    def _chosen(self) -> list[int]:
        return list(range(len(self.dataset))) if self.rows is None else self.rows.tolist()

    def _regions(self, row: int, projection: Mapping[str, np.ndarray]) -> Regions:
        store, count = self.store, int(self.store.counts[row])
        width, height = (int(side) for side in store.sizes[row])
        features = np.asarray(store.features[row, :count], np.float32)
        vectors = features @ projection["W_m"] + projection["b_m"]
        boxes, scores = np.array(store.boxes[row, :count]), np.array(store.scores[row, :count])
        return Regions(f"photo {row}", width, height, boxes, scores, features, vectors)


def make_bank(
    photos: SeenPhotos,
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    settings: PackSettings,
    temperature: float,
    weight: float,
) -> tuple[BankSettings, dict[str, np.ndarray]]:
    """A bank of some photos' distinct regions, and of a sentence drawn for each; and what a pack says about it.

    Args:
        photos: N of them.
        arrays, settings: of the pack.
        temperature, weight: τ and λ.
    """
    seen = photos.regions(arrays["projection"])
    captioner = Captioner(arrays["photo_captioner"], settings.photo_captioner.cell)
    whole = np.stack([each.features[WHOLE_PHOTO] for each in seen])  # (N, D)
    drawn = captioner.sample(whole, 1.0, np.random.default_rng(SEED), settings.photo_captioner.max_words)
    reader = WordsReader(arrays["words"], settings.words.cell)
    said = reader.read([np.array(each.ids, np.int64) for each in drawn])
    regions = [distinct(each).vectors for each in seen]
    tensors = {
        "regions": np.concatenate(regions),
        "region_counts": np.array([len(each) for each in regions]),
        "words": np.concatenate(said),
        "word_counts": np.array([len(each) for each in said]),
    }
    sizes = {"photos": len(regions), "regions": len(tensors["regions"])}
    sizes |= {"sentences": len(said), "words": len(tensors["words"])}
    return BankSettings(**sizes, temperature=temperature, weight=weight), tensors
