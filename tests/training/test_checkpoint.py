"""Checkpoints: what is damaged, foreign or not writable is told, and never half taken."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from regiontalk.errors import TrainingError
from regiontalk.training import checkpoint
from regiontalk.training.checkpoint import (
    FILE_NAME,
    load_checkpoint,
    read_finished_json,
    save_checkpoint,
)

from .test_loop import make_task


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "an object expected"),
        ('{"a": 1', "damaged"),
        ('{"a": 1}', "no b"),
        (None, "not found"),
    ],
)
def test_what_a_finished_run_says_is_told_where_it_is_damaged(
    tmp_path: Path, text: str | None, told: str
) -> None:
    def made(content: dict[str, object]) -> object:
        if "b" not in content:
            raise ValueError("no b")
        return content["b"]

    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(TrainingError, match=rf"run\.json: .*{told}"):
        read_finished_json(tmp_path, "run.json", made)
    (tmp_path / "run.json").write_text('{"b": 2}')
    assert read_finished_json(tmp_path, "run.json", made) == 2


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    save_checkpoint(tmp_path, task.network, task.optimiser, 3, task.run)
    kept = (tmp_path / FILE_NAME).read_bytes()

    def fail(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(
        TrainingError, match=r"checkpoint\.safetensors: cannot be written \(No space"
    ):
        save_checkpoint(tmp_path, task.network, task.optimiser, 4, task.run)
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME] and (
        tmp_path / FILE_NAME
    ).read_bytes() == kept


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path, seed: int) -> None:
    """Bytes changed, cut off, moved or doubled: only the known error, never other weights."""
    task, other = make_task(), make_task()
    save_checkpoint(tmp_path, task.network, task.optimiser, 3, task.run)
    file, rng = tmp_path / FILE_NAME, np.random.default_rng(seed)
    content = bytearray(file.read_bytes())
    place = int(rng.integers(len(content)))
    if seed % 4 == 0:
        content = content[:place]
    elif seed % 4 == 1:
        content[place : place + 8] = rng.bytes(8)
    else:
        content[place if seed % 4 == 2 else place % 600] ^= int(rng.integers(1, 256))
    file.write_bytes(content)
    try:
        assert load_checkpoint(tmp_path, other.network, other.optimiser, other.run) == 3
    except TrainingError as error:
        assert str(file) in str(error)
    else:  # spaces behind the header may be others
        for name, value in task.network.state_dict().items():
            assert torch.equal(value, other.network.state_dict()[name])


def test_a_checkpoint_without_a_checksum_is_refused(tmp_path: Path) -> None:
    task = make_task()
    (tmp_path / FILE_NAME).write_bytes(save({"a": torch.zeros(1)}, {"run": task.run, "step": "3"}))
    with pytest.raises(TrainingError, match="holds no checksum"):
        load_checkpoint(tmp_path, task.network, task.optimiser, task.run)


def test_a_whole_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    task = make_task()
    checkpoint.write_tensors(
        {"network.a": torch.zeros(1)}, tmp_path / FILE_NAME, {"run": task.run, "step": "3"}
    )
    with pytest.raises(TrainingError, match="does not fit this run"):
        load_checkpoint(tmp_path, task.network, task.optimiser, task.run)


def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task()
    save_checkpoint(tmp_path, task.network, task.optimiser, 3, "{}")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unable to mmap 40000080 bytes from file: Cannot allocate memory (12)")

    monkeypatch.setattr(checkpoint, "safe_open", fail)
    with pytest.raises(
        TrainingError, match=r"checkpoint\.safetensors: too little memory to read it"
    ):
        load_checkpoint(tmp_path, task.network, task.optimiser, "{}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_no_checkpoint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE_NAME)
    with pytest.raises(TrainingError, match="expected a regular file"):
        load_checkpoint(tmp_path, make_task().network, make_task().optimiser, "{}")
