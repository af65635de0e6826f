"""Evaluation of a model's captions of given boxes, against people's captions or class names.

The region captioner is compared with the photo captioner on crops of the boxes, as in the paper,
Table 3. Axis names: K boxes of a photo, D dimensions of the features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, floor
from typing import Any

import numpy as np

from regiontalk.data import BoxedDataset, BoxedPhoto
from regiontalk.errors import ConfigError, DataError
from regiontalk.evaluation.captions.java import NEEDS, meteor, meteor_is_installed, meteor_note
from regiontalk.evaluation.captions.metric import CorpusScores, caption_scores, rouge_l
from regiontalk.evaluation.captions.run import nearest, refuse_shared
from regiontalk.evaluation.looking import CLASSES, boxed_regions
from regiontalk.evaluation.regions.metric import (
    DenseScores,
    Described,
    NamedShares,
    Similarity,
    dense_captioning,
    named_shares,
)
from regiontalk.evaluation.results import SILENT, Progress, printed
from regiontalk.evaluation.signature import box_signature
from regiontalk.language import tokenise
from regiontalk.model import Model
from regiontalk.photos import Photo, open_photo
from regiontalk.structures import WHOLE_PHOTO, Regions
from regiontalk.vision.boxes import distinct
from regiontalk.vision.session import BATCH

SIMILARITIES = ("meteor", "rouge_l")
"""Names of similarities of captions."""

CAPTIONS = "captions; give Visual Genome's region descriptions or JSON Lines of boxes"
"""What is missing where boxes have no captions."""

Texts = list[list[str]]
"""Tokenised captions."""


@dataclass(frozen=True)
class Dense:
    """Settings of dense captioning: name and function of the captions' similarity."""

    name: str
    similarity: Similarity

    @property
    def how(self) -> str:
        """For the signature."""
        return f"thresholds of Johnson et al. 2016, similarity {self.name}, surest box first"


@dataclass(frozen=True, slots=True)
class NamingResult:
    """Shares of boxes whose captions name their class, with a signature.

    Attributes:
        region: by the region captioner.
        full_frame_on_crop: by the photo captioner on the crop of each box.
        boxes_by_class: number of boxes of each class.
        signature: settings and origin of the numbers.
    """

    region: NamedShares
    full_frame_on_crop: NamedShares
    boxes_by_class: Mapping[str, int]
    signature: Mapping[str, Any]

    @property
    def times_full_frame(self) -> float | None:
        """Ratio of the micro shares; None if the full-frame captioner never names a class."""
        full_frame = self.full_frame_on_crop.micro
        return self.region.micro / full_frame if full_frame else None

    def to_json(self) -> dict[str, Any]:
        """As printed."""
        return printed(
            self.signature,
            region=asdict(self.region),
            full_frame_on_crop=asdict(self.full_frame_on_crop),
            times_full_frame=self.times_full_frame,
            boxes_by_class=dict(self.boxes_by_class),
        )


@dataclass(frozen=True, slots=True)
class RegionCaptionResult:
    """Scores of captions of boxes against people's captions, with a signature.

    In percent, with METEOR where it is installed.

    Attributes:
        region: of the region captioner.
        full_frame_on_crop: of the photo captioner on the crop of each box.
        nearest_neighbour: of the baseline; None if it was not asked for.
        human: of each box's first caption against its others, on the boxes that have some; None if
            none has.
        dense_captioning: on the model's own boxes; None if it was not asked for.
        signature: settings and origin of the numbers.
    """

    region: CorpusScores
    full_frame_on_crop: CorpusScores
    nearest_neighbour: CorpusScores | None
    human: CorpusScores | None
    dense_captioning: DenseScores | None
    signature: Mapping[str, Any]

    def systems(self) -> dict[str, CorpusScores]:
        """The available scores, by name."""
        found = {
            "region": self.region,
            "full_frame_on_crop": self.full_frame_on_crop,
            "nearest_neighbour": self.nearest_neighbour,
            "human": self.human,
        }
        return {name: scores for name, scores in found.items() if scores is not None}

    def to_json(self) -> dict[str, Any]:
        """As printed."""
        numbers = {name: scores.by_name() for name, scores in self.systems().items()}
        dense = None if self.dense_captioning is None else asdict(self.dense_captioning)
        return printed(self.signature, **numbers, dense_captioning=dense)


def find_similarity(name: str) -> Similarity:
    """The caption similarity of a name, in 0..1.

    Raises:
        ConfigError: if the name is unknown, or what it needs is not installed.
    """
    if name == "rouge_l":
        return rouge_l
    if name != "meteor":
        raise ConfigError(f"--similarity {name}: expected one of {', '.join(SIMILARITIES)}")
    if not meteor_is_installed():
        raise ConfigError(
            f"--similarity meteor: METEOR {NEEDS}. Without them ask for another by its name, such "
            "as --similarity rouge_l: its numbers are not those of other people's dense captioning"
        )
    return lambda candidates, references: meteor(candidates, references)[1]


def evaluate_naming(
    model: Model,
    dataset: BoxedDataset,
    beam: int | None = None,
    selection: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> NamingResult:
    """Caption every box and measure how often captions name the box's class, or a listed synonym.

    Args:
        model: writes the captions.
        dataset: photos with the names of classes on their boxes.
        beam: beam width; None for the pack's.
        selection: how the photos were chosen, for the signature.

    Raises:
        DataError: if the dataset has no box or no classes, or a photo is not of the size its boxes
            were drawn on.
        PhotoError: if a photo is broken. None is left out: the numbers would be of another dataset.
    """
    _require(dataset, "labels", CLASSES)
    written = list(_describe(model, dataset, beam, progress))
    labels = [texts[0] for photo in dataset.photos for texts in photo.texts]
    region = named_shares([words for each in written for words in each.region], labels)
    full_frame = named_shares([words for each in written for words in each.crop], labels)
    counts = {label: labels.count(label) for label in sorted(set(labels))}
    signature = box_signature(model, dataset, selection or {}, progress) | _search(model, beam)
    return NamingResult(region, full_frame, counts, signature)


def evaluate_region_captions(
    model: Model,
    dataset: BoxedDataset,
    beam: int | None = None,
    neighbours: BoxedDataset | None = None,
    dense: Dense | None = None,
    selection: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> RegionCaptionResult:
    """Caption every box and score against people's captions (the paper's Table 3).

    Args:
        dataset: photos with captions on their boxes.
        beam: hypotheses kept in the search; None for the pack's.
        neighbours: other photos with captions on their boxes, none of `dataset`; each box of
            `dataset` gets the first caption of the nearest of theirs (L2 of CNN(I_b)) as a
            baseline.
        dense: measure dense captioning too, on the model's own boxes.
        selection, progress: as in `evaluate_naming`.

    Raises:
        DataError, PhotoError: as in `evaluate_naming`.
        ConfigError: if `neighbours` shares a photo with `dataset`.
    """
    _require(dataset, "captions", CAPTIONS)
    if neighbours is not None:
        _require(neighbours, "captions", "captions to lend")
        asked, lending = ([photo.file for photo in each.photos] for each in (dataset, neighbours))
        refuse_shared(asked, lending, "Give --neighbours others")
    written = list(_describe(model, dataset, beam, progress))
    truths = [list(map(tokenise, texts)) for photo in dataset.photos for texts in photo.texts]
    several = [texts for texts in truths if len(texts) > 1]
    lender = None if neighbours is None else f"{neighbours.name}, {neighbours.split}"
    how: dict[str, Any] = _search(model, beam) | {
        "captions": sum(map(len, truths)),
        "meteor": meteor_note(),
        "boxes_with_several_captions": len(several),
        "nearest_neighbour": lender,
    }
    lent = None if neighbours is None else _lend(model, written, neighbours, progress)
    found = None
    if dense is not None:
        described = list(_find_and_describe(model, dataset, beam, progress))
        found = dense_captioning(described, dense.similarity)
        how["dense_captioning"] = dense.how
    return RegionCaptionResult(
        region=_scores([words for each in written for words in each.region], truths),
        full_frame_on_crop=_scores([words for each in written for words in each.crop], truths),
        nearest_neighbour=None if lent is None else _scores(lent, truths),
        human=_scores([texts[0] for texts in several], [texts[1:] for texts in several])
        if several
        else None,
        dense_captioning=found,
        signature=box_signature(model, dataset, selection or {}, progress) | how,
    )


def _scores(candidates: Texts, references: Sequence[Texts]) -> CorpusScores:
    found = caption_scores(candidates, references)
    if meteor_is_installed():
        found = replace(found, java_metrics={"meteor": 100 * meteor(candidates, references)[0]})
    return found


@dataclass(frozen=True, eq=False)
class _Written:
    """Captions of one photo's K boxes by both captioners, and features (K, D)."""

    region: Texts
    crop: Texts
    features: np.ndarray


def _describe(
    model: Model, dataset: BoxedDataset, beam: int | None, progress: Progress
) -> Iterator[_Written]:
    """Captions of the given boxes, photo by photo."""
    for batch, looked in boxed_regions(model, dataset.photos, progress, given=True):
        for photo, described in zip(batch, model.describe_regions(looked, beam), strict=True):
            region = [tokenise(caption.text) for caption in described.region_captions]
            yield _Written(region, _caption_crops(model, photo, beam), _features(described.regions))


def _caption_crops(model: Model, photo: BoxedPhoto, beam: int | None) -> Texts:
    """Captions of the boxes' crops as photos, in batches, as each may be a whole photo."""
    if not len(photo.boxes_xyxy):
        return []
    opened, looked = open_photo(photo.file, max_pixels=model.max_pixels), list[Regions]()
    for start in range(0, len(photo.boxes_xyxy), BATCH):
        looked += model.look([crop(opened, box) for box in photo.boxes_xyxy[start : start + BATCH]])
    return [tokenise(caption.text) for caption in model.caption(looked, beam)]


def crop(photo: Photo, box: np.ndarray) -> Photo:
    """The pixels that a box (4,) inside the photo touches, as a photo of its own."""
    left, top = (floor(edge) for edge in box[:2])
    right, bottom = (
        max(ceil(edge), least + 1) for edge, least in zip(box[2:], (left, top), strict=True)
    )
    image = photo.image.crop((left, top, right, bottom))
    return Photo(
        f"{photo.file} [{left}, {top}, {right}, {bottom}]", image.width, image.height, image
    )


def _lend(
    model: Model, written: Sequence[_Written], neighbours: BoxedDataset, progress: Progress
) -> Texts:
    """For each box the first caption of the nearest box of other photos."""
    features, captions = list[np.ndarray](), list[str]()
    for batch, looked in boxed_regions(model, neighbours.photos, progress, given=True):
        features += map(_features, looked)
        captions += [texts[0] for photo in batch for texts in photo.texts]
    rows = nearest(np.concatenate([each.features for each in written]), np.concatenate(features))
    return [tokenise(captions[row]) for row in rows]


def _find_and_describe(
    model: Model, dataset: BoxedDataset, beam: int | None, progress: Progress
) -> Iterator[Described]:
    """The model's own distinct boxes, as `regiontalk describe` shows them, and the true ones."""
    for batch, looked in boxed_regions(model, dataset.photos, progress):
        found = [distinct(each) for each in looked]
        for photo, described in zip(batch, model.describe_regions(found, beam), strict=True):
            yield Described(
                boxes=np.delete(described.regions.boxes_xyxy, WHOLE_PHOTO, axis=0),
                confidence=np.delete(described.regions.scores, WHOLE_PHOTO),
                captions=[tokenise(caption.text) for caption in described.region_captions],
                true_boxes=photo.boxes_xyxy,
                true_captions=[[tokenise(text) for text in texts] for texts in photo.texts],
            )


def _features(regions: Regions) -> np.ndarray:
    """Features of all regions but the whole photo, (K, D)."""
    return np.delete(regions.features, WHOLE_PHOTO, axis=0)


def _require(dataset: BoxedDataset, kind: str, wanted: str) -> None:
    if dataset.kind != kind:
        raise DataError(f"{dataset.name}: its boxes have no {wanted}")
    if not any(len(photo.boxes_xyxy) for photo in dataset.photos):
        raise DataError(f"{dataset.name}: no photo has a box")


def _search(model: Model, beam: int | None) -> dict[str, Any]:
    """Search settings of both captioners."""
    settings = model.pack.settings
    return {
        "region": settings.region_captioner.search(beam),
        "full_frame": settings.photo_captioner.search(beam),
    }
