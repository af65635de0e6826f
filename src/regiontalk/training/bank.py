"""The bank of a pack: what competing photos and sentences are held against (`regiontalk.alignment.hubness`).

Its photos are some of those that the pack was trained on; its sentences are what the photo captioner draws for them, so
that no pack passes on what people wrote.

Axis names: N photos and R regions, L sentences and P words of the bank; h dimensions of the shared space, D of the
visual features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from regiontalk.captioning.captioner import Captioner
from regiontalk.captioning.contexts import photo_contexts
from regiontalk.language.reader import WordsReader
from regiontalk.model import distinct
from regiontalk.photos import PhotoSource, open_photo
from regiontalk.settings import BankSettings, PackSettings, VisionSettings
from regiontalk.structures import Regions
from regiontalk.training.loop import progress_bar
from regiontalk.vision.session import BATCH, VisionSession

SEED = 0
"""Of the choice of photos and of what is drawn for them."""

Item = TypeVar("Item")


def some(items: Sequence[Item], count: int) -> list[Item]:
    """So many at random, in order, always the same; all if there are fewer."""
    return [items[row] for row in np.sort(np.random.default_rng(SEED).permutation(len(items))[:count])]


def look_at_photos(
    graph: bytes,
    settings: VisionSettings,
    projection: Mapping[str, np.ndarray],
    photos: Sequence[PhotoSource],
    max_pixels: int | None = None,
) -> list[Regions]:
    """The regions of photos as `Model.look` finds them, before there is a pack.

    Args:
        graph, settings: of the vision network.
        projection: `W_m` (D, h) and `b_m` (h,).
        photos: files, or arrays (H, W, 3) uint8.
        max_pixels: see `open_photo`.

    Raises:
        PhotoError: if a photo is broken.
    """
    session, found = VisionSession(graph, projection, settings), list[Regions]()
    with progress_bar() as progress:
        bar = progress.add_task("looking at training photos", total=len(photos))
        for start in range(0, len(photos), BATCH):
            batch = photos[start : start + BATCH]
            found += session.look([open_photo(each, max_pixels=max_pixels, min_side=settings.size) for each in batch])
            progress.update(bar, completed=len(found))
    return found


def make_bank(
    seen: Sequence[Regions],
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    settings: PackSettings,
    temperature: float,
    weight: float,
) -> tuple[BankSettings, dict[str, np.ndarray]]:
    """A bank of some photos' distinct regions, and of a sentence drawn for each; and what a pack says about it.

    Args:
        seen: N photos.
        arrays, settings: of the pack.
        temperature, weight: τ and λ.
    """
    captioner = Captioner(arrays["photo_captioner"], settings.photo_captioner.cell)
    clear = [distinct(each) for each in seen]
    contexts = photo_contexts(clear, captioner.attention)
    drawn = captioner.sample(contexts, 1.0, np.random.default_rng(SEED), settings.photo_captioner.max_words)
    reader = WordsReader(arrays["words"], settings.words.cell)
    said = reader.read([np.array(each.ids, np.int64) for each in drawn])
    regions = [each.vectors for each in clear]
    tensors = {
        "regions": np.concatenate(regions),
        "region_counts": np.array([len(each) for each in regions]),
        "words": np.concatenate(said),
        "word_counts": np.array([len(each) for each in said]),
    }
    sizes = {"photos": len(regions), "regions": len(tensors["regions"])}
    sizes |= {"sentences": len(said), "words": len(tensors["words"])}
    return BankSettings(**sizes, temperature=temperature, weight=weight), tensors
