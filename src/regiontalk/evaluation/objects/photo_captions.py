"""Captions of photos with boxes, from a file of any known format or from a model.

There may be several a photo. A captioner with attention traces a word to a region
(`Caption.word_regions`). Class words for objects on the photo are then scored by the pointing game
of `regiontalk.evaluation.grounding.metric`, beside its baselines: a word is right if its region's
centre lies inside a box of its class, and wrong if it has no region.

Axis names: B true boxes, M regions, T words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from regiontalk.data import BoxedDataset, Selection
from regiontalk.data.boxes import LEAVE_OUT
from regiontalk.data.captions import Problems
from regiontalk.data.predictions import PhotoNames, read_predictions
from regiontalk.errors import DataError
from regiontalk.evaluation.captions.files import captions_sha256
from regiontalk.evaluation.captions.run import caption_photos
from regiontalk.evaluation.class_words import Mention
from regiontalk.evaluation.grounding.metric import METHODS, Query, grounding, times_best_baseline
from regiontalk.evaluation.looking import check_size
from regiontalk.evaluation.results import SILENT, Progress
from regiontalk.evaluation.signature import box_signature
from regiontalk.model import Model
from regiontalk.structures import Caption, Regions

_SEEN = "unknown: the captions come from a file"


@dataclass(frozen=True, eq=False)
class TracedCaption:
    """A caption's words with the regions that they are traced to.

    Attributes:
        word_regions: T rows of `boxes`; None for words that name nothing.
        boxes: (M, 4) xyxy in pixels, the whole photo first.
        scores: (M,) objectness of each.
    """

    word_regions: tuple[int | None, ...]
    boxes: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, caption: Caption, regions: Regions) -> TracedCaption:
        """From a caption of a photo with these regions."""
        return cls(caption.word_regions, regions.boxes_xyxy, regions.scores)

    def query(self, mention: Mention, label: str, truth: np.ndarray, photo: int) -> Query:
        """Pointing query of a mention's last word, the noun, against the true boxes (B, 4)."""
        scores, region = np.zeros(len(self.boxes)), self.word_regions[mention.end - 1]
        if region is not None:  # else all scores tie, and ties count as wrong
            scores[region] = 1.0
        return Query(label, truth, self.boxes, scores, self.scores, photo=photo)


@dataclass(frozen=True)
class PhotoCaptions:
    """Captions of photos and their origin.

    Attributes:
        captions: of each photo one or more, by `BoxedPhoto.name`; photos may be missing.
        signature: of the captions' origin.
        source: the file or folder, for messages.
        traced: by `BoxedPhoto.name`, if a captioner with attention wrote the captions.
    """

    captions: Mapping[str, Sequence[str]] = field(repr=False)
    signature: Mapping[str, Any]
    source: Path
    traced: Mapping[str, TracedCaption] = field(default_factory=dict, repr=False)


def read_photo_captions(
    path: Path, dataset: BoxedDataset, source: Path, listed: Sequence[str] | None = None
) -> PhotoCaptions:
    """Reads captions of a dataset's photos; those of other photos are skipped and counted.

    Args:
        path: a file in any known format, a folder of captioned photos, or plain text, a caption a
            line.
        dataset: the photos, matched by name, alias (COCO's id), path below `source`, or bare file
            name.
        source: the file or folder that `dataset` was read from.
        listed: the photos of the lines of plain text.

    Raises:
        DataError: if the file is damaged, a name matches several photos, or several names match
            one.
    """
    aliases: dict[str, list[str]] = {}
    for photo in dataset.photos:
        for alias in photo.names[1:]:
            aliases.setdefault(alias, []).append(photo.name)
    photos = PhotoNames(source, (photo.name for photo in dataset.photos), aliases)
    known = {photo.name for photo in dataset.photos}
    captions: dict[str, list[str]] = {}
    called: dict[str, set[str]] = {}
    of_others = 0
    for given, caption in read_predictions(path, listed):
        name = photos.named(given)
        if name in known:
            captions.setdefault(name, []).append(caption)
            called.setdefault(name, set()).add(given)
        else:
            of_others += 1
    problems = Problems(path)
    problems.add(f"names that fit several photos of {source}", photos.ambiguous)
    several = [
        f"{name}: {' and '.join(sorted(given))}" for name, given in called.items() if len(given) > 1
    ]
    problems.add(f"photos of {source} that several names fit", several)
    problems.raise_if_any("or name these photos as the boxes do")
    signature = {
        "captions_from": path.name,
        "captions_sha256": captions_sha256(path),
        "captions_of_other_photos": of_others,
        "seen_in_training": _SEEN,
    }
    return PhotoCaptions(captions, signature, path)


def write_photo_captions(
    model: Model,
    dataset: BoxedDataset,
    beam: int | None = None,
    selection: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> PhotoCaptions:
    """Captions of a dataset's photos by a model, one each.

    Args:
        model: writes them.
        dataset: the photos.
        beam: beam width; None for the pack's.
        selection: how the photos were chosen, for the signature.

    Raises:
        PhotoError: if a photo is broken. None is left out: the numbers would be of another dataset.
    """
    captions, traced = {}, {}
    written = caption_photos(model, dataset.files, beam, progress)
    for photo, (caption, regions) in zip(dataset.photos, written, strict=True):
        check_size(photo, regions)
        captions[photo.name] = [caption.text]
        if caption.word_regions:
            traced[photo.name] = TracedCaption.of(caption, regions)
    signature = box_signature(model, dataset, selection or {}, progress)
    signature |= model.pack.settings.photo_captioner.search(beam)
    return PhotoCaptions(captions, signature, Path(model.pack.folder), traced)


def with_captions(
    dataset: BoxedDataset, captions: Sequence[PhotoCaptions], selection: Selection
) -> BoxedDataset:
    """Restricts a dataset to photos with a caption from every source.

    Photos without one are left out and counted, or refused.

    Args:
        selection: its `leave_out` decides.

    Raises:
        DataError: if they are refused, or no photo is left.
    """
    photos, left_out = dataset.photos, dict(dataset.left_out)
    for each in captions:
        problems = Problems(each.source)
        bare = [photo.name for photo in photos if photo.name not in each.captions]
        problems.add("photos without a caption", bare)
        if not selection.leave_out:
            problems.raise_if_any(LEAVE_OUT)
        photos = tuple(photo for photo in photos if photo.name in each.captions)
        if not photos:
            raise DataError(
                f"{each.source}: has no caption of a photo of {dataset.name}; "
                "are they the same photos?"
            )
        if bare:
            left_out[f"photos without a caption in {each.source.name}"] = len(bare)
    return replace(dataset, photos=photos, left_out=left_out)


def traced_scores(queries: Sequence[Query]) -> dict[str, Any]:
    """Pointing accuracy of traced words and of baselines, in percent.

    Returns:
        `{"words", "micro": {method: percent}, "macro": {method: percent}, "times_best_baseline"}`,
        the latter of micro, missing if every baseline has 0; only `words`, 0, if there is no query.
    """
    if not queries:
        return {"words": 0}
    found = grounding(queries)
    tables = {
        way: {method: getattr(table, method).pointing for method in METHODS}
        for way, table in (("micro", found.micro), ("macro", found.macro))
    }
    times = times_best_baseline(found.micro)
    ratio = {} if times is None else {"times_best_baseline": times}
    return {"words": len(queries), **tables, **ratio}
