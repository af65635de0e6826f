"""A tiny pack's captions of given boxes, measured.

Every number is computed once more, one box at a time.
"""

from __future__ import annotations

import json
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regiontalk.data import BoxedDataset, BoxedPhoto
from regiontalk.errors import ConfigError, DataError
from regiontalk.evaluation.captions.metric import NAMES, CorpusScores, caption_scores
from regiontalk.evaluation.regions import run as region_runs
from regiontalk.evaluation.regions.metric import DenseScores, NamedShares, named_shares
from regiontalk.evaluation.regions.run import (
    Dense,
    NamingResult,
    RegionCaptionResult,
    crop,
    evaluate_naming,
    evaluate_region_captions,
)
from regiontalk.language import tokenise
from regiontalk.model import Model
from regiontalk.photos import Photo, open_photo
from regiontalk.vision.session import BATCH

from ..conftest import SIZE

BOXES = np.array([[0, 0, 40.5, 40], [30, 10, 64, 48], [5, 5, 5.2, 5.2]], np.float32)
CAPTIONS = (("a brown dog", "the dog runs"), ("Two people.",), ("snow", "white snow", "the snow"))


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """Java takes seconds to start, and `test_java` tests METEOR."""
    monkeypatch.setattr(region_runs, "meteor_is_installed", lambda: False)


def captioned(files: list[Path]) -> BoxedDataset:
    photos = [
        BoxedPhoto(file, *SIZE, BOXES[: row % 4], CAPTIONS[: row % 4])
        for row, file in enumerate(files[:10])
    ]
    return BoxedDataset("regions", "test", "captions", tuple(photos))


def labelled(files: list[Path]) -> BoxedDataset:
    labels = (("dog",), ("person",), ("person",))
    photos = [
        BoxedPhoto(file, *SIZE, BOXES[: row % 4], labels[: row % 4])
        for row, file in enumerate(files[:10])
    ]
    return BoxedDataset("boxes", "all", "labels", tuple(photos))


def region_words(model: Model, photo: BoxedPhoto) -> list[list[str]]:
    found = []
    for box in photo.boxes_xyxy:
        (described,) = model.describe_regions(model.look(photo.file, [box[None]]))
        found.append(tokenise(described.region_captions[0].text))
    return found


def crop_words(model: Model, photo: BoxedPhoto) -> list[list[str]]:
    found = []
    with Image.open(photo.file) as image:
        for left, top, right, bottom in photo.boxes_xyxy:
            edges = int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))
            (caption,) = model.caption(model.look(image.crop(edges)))
            found.append(tokenise(caption.text))
    return found


def test_naming(model: Model, files: list[Path]) -> None:
    dataset = labelled(files)
    found = evaluate_naming(model, dataset)
    labels = [label for photo in dataset.photos for (label,) in photo.texts]
    for key, words in (("region", region_words), ("full_frame_on_crop", crop_words)):
        expected = named_shares(
            [each for photo in dataset.photos for each in words(model, photo)], labels
        )
        assert getattr(found, key) == expected
    assert found.boxes_by_class == {"dog": 7, "person": 6}
    assert found.full_frame_on_crop.micro == 0
    assert (
        found.times_full_frame is None and "times_full_frame" not in found.to_json()
    )  # twice nothing is nothing
    assert found.signature["region"] == {"beam": 3, "max_words": 5, "length_normalisation": 0.0}
    assert evaluate_naming(model, dataset, beam=1).signature["full_frame"]["beam"] == 1


def test_the_ratio_to_the_full_frame_captioner(model: Model, files: list[Path]) -> None:
    photos = [BoxedPhoto(file, *SIZE, BOXES[:1], (("dog",),)) for file in files]
    # Each crop's caption names its class then
    said = [crop_words(model, photo)[0][-1] for photo in photos]
    photos = [
        BoxedPhoto(file, *SIZE, BOXES[:1], ((word,),))
        for file, word in zip(files, said, strict=True)
    ]
    found = evaluate_naming(model, BoxedDataset("boxes", "all", "labels", tuple(photos)))
    assert found.full_frame_on_crop.micro == 100
    assert found.times_full_frame == pytest.approx(found.region.micro / 100, abs=1e-3)


def test_captions_against_captions(model: Model, files: list[Path]) -> None:
    dataset = captioned(files)
    found = evaluate_region_captions(model, dataset)
    truths = [
        [tokenise(text) for text in texts] for photo in dataset.photos for texts in photo.texts
    ]
    for key, words in (("region", region_words), ("full_frame_on_crop", crop_words)):
        expected = caption_scores(
            [each for photo in dataset.photos for each in words(model, photo)], truths
        ).by_name()
        assert getattr(found, key).by_name() == pytest.approx(expected)
    several = [texts for texts in truths if len(texts) > 1]
    human = caption_scores(
        [texts[0] for texts in several], [texts[1:] for texts in several]
    ).by_name()
    assert found.human is not None and found.human.by_name() == pytest.approx(human)
    assert list(found.to_json()) == ["region", "full_frame_on_crop", "human", "signature"]
    assert found.signature["captions"] == sum(map(len, truths))
    assert found.signature["boxes_with_several_captions"] == len(several)


def test_meteor_stands_beside_where_it_is_installed(
    model: Model, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_runs, "meteor_is_installed", lambda: True)
    monkeypatch.setattr(
        region_runs, "meteor", lambda candidates, references: (len(candidates) / 1000, None)
    )
    found = evaluate_region_captions(model, captioned(files))
    expected = {"meteor": pytest.approx(1.3)}
    assert found.region.java_metrics == found.full_frame_on_crop.java_metrics == expected
    assert found.human is not None and found.human.java_metrics == {"meteor": pytest.approx(0.9)}


def test_the_nearest_neighbour_lends_its_first_caption(
    model: Model, files: list[Path], tmp_path: Path
) -> None:
    dataset = captioned(files)
    copies = captioned([Path(shutil.copy(file, tmp_path)) for file in files])
    found = evaluate_region_captions(model, dataset, neighbours=copies)  # each box finds its copy
    truths = [
        [tokenise(text) for text in texts] for photo in dataset.photos for texts in photo.texts
    ]
    assert found.nearest_neighbour == caption_scores([t[0] for t in truths], truths)
    assert found.nearest_neighbour.bleu1 == pytest.approx(100)
    assert found.signature["nearest_neighbour"] == "regions, test"


def test_dense_captioning_is_signed(model: Model, files: list[Path]) -> None:
    found = evaluate_region_captions(
        model, captioned(files), dense=Dense("all alike", lambda c, r: [1.0] * len(c))
    )
    assert found.dense_captioning is not None
    assert 0 < found.dense_captioning.map <= found.dense_captioning.detection_map <= 100
    assert "similarity all alike" in found.signature["dense_captioning"]


def test_results_to_json() -> None:
    """Rounded to four digits, in this order, without what there is not."""
    shares = NamedShares(200 / 3, 50, 0, {"dog": 200 / 3}, 7, 4.5)
    none = NamedShares(0, 0, 0, {"dog": 0}, 7, 4.5)
    naming = NamingResult(shares, shares, {"dog": 3}, {"beam": 7}).to_json()
    printed = (
        '{"micro": 66.6667, "macro": 50, "another": 0, "by_class": {"dog": 66.6667}, '
        '"distinct_words": 7, "mean_words": 4.5}'
    )
    assert json.dumps(naming) == (
        f'{{"region": {printed}, "full_frame_on_crop": {printed}, "times_full_frame": 1.0, '
        '"boxes_by_class": {"dog": 3}, "signature": {"beam": 7}}'
    )
    assert NamingResult(shares, none, {"dog": 3}, {}).times_full_frame is None
    scores = CorpusScores(*[100 / 3] * 8, java_metrics={"meteor": 200 / 3})
    dense = DenseScores(5.12345, 20)
    result = RegionCaptionResult(scores, scores, None, scores, dense, {"beam": 7})
    found = dict.fromkeys(NAMES, 33.3333) | {"meteor": 66.6667}
    assert json.dumps(result.to_json()) == json.dumps(
        {
            "region": found,
            "full_frame_on_crop": found,
            "human": found,
            "dense_captioning": {"map": 5.1235, "detection_map": 20},
            "signature": {"beam": 7},
        }
    )


def test_wrong_data(model: Model, files: list[Path]) -> None:
    with pytest.raises(DataError, match="boxes have no classes"):
        evaluate_naming(model, captioned(files))
    with pytest.raises(DataError, match="boxes have no captions"):
        evaluate_region_captions(model, labelled(files))
    with pytest.raises(DataError, match="no captions to lend"):
        evaluate_region_captions(model, captioned(files), neighbours=labelled(files))
    with pytest.raises(
        ConfigError, match=r"1 of the photos are among .* \(03\.png\): they would find themselves"
    ):
        evaluate_region_captions(model, captioned(files), neighbours=captioned(files[3:4] * 4))
    with pytest.raises(DataError, match="no photo has a box"):
        evaluate_naming(model, labelled(files[:1]))
    first = labelled(files).photos[1]
    other = BoxedPhoto(first.file, 99, 48, first.boxes_xyxy, first.texts)
    with pytest.raises(DataError, match="expected a photo of 99 x 48"):
        evaluate_naming(model, BoxedDataset("boxes", "all", "labels", (other,)))


def test_a_few_crops_are_in_memory_at_a_time(
    model: Model, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = BoxedPhoto(files[0], *SIZE, np.tile(BOXES, (2 * BATCH, 1)), CAPTIONS * (2 * BATCH))
    crops: list[weakref.ref[Photo]] = []

    def watched(photo: Photo, box: np.ndarray) -> Photo:
        assert sum(each() is not None for each in crops) < BATCH
        found = crop(photo, box)
        crops.append(weakref.ref(found))
        return found

    monkeypatch.setattr(region_runs, "crop", watched)
    assert region_runs._caption_crops(model, photo, None) == crop_words(model, photo)
    assert len(crops) == 6 * BATCH


def test_crops_hold_every_pixel_that_the_box_touches(files: list[Path]) -> None:
    photo = open_photo(files[0])
    assert crop(photo, np.array([1.2, 2.0, 3.1, 4.0])).image.size == (3, 2)
    tiny = crop(photo, np.array([5.0, 5.0, 5.0, 5.0]))
    assert (tiny.width, tiny.height) == (1, 1)
    assert tiny.image.getpixel((0, 0)) == photo.image.getpixel((5, 5))
    assert str(files[0]) in tiny.file
