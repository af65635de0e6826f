import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from regiontalk.cli import main
from regiontalk.errors import TrainingError
from regiontalk.training.checkpoint import FILE_NAME, KEPT_SETTINGS, run_settings
from regiontalk.training.regions import bare_session
from regiontalk.training.train_alignment import AlignmentConfig, read_alignment, train_alignment
from regiontalk.training.train_average import AverageConfig, train_average
from regiontalk.training.vision_graph import read_graph, read_settings, read_vision

FILES = ("alignment.safetensors", "vision.safetensors")


@pytest.fixture(scope="module")
def tuned(alignment_config: AlignmentConfig, alignment_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tuned the backbone."""
    output = tmp_path_factory.mktemp("tuned")
    train_alignment(
        replace(alignment_config, start=alignment_run, output=output, epochs=1, captions=2, vision_learning_rate=1e-3)
    )
    return output


def altered(run: Path, folder: Path, factor: float) -> Path:
    """The run with all its weights multiplied."""
    shutil.copytree(run, folder)
    for name in FILES:
        tensors = {key: value * factor for key, value in load_file(run / name).items()}
        save_file(tensors, folder / name)
    return folder


def test_the_mean_of_runs_is_a_finished_run(alignment_config: AlignmentConfig, tuned: Path, tmp_path: Path) -> None:
    other = altered(tuned, tmp_path / "other", 3.0)
    config = AverageConfig(data=alignment_config.data, runs=(tuned, other), output=tmp_path / "mean")
    assert train_average(config) == tmp_path / "mean/alignment.safetensors"
    for name in FILES:
        before, after = load_file(tuned / name), load_file(config.output / name)
        assert before.keys() == after.keys()
        for key, value in before.items():
            if value.is_floating_point():
                torch.testing.assert_close(after[key], 2 * value)
    vocabulary, _ = read_alignment(config.output)
    assert vocabulary.words == read_alignment(tuned)[0].words
    trained = run_settings(tuned)
    assert run_settings(config.output) == {"data": trained["data"], "score": "max"}
    settings = read_settings(config.output)
    assert settings == read_settings(tuned) and read_vision(config.output)[0].backbone.dim == settings.feature_dim
    session, _ = bare_session(read_graph(config.output), settings)
    assert np.isfinite(session.run(np.zeros((1, settings.size, settings.size, 3), np.uint8))[0]).all()


def test_one_run_in_half_precision_is_written_anew(
    alignment_config: AlignmentConfig, tuned: Path, tmp_path: Path
) -> None:
    """As a recipe keeps it: no graph, weights in float16."""
    kept = shutil.copytree(tuned, tmp_path / "kept", ignore=shutil.ignore_patterns("vision.onnx", "checkpoint*"))
    for name in FILES:
        tensors = {
            key: value.half() if value.is_floating_point() else value for key, value in load_file(tuned / name).items()
        }
        save_file(tensors, kept / name)
    train_average(AverageConfig(data=alignment_config.data, runs=(kept,), output=tmp_path / "out"))
    for name in FILES:
        for key, value in load_file(tmp_path / "out" / name).items():
            torch.testing.assert_close(value, load_file(kept / name)[key].to(value.dtype))
    read_graph(tmp_path / "out")


def test_the_command_reads_its_configuration(
    alignment_config: AlignmentConfig, tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mean.toml"
    config.write_text(f'data = "{alignment_config.data}"\nruns = ["{tuned}", "{tuned}"]\noutput = "out"\n')
    with pytest.raises(SystemExit) as ended:
        main(["train", "average", str(config)])
    assert not ended.value.code
    assert capsys.readouterr().out.strip() == str((tmp_path / "out/alignment.safetensors").resolve())
    config.write_text(config.read_text().replace('"out"', f'"{tuned}"'))
    with pytest.raises(SystemExit) as ended:
        main(["train", "average", str(config)])
    assert ended.value.code == 2 and "output must be another folder" in capsys.readouterr().err


def test_runs_that_do_not_belong_together_are_told(
    alignment_config: AlignmentConfig, alignment_run: Path, tuned: Path, tmp_path: Path
) -> None:
    def refused(run: Path, match: str) -> None:
        with pytest.raises(TrainingError, match=match):
            train_average(AverageConfig(data=alignment_config.data, runs=(tuned, run), output=tmp_path / "mean"))
        assert not (tmp_path / "mean").exists()

    refused(alignment_run, "did not tune the backbone")
    refused(tmp_path / "none", r"vocabulary\.json: not found; finish the run")
    sums = altered(tuned, tmp_path / "sums", 1.0)
    (sums / FILE_NAME).unlink()
    (sums / KEPT_SETTINGS).write_text('{"score": "sum"}')
    refused(sums, "its score is 'sum', that of .* is 'max'")
    words = altered(tuned, tmp_path / "words", 1.0)
    vocabulary = json.loads((words / "vocabulary.json").read_text())
    vocabulary["counts"][-1] += 1
    (words / "vocabulary.json").write_text(json.dumps(vocabulary))
    refused(words, "words: its vocabulary is not that of")
    photos = altered(tuned, tmp_path / "photos", 1.0)
    settings = json.loads((photos / "vision.json").read_text())
    settings["proposals"] -= 1
    (photos / "vision.json").write_text(json.dumps(settings))
    refused(photos, r"photos: its vision\.json is not that of")
    sizes = altered(tuned, tmp_path / "sizes", 1.0)
    tensors = load_file(sizes / "alignment.safetensors")
    save_file({**tensors, "log_scale": torch.zeros(2)}, sizes / "alignment.safetensors")
    refused(sizes, r"alignment\.safetensors: other tensors than in")


@pytest.mark.parametrize("runs", [(), ("a", "out")])
def test_settings_without_sense_are_refused(runs: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"at least one|another folder"):
        AverageConfig(data=Path("data"), runs=tuple(map(Path, runs)), output=Path("out"))
