"""Finished runs become a pack that finds and describes photos, and what is wrong with an export is
told.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import regiontalk
from regiontalk.data import read_dataset
from regiontalk.errors import ConfigError
from regiontalk.evaluation.retrieval.metric import retrieval
from regiontalk.fingerprints import fingerprint_files, recognised
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.captioner_net import read_captioner
from regiontalk.training.config import read_config
from regiontalk.training.export import ExportConfig, export_pack
from regiontalk.training.train_alignment import train_alignment
from regiontalk.training.train_captioner import train_captioner

from .small_world import captioner_config


def test_from_photos_to_a_pack_that_finds_and_describes_them(
    alignment_config: AlignmentConfig, alignment_run: Path, shapes_folder: Path, tmp_path: Path
) -> None:
    photo, region = (captioner_config(alignment_config, about) for about in ("photo", "region"))
    train_captioner(photo)
    train_captioner(region)
    config = replace(
        shapes_export(alignment_config, alignment_run, (photo.output, region.output), tmp_path),
        data=(shapes_folder,),
    )
    with pytest.raises(
        ConfigError,
        match='run was trained with "max", the pack would have "mean"; say score = "max"',
    ):
        export_pack(replace(config, score="mean"))
    pack = export_pack(config)
    assert pack.settings.photo_captioner.cell == "gru"
    model, train_set = regiontalk.load(tmp_path / "pack"), read_dataset(shapes_folder, "train")
    photos = [each.file for each in train_set.photos]
    assert pack.training_photos is not None
    assert recognised(fingerprint_files(photos), pack.training_photos).all()
    sentences = [caption for each in train_set.photos for caption in each.captions[::2]]
    photo_of = np.repeat(np.arange(len(photos)), 2)
    found = retrieval(model.score(photos, sentences), photo_of)
    assert found.image_to_text.r1 > 90 and found.text_to_image.r1 > 70
    captions = [caption.text for caption in model.caption(model.look(photos))]
    names = [each.file.stem.split("_") for each in train_set.photos]
    right = [
        colour in text and shape in text
        for text, (colour, shape) in zip(captions, names, strict=True)
    ]
    assert np.mean(right) > 0.9


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("beam = 0", "the export's settings: beam: expected a whole number from 1 to 100, found 0"),
        ('name = ""', "the export's settings: name: expected a line"),
        ('about = "date.toml"', "date is not JSON serializable; write dates and times as text"),
        ('about = "latin.toml"', "latin.toml: not UTF-8 text"),
        (
            "extra_proposals = 501",
            "extra_proposals: expected a whole number from 0 to 500, found 501",
        ),
        (
            "photo_captioner_share = 1.5",
            "photo_captioner_share: expected a number in 0..1, found 1.5",
        ),
        ("photo_captioner_share = 0.5", "photo_captioner_share needs photo_captioner_before"),
    ],
)
def test_wrong_exports_are_told(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path, text: str, told: str
) -> None:
    captioner = captioner_config(alignment_config, "photo", epochs=1, output=tmp_path / "captioner")
    train_captioner(captioner)
    (tmp_path / "date.toml").write_text("[results]\nday = 2020-01-01")
    (tmp_path / "latin.toml").write_bytes(b'[results]\nname = "caf\xe9"')
    lines = {"name": 'name = "shapes"', text.split(" ")[0]: text}
    runs = {"vision": alignment_config.vision, "alignment": alignment_run}
    runs |= {name: captioner.output for name in ("photo_captioner", "region_captioner")}
    paths = [
        f'{name} = "{folder}"' for name, folder in (runs | {"output": tmp_path / "pack"}).items()
    ]
    (tmp_path / "export.toml").write_text("\n".join([*lines.values(), 'licence = "none"', *paths]))
    with pytest.raises(ConfigError) as error:
        export_pack(read_config(tmp_path / "export.toml", ExportConfig))
    assert told in str(error.value)
    assert not (tmp_path / "pack").exists()


def test_a_captioner_may_be_the_mean_of_two_runs(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path
) -> None:
    before, after, other = (
        captioner_config(
            alignment_config,
            "photo",
            epochs=1,
            seed=seed,
            hidden=hidden,
            output=tmp_path / str(number),
        )
        for number, (seed, hidden) in enumerate(((0, 16), (1, 16), (0, 24)))
    )
    for each in (before, after, other):
        train_captioner(each)
    captioners = after.output, captioner_run(alignment_config, tmp_path)
    config = replace(
        shapes_export(alignment_config, alignment_run, captioners, tmp_path),
        photo_captioner_before=before.output,
        photo_captioner_share=0.25,
    )
    mean = export_pack(config).arrays["photo_captioner"]
    first, last = read_captioner(before.output), read_captioner(after.output)
    for name, tensor in mean.items():
        np.testing.assert_allclose(
            tensor, 0.75 * first[name] + 0.25 * last[name], rtol=2e-3, atol=1e-4
        )
    with pytest.raises(ConfigError, match=r"did not start from .*2: their networks differ"):
        export_pack(replace(config, photo_captioner_before=other.output))


def shapes_export(
    alignment_config: AlignmentConfig, alignment: Path, captioners: tuple[Path, Path], folder: Path
) -> ExportConfig:
    """An export of finished runs, the photo captioner's first, to the folder's `pack`."""
    return ExportConfig(
        output=folder / "pack",
        name="shapes",
        licence="none",
        vision=alignment_config.vision,
        alignment=alignment,
        photo_captioner=captioners[0],
        region_captioner=captioners[1],
    )


def captioner_run(alignment_config: AlignmentConfig, folder: Path) -> Path:
    """A finished run of a region captioner."""
    region = captioner_config(alignment_config, "region", epochs=1, output=folder / "region")
    train_captioner(region)
    return region.output


def test_words_that_no_caption_taught_are_placed(
    alignment_config: AlignmentConfig, shapes_folder: Path, tmp_path: Path
) -> None:
    vectors = tmp_path / "words.txt"
    vectors.write_text("circle 1 0\nsquare 0 1\ndisc 0.9 0.1\nzither -1 -1\n")
    alignment = replace(
        alignment_config,
        placed_vectors=vectors,
        output=tmp_path / "alignment",
        epochs=3,
        cell="gru",
    )
    train_alignment(alignment)
    captioner = captioner_config(alignment, "photo", epochs=1, output=tmp_path / "photo")
    region = captioner_config(alignment, "region", epochs=1, output=tmp_path / "region")
    for config in (captioner, region):
        train_captioner(config)
    export = ExportConfig(
        output=tmp_path / "pack",
        name="shapes",
        licence="none",
        vision=alignment.vision,
        alignment=alignment.output,
        photo_captioner=captioner.output,
        region_captioner=region.output,
        placed_vectors=vectors,
        placed_words=1,
    )
    assert export_pack(export).vocabulary.placed == ("disc",)
    pack = export_pack(replace(export, placed_words=20))
    assert pack.vocabulary.placed == ("disc", "zither") and pack.settings.words.vector_dim == 2
    model = regiontalk.load(tmp_path / "pack")
    sentence, alone, circle = model.read(["a red disc qwx", "disc", "circle"])
    assert sentence.kinds == ("learnt", "learnt", "placed", "unknown")
    assert np.isfinite(alone.vectors).all() and not np.array_equal(alone.vectors, circle.vectors)
    data = shutil.copytree(shapes_folder, tmp_path / "again" / shapes_folder.name)
    # Training captions say a placed word
    captions = (data / "captions.csv").read_text().replace(" circle", " disc")
    (data / "captions.csv").write_text(captions)
    assert export_pack(replace(export, data=(data,), dim=8)).settings.space.dim == 8
    with pytest.raises(ConfigError, match="was trained without such vectors; leave it out"):
        export_pack(replace(export, alignment=alignment_run_without(alignment_config, tmp_path)))


def alignment_run_without(config: AlignmentConfig, folder: Path) -> Path:
    """A run that was trained without vectors from elsewhere."""
    plain = replace(config, output=folder / "plain", epochs=1)
    train_alignment(plain)
    return plain.output
