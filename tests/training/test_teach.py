"""A pack is taught a person's captions: new words, a second language, and what is refused."""

from __future__ import annotations

import filecmp
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import regiontalk
from regiontalk.data import read_dataset
from regiontalk.errors import PackError, TrainingError
from regiontalk.fingerprints import fingerprint_files, listed, recognised
from regiontalk.model import Model
from regiontalk.pack import Pack
from regiontalk.training import teach as teaching
from regiontalk.training.teach import TeachConfig, pack_name, taught_licence, teach
from regiontalk.training.teach_photos import measure_pack, read_taught_photos, store_photos
from regiontalk.vision.session import VisionSession

from .killing import ALWAYS, NEVER, kill
from .taught_packs import KINDS, PLACED_WORDS, write_pack
from .taught_world import write_photos


@pytest.fixture(scope="session")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("german") / "photos")


@pytest.fixture(scope="session")
def known() -> np.ndarray:
    """A list of training photos of the packs here."""
    return listed(np.random.default_rng(0).integers(0, 256, (5, 16), dtype=np.uint8))


@pytest.fixture
def config(german: Path, known: np.ndarray, tmp_path: Path) -> TeachConfig:
    write_pack(tmp_path / "pack", "attention", known)
    return TeachConfig(
        data=german,
        output=tmp_path / "mine",
        pack=str(tmp_path / "pack"),
        epochs=3,
        batch=20,
        learning_rate=1e-2,
        dropout=0.0,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_learns_a_second_language(
    kind: str, config: TeachConfig, known: np.ndarray, tmp_path: Path
) -> None:
    source = write_pack(tmp_path / kind, kind, known)
    config = replace(config, pack=str(tmp_path / kind), epochs=80, patience=80)
    taught = teach(config)
    assert taught.pack is not None and not taught.worse
    assert (taught.photos, taught.captions, taught.held_out) == (40, 40, 20)
    before, after = taught.before.numbers(), taught.after.numbers()
    assert (
        after["mean_recall"] > before["mean_recall"] + 10 and after["cider"] > before["cider"] + 50
    )
    assert {"ein", "grüner", "würfel", "weißer"} <= set(taught.new_words)
    assert set(taught.shares) == {"alignment", "photo_captioner", "region_captioner"}
    model = regiontalk.load(config.output)
    assert model.pack.vocabulary.words[: len(source.vocabulary.words)] == source.vocabulary.words
    assert model.read("Ein grüner Würfel")[0].kinds == ("learnt",) * 3
    photos = [photo.file for photo in read_dataset(config.data, "train").photos]
    captions = [caption.text for caption in model.caption(model.look(photos))]
    assert np.mean([set(caption.split()) <= set(taught.new_words) for caption in captions]) > 0.8
    if source.settings.bank.photos:
        assert model.pack.settings.bank.photos == source.settings.bank.photos + 40
        before_regions = source.arrays["bank"]["regions"]
        np.testing.assert_array_equal(
            model.pack.arrays["bank"]["regions"][: len(before_regions)], before_regions
        )
    assert not (tmp_path / "mine.work").exists()


def test_what_a_pack_says_it_was_taught(config: TeachConfig, known: np.ndarray) -> None:
    taught = teach(replace(config, anyway=True))
    pack = taught.pack
    assert pack is not None and pack.settings.name == "mine"
    assert pack.settings.licence == "CC0-1.0; taught 40 captioned photos of photos"
    (lesson,) = pack.settings.trained_on["taught"]
    assert (lesson["photos"], lesson["pack"], lesson["new_words"]) == (
        40,
        "tiny",
        len(taught.new_words),
    )
    assert pack.settings.results["held_out"]["after"] == taught.after.numbers()
    assert pack.training_photos is not None and recognised(known, pack.training_photos).all()
    photos = read_taught_photos(config.data)
    assert recognised(fingerprint_files(photos.taught.files), pack.training_photos).all()
    again = teach(
        replace(config, anyway=True, pack=str(config.output), output=config.output.parent / "twice")
    )
    assert again.pack is not None and len(again.pack.settings.trained_on["taught"]) == 2
    assert again.new_words == ()


def test_a_pack_without_a_list_of_photos_gets_none(config: TeachConfig, tmp_path: Path) -> None:
    write_pack(tmp_path / "unlisted", "plain")
    taught = teach(replace(config, pack=str(tmp_path / "unlisted"), epochs=1, anyway=True))
    assert taught.pack is not None and taught.pack.training_photos is None


def same_packs(one: Path, other: Path) -> bool:
    return all(
        filecmp.cmp(one / file.name, other / file.name, shallow=False)
        for file in one.iterdir()
        if file.name != "pack.json"  # which names the folder
    )


@pytest.mark.parametrize("killed", [2, 7, 9, 14])
def test_killed_is_as_not_killed(config: TeachConfig, tmp_path: Path, killed: int) -> None:
    """Six steps in each of three stages; a checkpoint after each step, or after none."""
    config = replace(config, anyway=True, patience=1, dropout=0.2)
    whole = teach(config)
    for seconds, name in ((ALWAYS, "always"), (NEVER, "never")):
        broken = replace(config, output=tmp_path / name)
        kill(partial(teach, broken), killed, seconds)
        assert not broken.output.exists() and (tmp_path / f"{name}.work").is_dir()
        ended = teach(broken)
        assert ended.shares == whole.shares and ended.after.numbers() == whole.after.numbers()
        assert same_packs(config.output, broken.output)


def test_a_worse_pack_is_not_written(config: TeachConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "worsened", lambda before, after: ["CIDEr falls"])
    refused = teach(replace(config, epochs=1))
    assert refused.pack is None and refused.worse == ["CIDEr falls"]
    assert not config.output.exists()
    written = teach(replace(config, epochs=1, anyway=True))
    assert written.pack is not None and written.worse == ["CIDEr falls"]
    assert written.after.numbers() == refused.after.numbers()


def test_the_work_folder_of_another_teaching_is_refused(
    config: TeachConfig, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    (work / "mine.txt").parent.mkdir()
    (work / "mine.txt").write_text("stays")
    teach(replace(config, epochs=1, work=work, anyway=True))
    assert {file.name for file in work.iterdir()} == {
        "mine.txt",
        "teaching.json",
        "regions",
        "alignment",
        "photo_captioner",
        "region_captioner",
    }
    with pytest.raises(
        TrainingError, match=r"work: belongs to a run with other settings.*\n.*epochs was 1, is 2"
    ):
        teach(replace(config, epochs=2, work=work))
    more = write_photos(tmp_path / "more", count=61)
    with pytest.raises(TrainingError, match="work: belongs to a run with other settings"):
        teach(replace(config, data=more, work=work))


def test_what_is_not_a_pack_is_refused_before_anything_is_learnt(config: TeachConfig) -> None:
    config.output.mkdir()
    (config.output / "letter.txt").write_text("dear")
    with pytest.raises(PackError, match="holds something that is not a pack"):
        teach(config)
    assert not (config.output.parent / "mine.work").exists()


def test_captions_of_single_words_leave_the_captioner_of_regions(
    config: TeachConfig, tmp_path: Path
) -> None:
    words = write_photos(tmp_path / "words", say="{shape}")
    taught = teach(replace(config, data=words, epochs=1, anyway=True))
    assert set(taught.shares) == {"alignment", "photo_captioner"}
    assert taught.new_words == ("kreis", "spitz", "würfel")
    pack = Pack.load(config.output)
    before = Pack.load(str(config.pack)).arrays["region_captioner"]
    np.testing.assert_array_equal(pack.arrays["region_captioner"]["W_hh"], before["W_hh"])


def test_placed_words_that_are_said_too_rarely_stay_placed(
    config: TeachConfig, tmp_path: Path
) -> None:
    """In a caption that is learnt, and in one that is measured on."""
    folder = write_photos(tmp_path / "rare")
    photos, text = read_taught_photos(folder), (folder / "captions.csv").read_text(encoding="utf-8")
    for dataset in (photos.taught, photos.held_out):
        name, caption = dataset.files[0].name, dataset.photos[0].captions[0]
        text = text.replace(f"{name},{caption}", f"{name},{caption} Corgi")
    assert text.count("Corgi") == 2
    (folder / "captions.csv").write_text(text, encoding="utf-8")
    taught = teach(replace(config, data=folder, epochs=1, anyway=True))
    assert taught.pack is not None and taught.captions == 40 and "corgi" not in taught.new_words
    assert taught.pack.vocabulary.placed == PLACED_WORDS
    assert regiontalk.load(config.output).read("Ein Corgi")[0].kinds == ("learnt", "placed")


def test_names_and_licences_fit_their_lines() -> None:
    assert pack_name(Path("/packs/my pack")) == "my pack"
    assert len(pack_name(Path("x" * 120))) == 100
    assert taught_licence("CC0", "my photos", 3) == "CC0; taught 3 captioned photos of my photos"
    assert taught_licence("CC0", "x" * 190, 3) == "CC0; taught 3 captioned photos"
    full = taught_licence("y" * 199, "photos", 3)
    assert len(full) == 200 and full.endswith("...; taught")


@pytest.mark.parametrize("kind", KINDS)
def test_measurements_are_the_models_own(kind: str, tmp_path: Path) -> None:
    """Recalls by hand: of each photo's caption the place among all, and the other way."""
    # All captions differ
    folder = write_photos(tmp_path / "numbered", say="A {number} dog is {colour}")
    pack, photos = write_pack(tmp_path / "pack", kind), read_taught_photos(folder).held_out
    model = Model(pack)
    stored = store_photos(
        pack.vision_onnx, pack.settings.vision, photos, pack.vocabulary, tmp_path / "regions"
    )
    found = measure_pack(model, stored).numbers()
    scores = model.score(photos.files, [photo.captions[0] for photo in photos.photos])
    own = np.diag(scores)
    # Ties count against
    first = ((scores >= own[:, None]).sum(1) == 1, (scores >= own).sum(0) == 1)
    assert found["image_to_text_r1"] == pytest.approx(100 * first[0].mean())
    assert found["text_to_image_r1"] == pytest.approx(100 * first[1].mean())


def test_each_photo_is_looked_at_once(
    config: TeachConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also those held out, on which stages choose, and both packs are measured."""
    looked, run = [], VisionSession.run

    def counted(
        self: VisionSession, pixels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        looked.append(len(pixels))
        return run(self, pixels)

    monkeypatch.setattr(VisionSession, "run", counted)
    config = replace(config, epochs=1, anyway=True, work=tmp_path / "work")
    whole = teach(config)
    assert sum(looked) == whole.photos + whole.held_out == 60
    again = teach(config)
    assert sum(looked) == 60 and again.after.numbers() == whole.after.numbers()
