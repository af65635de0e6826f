"""Captions of a model, checked against the parts called by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regiontalk.alignment.score import pad, score_matrix
from regiontalk.captioning.attention import photo_contexts, without_regions
from regiontalk.captioning.captioner import Captioner
from regiontalk.errors import PackError
from regiontalk.language.tokenise import FUNCTION_WORDS
from regiontalk.model import Model, load
from regiontalk.pack import save_pack
from regiontalk.vision.boxes import distinct, distinct_rows

from ..tiny_pack import (
    WORDS,
    tiny_arrays,
    tiny_settings,
    tiny_vision_onnx,
    tiny_vocabulary,
)


def test_describe_is_the_best_of_the_beams(model: Model, photo_file: Path) -> None:
    regions = distinct(model.look(photo_file)[0])
    description = model.describe(photo_file)
    pack = model.pack
    photo = Captioner(pack.arrays["photo_captioner"], "gru").beam(
        without_regions(regions.features[:1]), 3, 8
    )[0][0]
    assert description.caption.text == " ".join(pack.vocabulary.decode(photo.ids))
    assert description.caption.log_prob == pytest.approx(photo.log_prob, abs=1e-4)
    region_captioner = Captioner(pack.arrays["region_captioner"], "gru")
    assert len(description.region_captions) == len(regions) - 1 > 0
    for number, caption in enumerate(description.region_captions, start=1):
        context = np.concatenate([regions.features[number], regions.features[0]])[None]
        best = region_captioner.beam(without_regions(context), 3, 5)[0][0]
        assert caption.text == " ".join(pack.vocabulary.decode(best.ids))
        assert caption.log_prob == pytest.approx(best.log_prob, abs=1e-4)


@pytest.mark.parametrize("kind", ["max", "sum", "mean"])
def test_a_pack_may_choose_captions_that_fit(
    tmp_path: Path, photo_files: list[Path], kind: str
) -> None:
    settings = tiny_settings(words_cell="gru")
    fitting = replace(settings.photo_captioner, rerank_weight=0.3)
    settings = replace(
        settings,
        alignment=replace(settings.alignment, score=kind),
        photo_captioner=fitting,
        region_captioner=replace(fitting, max_words=5, rerank_weight=0.7),
    )
    save_pack(
        tmp_path / "p", settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    )
    model = load(tmp_path / "p", threads=1)
    photo_captioner, region_captioner = (
        Captioner(model.pack.arrays[name], "gru")
        for name in ("photo_captioner", "region_captioner")
    )

    def best(
        captioner: Captioner, context: np.ndarray, seen: np.ndarray, words: int, weight: float
    ) -> str:
        found = captioner.beam(without_regions(context[None]), 3, words)[0]
        found = [each for each in found if each.finished] or found
        texts = [" ".join(model.pack.vocabulary.decode(each.ids)) for each in found]
        read = pad([each.vectors for each in model.read(texts)])
        scores = score_matrix(seen[None], np.array([len(seen)]), *read, kind=model.score_kind)[0]
        return texts[int(np.argmax([each.log_prob for each in found] + weight * scores))]

    chosen, likeliest = [], []
    for regions in model.look(photo_files):
        description = model.describe_regions([regions])[0]
        assert description.caption.text == best(
            photo_captioner, regions.features[0], distinct(regions).vectors, 8, 0.3
        )
        for row, caption in enumerate(description.region_captions, start=1):
            context = np.concatenate([regions.features[row], regions.features[0]])
            one = regions.vectors[row : row + 1]
            assert caption.text == best(region_captioner, context, one, 5, 0.7)
            chosen.append(caption.text)
            likeliest.append(best(region_captioner, context, one, 5, 0.0))
        assert (
            model.describe(regions).caption
            == model.caption([distinct(regions)])[0]
            == description.caption
        )
    assert chosen != likeliest  # the weight does something
    huge = replace(regions, vectors=np.full_like(regions.vectors, 1e38))
    with pytest.raises(PackError, match="have a product that is not finite"):
        model.caption([huge])


@pytest.fixture
def attending(tmp_path: Path) -> Model:
    """A model whose photo captioner attends to regions."""
    settings = tiny_settings(words_cell="gru")
    settings = replace(settings, photo_captioner=replace(settings.photo_captioner, attention=16))
    save_pack(
        tmp_path / "p", settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    )
    return load(tmp_path / "p", threads=1)


def test_each_word_of_a_caption_is_traced_to_a_region(
    attending: Model, photo_files: list[Path]
) -> None:
    captioner = Captioner(attending.pack.arrays["photo_captioner"], "gru")
    for regions in attending.look(photo_files):
        rows = distinct_rows(regions.boxes_xyxy, regions.scores)
        contexts = photo_contexts([distinct(regions)], attention=True)
        best = captioner.beam(contexts, 3, 8)[0][0]
        words = attending.pack.vocabulary.decode(best.ids)
        looks = captioner.looks(contexts, [best.ids])[0].argmax(axis=1)
        description = attending.describe(regions)
        assert description.caption.text == " ".join(words)
        assert description.caption.word_regions == tuple(
            None if word in FUNCTION_WORDS else int(region)
            for word, region in zip(words, looks, strict=True)
        )
        # Of all regions, of which the captioner sees the distinct ones
        (caption,) = attending.caption([regions])
        assert caption.text == description.caption.text
        for own, every in zip(description.caption.word_regions, caption.word_regions, strict=True):
            assert every == (None if own is None else rows[own])
        words_told = description.to_json()["caption"]["words"]
        assert [each["text"] for each in words_told] == words
        assert [each["region"] for each in words_told] == list(description.caption.word_regions)
        assert all(each.word_regions == () for each in description.region_captions)


def test_captions_of_several_photos_are_those_of_each(
    attending: Model, photo_files: list[Path]
) -> None:
    looked = [distinct(each) for each in attending.look(photo_files)]
    together = attending.caption(looked)
    for regions, caption in zip(looked, together, strict=True):
        (alone,) = attending.caption([regions])
        assert (alone.text, alone.word_regions) == (caption.text, caption.word_regions)


def test_a_temperature_draws_captions(model: Model, photo_file: Path) -> None:
    regions = distinct(model.look(photo_file)[0])
    drawn = model.describe_regions([regions] * 8, temperature=3.0)
    assert len({each.caption.text for each in drawn}) > 1
    assert all(len(each.region_captions) == len(regions) - 1 for each in drawn)
    # No region to caption
    alone = model.describe_regions([regions.select(np.array([0]))], temperature=1.0)
    assert alone[0].region_captions == ()
    with pytest.raises(ValueError, match="give one of the two"):
        model.describe_regions([regions], beam=2, temperature=1.0)
    with pytest.raises(ValueError, match="temperature must be above 0"):
        model.caption([regions], temperature=0.0)


def test_distinct_regions_are_sure_and_apart(model: Model, photo_file: Path) -> None:
    (regions,) = model.look(photo_file)
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [40, 40, 50, 50]])
    crowd = replace(
        regions,
        boxes_xyxy=np.concatenate([regions.boxes_xyxy[:1], boxes]),
        scores=np.float32([1, 0.5, 0.8, 0.3, 0.1]),
        features=np.arange(5, dtype=np.float32)[:, None],
        vectors=np.arange(5, dtype=np.float32)[:, None],
    )
    kept = distinct(crowd)
    assert kept.features[:, 0].tolist() == [0, 2, 3]  # 1 is much like 2, 4 is far less sure
    np.testing.assert_array_equal(kept.boxes_xyxy[1:], boxes[1:3])
    assert len(distinct(regions.select(np.array([0])))) == 1


def test_many_descriptions_are_one_at_a_time(model: Model, photo_files: list[Path]) -> None:
    regions = model.look(photo_files)
    for each, together in zip(regions, model.describe_regions(regions), strict=True):
        alone = model.describe_regions([each])[0]
        assert together.regions is each
        assert together.caption.log_prob == pytest.approx(alone.caption.log_prob, abs=1e-4)
        assert [c.text for c in together.region_captions] == [c.text for c in alone.region_captions]
    assert [d.caption for d in model.describe_regions(regions)] == model.caption(regions)


def test_captions_are_words_of_the_vocabulary(model: Model, photo_files: list[Path]) -> None:
    for description in model.describe_regions(model.look(photo_files)):
        for caption in (description.caption, *description.region_captions):
            assert set(caption.text.split()) <= set(WORDS)
            assert caption.log_prob < 0


def test_a_wider_beam_is_no_worse(model: Model, photo_file: Path) -> None:
    regions = model.look(photo_file)
    assert model.caption(regions, beam=20)[0].log_prob >= model.caption(regions, beam=1)[0].log_prob
    with pytest.raises(ValueError, match="beam must be at least 1, found 0"):
        model.describe(photo_file, beam=0)


def test_a_photo_without_proposals_is_still_described(tmp_path: Path, photo_file: Path) -> None:
    settings = tiny_settings()
    object.__setattr__(settings.vision, "proposals", 0)
    save_pack(
        tmp_path / "p", settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    )
    description = load(tmp_path / "p", threads=1).describe(photo_file)
    assert len(description.regions) == 1
    assert description.region_captions == ()
    assert description.caption.text
