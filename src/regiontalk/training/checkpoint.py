"""Checkpoints: everything a run needs to go on as if it had never stopped, in one safetensors file. No pickle.

A checkpoint holds the network, the running mean of its weights if there is one, the optimiser's moments, the random
state and the step, and is written beside its final name and renamed, so that a kill at any moment leaves either the old
or the new one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from regiontalk.errors import TrainingError

FILE_NAME = "checkpoint.safetensors"
KEPT_SETTINGS = "run.json"
"""Of a run without a checkpoint: what later ones must know of its settings."""


def save_checkpoint(
    folder: Path, network: nn.Module, optimiser: Optimizer, step: int, run: str, mean: Sequence[Tensor] = ()
) -> None:
    """Write `folder/checkpoint.safetensors`.

    Args:
        run: what identifies the run; a checkpoint of another run is refused on loading.
        mean: a tensor for each parameter, see `RunningMean`.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {
            f"optimiser.{index}.{key}": torch.as_tensor(value) for key, value in state.items() if value is not None
        }
    tensors |= {f"mean.{index}": value for index, value in enumerate(mean)}
    tensors["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random_cuda"] = torch.cuda.get_rng_state()
    write_tensors(tensors, folder / FILE_NAME, {"step": str(step), "run": run})


def load_checkpoint(
    folder: Path, network: nn.Module, optimiser: Optimizer, run: str, mean: Sequence[Tensor] = ()
) -> int:
    """Restore a run in place.

    Returns:
        The step to go on with; 0 if there is no checkpoint.

    Raises:
        TrainingError: if the checkpoint is damaged or belongs to another run.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path}: damaged checkpoint ({error}); remove it to start this run anew") from error
    if metadata.get("run") != run:
        raise TrainingError(
            f"{path}: belongs to a run with other settings; choose another output folder, or remove it to start anew\n"
            f"  then: {describe_difference(metadata.get('run', '{}'), run)}"
        )
    network.load_state_dict({n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")})
    optimiser.load_state_dict({**optimiser.state_dict(), "state": optimiser_state(tensors)})
    for index, value in enumerate(mean):
        value.copy_(tensors[f"mean.{index}"])
    torch.set_rng_state(tensors["random"])
    if torch.cuda.is_available() and "random_cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random_cuda"])
    return int(metadata["step"])


def run_settings(run: Path) -> dict[str, Any]:
    """The settings that a run's checkpoint is of, or that were kept, as far as either is there to tell; of paths the
    names.

    Raises:
        TrainingError: if the file is damaged.
    """
    path = run / FILE_NAME
    try:
        if path.exists():
            with safe_open(path, framework="pt") as file:
                settings = json.loads((file.metadata() or {}).get("run", "{}"))
        else:
            path = run / KEPT_SETTINGS
            settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (SafetensorError, OSError, ValueError) as error:
        raise TrainingError(f"{path}: damaged ({error}); remove it") from error
    return settings if isinstance(settings, dict) else {}


def optimiser_state(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """`optimiser.<parameter>.<key>` entries, as `Optimizer.load_state_dict` wants them."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    return state


def describe_difference(before: str, now: str) -> str:
    """The settings in which two runs (JSON objects) differ."""
    try:
        a, b = json.loads(before), json.loads(now)
    except json.JSONDecodeError:
        return "unknown"
    differing = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    return ", ".join(f"{key} was {a.get(key)!r}, is {b.get(key)!r}" for key in differing) or "nothing differs"


def require_finished(run: Path, *names: str) -> None:
    """See that a run has written these files.

    Raises:
        TrainingError: if it has not.
    """
    if missing := [name for name in names if not (run / name).exists()]:
        raise TrainingError(f"{run / missing[0]}: not found; finish the run that writes to this folder first")


def read_finished(run: Path, name: str) -> dict[str, Tensor]:
    """The weights of a finished run, as float32.

    Raises:
        TrainingError: if the run is not finished, or the file is damaged.
    """
    require_finished(run, name)
    try:
        return {tensor: value.float() for tensor, value in load_file(run / name).items()}
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{run / name}: damaged ({error}); remove it and give that run's command again") from error


def save_tensors(network: nn.Module, file: Path) -> None:
    """A network's weights and buffers."""
    write_tensors(network.state_dict(), file)


def write_tensors(tensors: Mapping[str, Tensor], file: Path, metadata: dict[str, str] | None = None) -> None:
    """Write beside `file`, make sure it is on the disk, then rename.

    Raises:
        TrainingError: if it cannot be written; what lay there before is untouched.
    """
    beside = file.with_suffix(".part")
    unaliased = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    try:
        save_file(unaliased, beside, metadata=metadata)
    except SafetensorError as error:  # a full disk too
        beside.unlink(missing_ok=True)
        raise TrainingError(f"{file}: cannot be written ({error}); the same command goes on once it can") from error
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(file)
