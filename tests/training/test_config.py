"""Configurations: what a file may say, and what a wrong one is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from regiontalk.errors import ConfigError
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.captioner_config import CaptionerConfig
from regiontalk.training.config import identity, read_config
from regiontalk.training.export import ExportConfig
from regiontalk.training.train_vision import VisionConfig


@dataclass(frozen=True)
class Sample:
    output: Path
    rate: float = 0.1
    epochs: int = 3
    cell: Literal["rnn", "gru"] = "rnn"
    sizes: tuple[tuple[int, int], ...] = ((64, 1),)
    start: Path | None = None
    shuffle: bool = True


def write(folder: Path, text: str) -> Path:
    file = folder / "run.toml"
    file.write_text(text)
    return file


def test_values_defaults_and_paths_relative_to_the_file(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        'output = "runs/a"\nrate = 1\nsizes = [[128, 3], [224, '
        '1]]\nstart = "runs/b"\nshuffle = false',
    )
    config = read_config(file, Sample)
    assert config == Sample(
        output=tmp_path / "runs/a",
        rate=1.0,
        sizes=((128, 3), (224, 1)),
        start=tmp_path / "runs/b",
        shuffle=False,
    )
    assert isinstance(config.rate, float)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('output = "a"\nepoch = 3', "unknown setting epoch; known are cell, epochs"),
        ("rate = 0.1", "setting output is missing"),
        ('output = "a"\nepochs = 2.5', "epochs: expected int, found 2.5"),
        ('output = "a"\nepochs = true', "epochs: expected int, found True"),
        ('output = "a"\nshuffle = 1', "shuffle: expected bool, found 1"),
        ('output = "a"\nrate = "fast"', "rate: expected float, found 'fast'"),
        ('output = "a"\ncell = "lstm"', "cell: expected one of 'rnn', 'gru', found 'lstm'"),
        ('output = "a"\nsizes = [[1, 2, 3]]', "sizes: expected 2 values, found 3"),
        ('output = "a"\nsizes = 3', "sizes: expected a list, found 3"),
        ("output = 3", "output: expected Path, found 3"),
        ("output = ", "not a TOML file"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError, match=r"run\.toml") as error:
        read_config(file, Sample)
    assert told in str(error.value)


def test_datasets_with_shares(tmp_path: Path) -> None:
    paths = "".join(f'{name} = "{name}"\n' for name in PATHS[AlignmentConfig])
    config = read_config(
        write(tmp_path, paths + 'data = [["a", 1], ["b", 0.5]]\ndev = ["a"]'), AlignmentConfig
    )
    assert config.data == ((tmp_path / "a", 1.0), (tmp_path / "b", 0.5)) and config.dev == (
        tmp_path / "a",
    )


def test_a_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_config(tmp_path / "none.toml", Sample)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_config(binary, Sample)


def test_the_output_folder_is_not_part_of_a_runs_identity() -> None:
    one = Sample(output=Path("a"), start=Path("x/run"))
    assert identity(one) == identity(replace(one, output=Path("b"), start=Path("y/run")))
    assert identity(one) != identity(replace(one, epochs=4))


def test_a_run_goes_on_with_larger_photos_allowed() -> None:
    one = VisionConfig(backbone="lite", boxes=Path("boxes.jsonl"), output=Path("run"))
    assert identity(one) == identity(replace(one, max_pixels=one.max_pixels + 1))


PATHS = {
    VisionConfig: ("backbone", "boxes", "output"),
    AlignmentConfig: ("vision", "regions", "output"),
    CaptionerConfig: ("vision", "alignment", "regions", "output"),
    ExportConfig: ("output", "vision", "alignment", "photo_captioner", "region_captioner"),
}
"""What each kind of file must name."""
DATASETS = dict.fromkeys(
    (AlignmentConfig, CaptionerConfig), 'data = [["data", 1]]\ndev = ["data"]\n'
)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (VisionConfig, "image_size = 0", "image_size: expected a whole number from 1"),
        (VisionConfig, "epochs = 0", "epochs: expected a whole number from 1"),
        (VisionConfig, "batch = 0", "batch: expected a whole number from 1"),
        (VisionConfig, "jitter = 2", "jitter: expected a number from 0 to 1"),
        (VisionConfig, "seed = -1", "seed: expected a whole number from 0"),
        (AlignmentConfig, "clip = 0", "clip: expected a number from 1e-12"),
        (
            AlignmentConfig,
            "vision_learning_rate = 1e-4\nsizes = [[224, 0]]",
            "sizes: at least one epoch at each size",
        ),
        (
            AlignmentConfig,
            'cell = "gru"\nrecurrent = false',
            'recurrent = false needs cell = "rnn"',
        ),
        (AlignmentConfig, 'cell = "lstm"', "cell: expected one of 'rnn', 'gru', found 'lstm'"),
        (AlignmentConfig, "validate_epochs = 0", "validate_epochs: expected a whole number from 1"),
        (AlignmentConfig, "captions = 0", "captions: expected a whole number from 1"),
        (AlignmentConfig, "dropout = 1.5", "dropout: expected a number from 0 to 1, found 1.5"),
        (AlignmentConfig, "learning_rate = nan", "learning_rate: expected a number"),
        (AlignmentConfig, 'start = "a"\nword_vectors = "b"', "leave out start or word_vectors"),
        (
            CaptionerConfig,
            'about = "photo"\nlongest = 0',
            "longest: expected a whole number from 1",
        ),
        (
            ExportConfig,
            'name = "a"\nlicence = "b"\nscore = "Sum"',
            "score: expected one of 'max', 'sum', 'mean'",
        ),
    ],
)
def test_settings_out_of_their_range_are_told(
    tmp_path: Path, kind: type, text: str, told: str
) -> None:
    paths = "".join(f'{name} = "{name}"\n' for name in PATHS[kind])
    with pytest.raises(ConfigError, match=r"run\.toml: ") as error:
        read_config(write(tmp_path, paths + DATASETS.get(kind, "") + text), kind)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (file, kind)
        for kind, pattern in (
            (VisionConfig, "vision*.toml"),
            (AlignmentConfig, "alignment*.toml"),
            (CaptionerConfig, "*captioner*.toml"),
            (ExportConfig, "export*.toml"),
        )
        for file in sorted((Path(__file__).parents[2] / "recipes").glob(f"*/{pattern}"))
    ],
    ids=lambda value: value.parent.name + "/" + value.name if isinstance(value, Path) else None,
)
def test_every_recipe_can_be_read(file: Path, kind: type) -> None:
    assert isinstance(read_config(file, kind), kind)
