"""The model joins the parts: each answer is checked against the parts called by hand."""

from __future__ import annotations

import shutil
import weakref
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regiontalk
from regiontalk.errors import PackError, PhotoError, SentenceError
from regiontalk.language.reader import WordsReader
from regiontalk.model import Model, load
from regiontalk.pack import Pack, save_pack
from regiontalk.photos import Photo, open_photo
from regiontalk.structures import Regions

from ..tiny_pack import (
    DIM,
    FEATURE_DIM,
    WORDS,
    tiny_arrays,
    tiny_settings,
    tiny_vision_onnx,
    tiny_vocabulary,
    write_tiny_pack,
)
from .conftest import SENTENCES


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
