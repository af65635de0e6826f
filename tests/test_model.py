"""The model joins the parts: each answer is checked against the parts called by hand."""

from __future__ import annotations

import shutil
import tracemalloc
import weakref
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

import regiontalk
from regiontalk.alignment.mrf import align, viterbi
from regiontalk.alignment.score import Kind, pad, score_matrix
from regiontalk.captioning.attention import photo_contexts, without_regions
from regiontalk.captioning.captioner import Captioner
from regiontalk.errors import ConfigError, PackError, PhotoError, SentenceError
from regiontalk.language.reader import WordsReader
from regiontalk.language.tokenise import FUNCTION_WORDS
from regiontalk.model import Model, load
from regiontalk.pack import Pack, save_pack
from regiontalk.photos import Photo, open_photo
from regiontalk.settings import AlignmentSettings
from regiontalk.structures import Regions, Sentence
from regiontalk.vision.boxes import distinct, distinct_rows

from .tiny_pack import (
    DIM,
    FEATURE_DIM,
    WORDS,
    tiny_arrays,
    tiny_bank,
    tiny_settings,
    tiny_vision_onnx,
    tiny_vocabulary,
    write_tiny_pack,
)

SENTENCES = ["A dog is running on the grass", "two people", "A red ball in white snow ."]


@pytest.fixture(scope="module")
def model(tiny_pack: Path) -> Model:
    return load(tiny_pack, threads=1)


@pytest.fixture(scope="module")
def photo_files(photo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eleven different photos: more than go through the graph together."""
    folder = tmp_path_factory.mktemp("many")
    image = Image.open(photo_file)
    files = [folder / f"{number}.png" for number in range(11)]
    for number, file in enumerate(files):
        image.crop((5 * number, 3 * number, 60 + 5 * number, 50 + 3 * number)).save(file)
    return files


def assert_same_regions(a: Regions, b: Regions) -> None:
    np.testing.assert_allclose(a.boxes_xyxy, b.boxes_xyxy, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(a.vectors, b.vectors, rtol=1e-3, atol=1e-5)


def test_a_model_says_which_pack_it_has(model: Model) -> None:
    assert repr(model.pack) == f"Pack('tiny', {model.pack.checksum[:12]})"
    assert repr(model) == f"Model({model.pack!r})"


# Look


def test_a_photo_in_every_form(model: Model, photo_file: Path) -> None:
    image = Image.open(photo_file)
    forms = [
        photo_file,
        str(photo_file),
        photo_file.read_bytes(),
        image,
        np.asarray(image),
        open_photo(photo_file, min_side=64),
    ]
    (expected,) = model.look(photo_file)
    assert (expected.width, expected.height) == (120, 80)
    assert expected.features.shape == (len(expected), FEATURE_DIM)
    assert expected.vectors.shape == (len(expected), DIM)
    for form in forms:
        (found,) = model.look(form)
        assert_same_regions(found, expected)
    assert len(model.look(forms)) == len(forms)


def test_a_file_is_one_photo_wherever_it_was_read_to(model: Model, photo_file: Path) -> None:
    (expected,) = model.look(photo_file)
    content = photo_file.read_bytes()
    at_its_end = BytesIO(content)
    at_its_end.seek(0, 2)
    for form in (BytesIO(content), at_its_end, bytearray(content), memoryview(content)):
        (found,) = model.look(form)
        assert_same_regions(found, expected)
        assert model.score(form, SENTENCES).shape == (1, 3)
        assert model.describe(form).caption.text == model.describe(photo_file).caption.text
    with photo_file.open("rb") as file:
        assert model.describe(file).caption.text == model.describe(photo_file).caption.text
        assert model.align(file, SENTENCES[0]).regions.file == str(photo_file)
        assert len(model.look([file, photo_file])) == 2
    with (
        photo_file.open(encoding="latin-1") as text,
        pytest.raises(PhotoError, match="Open it in mode 'rb'"),
    ):
        model.describe(text)  # type: ignore[arg-type]


def test_many_photos_are_refused_where_one_is_asked_for(model: Model, photo_file: Path) -> None:
    for many, found in (
        ([photo_file, photo_file], "a list of 2"),
        ([], "a list of 0"),
        ((photo_file,), "a tuple of 1"),
    ):
        with pytest.raises(PhotoError, match=f"describe: expected one photo, found {found}"):
            model.describe(many)  # type: ignore[arg-type]
        with pytest.raises(PhotoError, match=f"align: expected one photo, found {found}"):
            model.align(many, SENTENCES[0])  # type: ignore[arg-type]
    with pytest.raises(PhotoError, match="align: expected one photo, found generator"):
        model.align((each for each in [photo_file]), SENTENCES[0])  # type: ignore[arg-type]
    with pytest.raises(SentenceError, match="align: expected one sentence, found a list of 3"):
        model.align(photo_file, SENTENCES)  # type: ignore[arg-type]
    for method in (model.look, lambda photos: model.score(photos, SENTENCES)):
        with pytest.raises(PhotoError, match="expected photos, found int"):
            method(3)  # type: ignore[arg-type]


def test_many_photos_are_one_at_a_time(model: Model, photo_files: list[Path]) -> None:
    together = model.look(iter(photo_files))
    assert [Path(each.file).name for each in together] == [file.name for file in photo_files]
    for each, file in zip(together, photo_files, strict=True):
        assert_same_regions(each, model.look(file)[0])


def test_one_full_photo_is_in_memory_at_a_time(
    model: Model, photo_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    images: list[weakref.ref[Image.Image]] = []

    def watched(file: Path, max_pixels: int | None, min_side: int) -> Photo:
        assert not any(image() for image in images)
        photo = open_photo(file, max_pixels=max_pixels, min_side=min_side)
        images.append(weakref.ref(photo.image))
        return photo

    expected = model.look([open_photo(file) for file in photo_files])
    monkeypatch.setattr("regiontalk.model.open_photo", watched)
    found = model.look(photo_files)
    assert len(images) == len(photo_files)
    for each, other in zip(found, expected, strict=True):
        assert (each.file, each.width, each.height) == (other.file, other.width, other.height)
        np.testing.assert_array_equal(each.boxes_xyxy, other.boxes_xyxy)
        np.testing.assert_array_equal(each.vectors, other.vectors)


def test_no_photo(model: Model) -> None:
    assert model.look([]) == []
    assert model.describe_regions([]) == []
    assert model.caption([]) == []


def test_given_boxes(model: Model, photo_file: Path, photo_files: list[Path]) -> None:
    boxes = np.array([[10, 10, 50, 40], [60, 45, 110, 75]], np.float32)
    (found,) = model.look(photo_file, [boxes])
    np.testing.assert_allclose(found.boxes_xyxy[1:], boxes, atol=1e-4)
    assert len(model.describe_regions([found])[0].region_captions) == 2
    several = [boxes[:1]] * len(photo_files)
    for given, each in zip(model.look(photo_files, several), photo_files, strict=True):
        np.testing.assert_allclose(
            given.vectors, model.look(each, [boxes[:1]])[0].vectors, atol=1e-4
        )
    with pytest.raises(ValueError, match="need as many arrays of boxes, found 2"):
        model.look(photo_file, [boxes, boxes])


def test_a_missing_photo(model: Model, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"nowhere\.jpg"):
        model.look(tmp_path / "nowhere.jpg")


# Read


def test_sentences_are_read(model: Model) -> None:
    first, second, third = model.read(SENTENCES)
    assert first.text == SENTENCES[0]
    assert first.words == ("a", "dog", "is", "running", "on", "the", "grass")
    assert third.words == ("a", "red", "ball", "in", "white", "snow")
    assert second.ids.tolist() == [WORDS.index("two") + 2, WORDS.index("people") + 2]
    assert first.vectors.shape == (7, DIM)
    (alone,) = model.read("two people")
    np.testing.assert_allclose(alone.vectors, second.vectors, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", ["", "   ", " . !"])
def test_a_sentence_without_words(model: Model, photo_file: Path, text: str) -> None:
    for call in (
        model.read,
        lambda t: model.score(photo_file, t),
        lambda t: model.align(photo_file, t),
    ):
        with pytest.raises(SentenceError, match="is empty or has no word"):
            call(text)


# Score


def test_scores_are_equation_8(model: Model, photo_files: list[Path]) -> None:
    regions, sentences = model.look(photo_files), model.read(SENTENCES)
    scores = model.score(photo_files, SENTENCES)
    assert scores.shape == (11, 3)
    assert scores.dtype == np.float32
    expected = [[(s.vectors @ r.vectors.T).max(axis=1).sum() for s in sentences] for r in regions]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.score(regions, sentences), scores, rtol=1e-4, atol=1e-4)
    mixed = model.score([photo_files[0], regions[1]], [SENTENCES[0], sentences[1]])
    np.testing.assert_allclose(mixed, scores[:2, :2], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        model.score(photo_files[4], "two people"), scores[4:5, 1:2], rtol=1e-4, atol=1e-4
    )


def test_equal_photos_and_sentences_have_equal_scores_and_captions(
    tmp_path: Path, photo_files: list[Path]
) -> None:
    model = load(write_tiny_pack(tmp_path / "pack", score="mean", bank=True).folder, threads=1)
    photos, sentences = (
        [photo_files[k % 4] for k in range(43)],
        [SENTENCES[k % 3] for k in range(301)],
    )
    read, looked = model.read(sentences), model.look(photos)
    assert all(np.array_equal(each.vectors, read[k % 3].vectors) for k, each in enumerate(read))
    assert len({each.hubness for each in read}) == 3
    assert all(np.array_equal(each.vectors, looked[k % 4].vectors) for k, each in enumerate(looked))
    scores = model.score(looked, read)
    np.testing.assert_array_equal(scores, scores[np.ix_(np.arange(43) % 4, np.arange(301) % 3)])
    described = model.describe_regions(looked)
    assert len({each.caption for each in described}) <= 4
    assert len({each.region_captions for each in described}) <= 4


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_pack_names_its_kind_of_score(tmp_path: Path, photo_file: Path, kind: Kind) -> None:
    write_tiny_pack(tmp_path / "pack", score=kind)
    model = load(tmp_path / "pack", threads=1)
    regions, words = model.look(photo_file), model.read(SENTENCES)
    expected = score_matrix(
        *pad([r.vectors for r in regions]), *pad([w.vectors for w in words]), kind=kind
    )
    np.testing.assert_allclose(model.score(regions, words), expected)
    for each, score in zip(words, expected[0], strict=True):
        found, plain = model.align(regions[0], each), align(regions[0], each, beta=1.0)
        assert found.score == pytest.approx(float(score), rel=1e-4, abs=1e-4)
        # Of β = 1, whatever the kind
        assert found.word_regions.tolist() == plain.word_regions.tolist()
        assert found.phrases == plain.phrases


def test_a_bank_takes_hubness_off(tmp_path: Path, photo_files: list[Path]) -> None:
    plain, model = (
        load(write_tiny_pack(tmp_path / str(bank), score="mean", bank=bank).folder, threads=1)
        for bank in (False, True)
    )
    regions, sentences = model.look(photo_files), model.read(SENTENCES)
    assert all(each.hubness == 0 for each in (*plain.look(photo_files), *plain.read(SENTENCES)))
    of_photos, of_sentences = ([each.hubness for each in some] for some in (regions, sentences))
    assert len(set(of_photos)) == 11 and len(set(of_sentences)) == 3
    scores = plain.score(photo_files, SENTENCES) - np.array(of_photos)[:, None] - of_sentences
    np.testing.assert_allclose(model.score(photo_files, SENTENCES), scores, rtol=1e-4, atol=1e-4)
    found, other = model.align(regions[3], sentences[1]), plain.align(photo_files[3], SENTENCES[1])
    assert found.score == pytest.approx(scores[3, 1], rel=1e-4, abs=1e-4)
    assert [each.text for each in found.phrases] == [each.text for each in other.phrases]
    # Of the words' own scores: hubness changes none
    for one, two in zip(found.phrases, other.phrases, strict=True):
        assert (one.region, one.score) == (two.region, pytest.approx(two.score, rel=1e-4, abs=1e-4))
    assert distinct(regions[0]).hubness == regions[0].hubness
    described = model.describe(photo_files[0]), plain.describe(photo_files[0])
    assert described[0].caption == described[1].caption


def sentence_of(words: int, seed: int = 0, width: int = DIM) -> Sentence:
    vectors = np.random.default_rng(seed).normal(size=(words, width)).astype(np.float32)
    return Sentence("dog " * words, ("dog",) * words, np.zeros(words, np.int64), vectors)


def test_scores_of_long_and_short_sentences_are_those_of_padded_ones(
    model: Model, photo_files: list[Path]
) -> None:
    regions = model.look(photo_files)
    sentences = [sentence_of(words, words) for words in (3, 1500, 1, 700, 700, 12)]
    expected = score_matrix(
        *pad([r.vectors for r in regions]), *pad([s.vectors for s in sentences])
    )
    np.testing.assert_array_equal(model.score(regions, sentences), expected)


def test_a_long_sentence_costs_the_short_ones_no_memory(model: Model, photo_file: Path) -> None:
    regions, sentences = model.look(photo_file), [sentence_of(5)] * 500 + [sentence_of(1000)]
    tracemalloc.start()
    model.score(regions, sentences)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    padded = 501 * 1000 * DIM * 4
    assert peak < padded / 4


def test_vectors_of_different_packs_have_no_score(model: Model, photo_file: Path) -> None:
    with pytest.raises(ValueError, match=rf"one dimension, found \[{DIM}, {DIM + 1}\]"):
        model.score(photo_file, sentence_of(3, width=DIM + 1))


def test_nothing_to_score(model: Model, photo_file: Path) -> None:
    assert model.score([], SENTENCES).shape == (0, 3)
    assert model.score(photo_file, []).shape == (1, 0)


# Align


def test_align(model: Model, photo_file: Path) -> None:
    (regions,), (sentence,) = model.look(photo_file), model.read(SENTENCES[0])
    for beta in (0.0, 0.5, 100.0):
        found, expected = (
            model.align(photo_file, SENTENCES[0], beta),
            align(regions, sentence, beta),
        )
        assert found.word_regions.tolist() == expected.word_regions.tolist()
        assert found.score == pytest.approx(
            float(model.score(photo_file, SENTENCES[0])[0, 0]), rel=1e-4
        )
    assert model.align(regions, sentence).beta == model.pack.settings.alignment.beta == 1.0
    assert len(model.align(regions, sentence, beta=1e6).phrases) == 1


def test_words_choose_from_more_regions_than_a_photo_is_found_and_described_by(
    tmp_path: Path, photo_files: list[Path]
) -> None:
    settings = replace(
        tiny_settings(),
        vision=replace(tiny_settings().vision, proposals=3),
        alignment=AlignmentSettings("mean", beta=1.0, extra_proposals=5, objectness=1.5),
        bank=tiny_bank(),
    )
    save_pack(
        tmp_path / "p", settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    )
    model = load(tmp_path / "p", threads=1)
    few, more, (read,) = (
        model.look(photo_files),
        model.look(photo_files, extra=True),
        model.read(SENTENCES[0]),
    )
    assert max(len(each) for each in more) == 9 and {len(each) for each in few} == {4}
    for one, two in zip(few, more, strict=True):
        assert (one.extra, two.extra) == (0, len(two) - 4)
        assert one.hubness == pytest.approx(two.hubness, rel=1e-4, abs=1e-5)
        np.testing.assert_allclose(two.main.vectors, one.vectors, rtol=1e-4, atol=1e-5)
        assert np.array_equal(one.scores, two.scores[:4])
        assert two.scores[1:].tolist() == sorted(two.scores[1:], reverse=True)
        unary = read.vectors.astype(np.float64) @ two.vectors.T + 1.5 * np.log(two.scores)
        found = model.align(two, read, 0.25)
        assert found.word_regions.tolist() == viterbi(unary, 0.25)[0].tolist()
        np.testing.assert_allclose(found.unary, unary, rtol=1e-4, atol=1e-4)
        assert found.score == pytest.approx(float(model.score(one, read)[0, 0]), rel=1e-4, abs=1e-5)
    assert any((model.align(two, read, 0.0).word_regions > 3).any() for two in more), (
        "an extra region is chosen"
    )
    assert (
        model.align(photo_files[2], read).word_regions.tolist()
        == model.align(more[2], read).word_regions.tolist()
    )
    np.testing.assert_allclose(
        model.score(more, SENTENCES), model.score(few, SENTENCES), rtol=1e-4, atol=1e-4
    )
    assert [each.text for each in model.caption(more)] == [each.text for each in model.caption(few)]
    main, every = model.describe(few[0]), model.describe(more[0])
    assert len(every.regions) == len(main.regions)
    assert [each.text for each in every.region_captions] == [
        each.text for each in main.region_captions
    ]
    (given,) = model.look(photo_files[0], [np.array([[0, 0, 9, 9]], np.float32)], extra=True)
    assert (len(given), given.extra) == (2, 0)


def test_a_sentence_of_unknown_words_only(model: Model, photo_file: Path) -> None:
    with pytest.raises(SentenceError, match="knows none of the words 'quantum', 'chromodynamics'"):
        model.align(photo_file, "Quantum chromodynamics!")
    assert len(model.align(photo_file, "a quantum dog").sentence) == 3


def test_beta_must_make_sense(model: Model, photo_file: Path) -> None:
    with pytest.raises(ConfigError, match="beta"):
        model.align(photo_file, "a dog", beta=-1.0)


# Describe


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


# Load


def test_the_package_offers_it(tiny_pack: Path, photo_file: Path) -> None:
    model = regiontalk.load(tiny_pack, threads=1)
    assert isinstance(model, regiontalk.Model)
    assert model.describe(photo_file).to_json()["file"].endswith("blocks.jpg")


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_every_cell_describes(tmp_path: Path, photo_file: Path, cell: str) -> None:
    settings = tiny_settings(cell)
    save_pack(
        tmp_path / cell, settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    )
    assert load(tmp_path / cell, threads=1).describe(photo_file).caption.log_prob < 0


def test_every_cell_reads(tmp_path: Path, photo_file: Path) -> None:
    """The words network as a GRU.

    Its vectors are its own, of either sign, and all that the model does goes on.
    """
    pack = write_tiny_pack(tmp_path / "gru", words_cell="gru")
    model = load(pack.folder, threads=1)
    sentences = model.read(SENTENCES)
    read = WordsReader(pack.arrays["words"], "gru").read([each.ids for each in sentences])
    for sentence, vectors in zip(sentences, read, strict=True):
        np.testing.assert_array_equal(sentence.vectors, vectors)
        assert (vectors < 0).any() and (vectors > 0).any()
    (regions,) = model.look(photo_file)
    expected = [(each.vectors @ regions.vectors.T).max(axis=1).sum() for each in sentences]
    np.testing.assert_allclose(model.score(regions, sentences)[0], expected, rtol=1e-4, atol=1e-4)
    assert model.align(regions, sentences[0]).score == pytest.approx(
        expected[0], rel=1e-4, abs=1e-4
    )
    assert model.describe(photo_file).caption.text


def test_no_such_pack(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="neither a pack's folder"):
        load(tmp_path / "nowhere")


def test_a_bad_graph_is_named(tiny_pack: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_pack, tmp_path / "pack"))
    pack = Pack.load(folder)
    object.__setattr__(pack, "vision_onnx", b"no graph")
    with pytest.raises(PackError, match=r"vision\.onnx: expected an ONNX graph"):
        Model(pack)


def test_words_that_overflow_are_named(tmp_path: Path) -> None:
    settings = tiny_settings()
    arrays = tiny_arrays(settings)
    arrays["words"] = {name: np.full(tensor.shape, 6e4) for name, tensor in arrays["words"].items()}
    save_pack(tmp_path / "p", settings, arrays, tiny_vision_onnx(), tiny_vocabulary())
    with pytest.raises(PackError, match="words network gives values that are not finite"):
        load(tmp_path / "p", threads=1).read(" ".join(["dog"] * 40))
