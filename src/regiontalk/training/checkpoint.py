"""Checkpoints: the full state of a run in one safetensors file, for exact resumption.

No pickle. A checkpoint holds the network, the EMA of its weights if there is one, the optimiser's
moments, the random state and the step. Like all weights here it is written by atomic rename, so
that a kill at any moment leaves either the old or the new one, and carries a checksum of its
content, which is verified before any is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from regiontalk.errors import PackError, TrainingError, memory_errors
from regiontalk.files import open_regular, read_text, written
from regiontalk.json_files import parse_json
from regiontalk.training.config import require_same_run

FILE_NAME = "checkpoint.safetensors"
KEPT_SETTINGS = "run.json"
"""Settings of a run without a checkpoint, kept for checks by later runs and exports."""
MAX_BYTES = 1 << 35
"""Larger files of weights are refused."""

_CHECKSUM = "sha256"

Made = TypeVar("Made")


def save_checkpoint(
    folder: Path,
    network: nn.Module,
    optimiser: Optimizer,
    step: int,
    run: str,
    mean: Sequence[Tensor] = (),
) -> None:
    """Write `folder/checkpoint.safetensors`.

    Args:
        run: identifies the run (`identity`); a checkpoint of another run is refused on loading.
        mean: the EMA, a tensor for each parameter, see `Ema`.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {
            f"optimiser.{index}.{key}": torch.as_tensor(value)
            for key, value in state.items()
            if value is not None
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
    tensors, metadata = read_tensors(path, "remove it to start this run anew")
    require_same_run(path, metadata["run"], run)
    try:
        network.load_state_dict(
            {n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")}
        )
        optimiser.load_state_dict({**optimiser.state_dict(), "state": optimiser_state(tensors)})
        for index, value in enumerate(mean):
            value.copy_(tensors[f"mean.{index}"])
        torch.set_rng_state(tensors["random"])
        if torch.cuda.is_available() and "random_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random_cuda"])
        return int(metadata["step"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        # Its checksum is right, so the file is intact but of another layout
        raise TrainingError(
            f"{path}: does not fit this run ({str(error).splitlines()[0]}), it may be of another "
            "version; remove it to start this run anew"
        ) from error


def run_settings(run: Path) -> dict[str, Any]:
    """The settings of a run, from its checkpoint or `run.json`; of paths the names.

    Empty if there is neither.

    Raises:
        TrainingError: if the file is damaged.
    """
    path = run / FILE_NAME
    if path.exists():
        _, metadata = read_tensors(path, "remove it")
        text = metadata["run"]
    elif (path := run / KEPT_SETTINGS).exists():
        text = read_text(path, error=TrainingError)
    else:
        return {}
    try:
        settings = parse_json(text)
    except ValueError as error:
        raise TrainingError(f"{path}: damaged ({error}); remove it") from error
    return settings if isinstance(settings, dict) else {}


def optimiser_state(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """`optimiser.<parameter>.<key>` entries in the form of `Optimizer.load_state_dict`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    return state


def require_finished(run: Path, name: str) -> None:
    """Check that a run has written a file.

    Raises:
        TrainingError: if it has not.
    """
    if not (run / name).exists():
        raise TrainingError(
            f"{run / name}: not found; finish the run that writes to this folder first"
        )


def read_finished(run: Path, name: str) -> dict[str, Tensor]:
    """The weights of a finished run, as float32.

    Raises:
        TrainingError: if the run is not finished, or the file is damaged.
    """
    require_finished(run, name)
    tensors, _ = read_tensors(run / name, "remove it and give that run's command again")
    return {tensor: value.float() for tensor, value in tensors.items()}


def read_finished_json(run: Path, name: str, made: Callable[[dict[str, Any]], Made]) -> Made:
    """Read a JSON object of a finished run and convert it by `made`.

    Raises:
        TrainingError: if the run is not finished, or the file is damaged.
    """
    require_finished(run, name)
    try:
        content = parse_json(read_text(run / name, error=TrainingError))
        if not isinstance(content, dict):
            raise ValueError("an object expected")
        return made(content)
    except (PackError, ValueError) as error:
        raise TrainingError(
            f"{run / name}: damaged ({error}); give that run's command again"
        ) from error


def save_tensors(network: nn.Module, file: Path) -> None:
    """Write a network's weights and buffers."""
    write_tensors(network.state_dict(), file)


def write_tensors(
    tensors: Mapping[str, Tensor], file: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a file of weights with its checksum.

    Raises:
        TrainingError: if it cannot be written; an earlier file stays untouched.
    """
    unaliased = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    metadata = {"run": "{}", **(metadata or {})}
    with memory_errors():
        content = save(
            unaliased, metadata={**metadata, _CHECKSUM: tensors_sha256(unaliased, metadata)}
        )
    try:
        with written(file) as stream:
            stream.write(content)
    except OSError as error:  # a full disk too
        raise TrainingError(
            f"{file}: cannot be written ({error.strerror}); the same command goes on once it can"
        ) from error


def read_tensors(file: Path, advice: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read and verify a file of `write_tensors`: the tensors, and the metadata with "run" in it.

    Args:
        advice: what to do about a damaged file.

    Raises:
        TrainingError: if it is no regular file, damaged, or of a version that wrote no checksum.
    """
    with open_regular(file, MAX_BYTES, TrainingError):
        pass
    try:
        with memory_errors(), safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise TrainingError(f"{file}: damaged ({error}); {advice}") from error
    except MemoryError:
        raise TrainingError(f"{file}: too little memory to read it") from None
    checksum = metadata.pop(_CHECKSUM, None)
    if checksum is None or "run" not in metadata:
        raise TrainingError(
            f"{file}: holds no checksum: damaged, or of an earlier version of RegionTalk; {advice}"
        )
    if checksum != tensors_sha256(tensors, metadata):
        raise TrainingError(f"{file}: damaged, its checksum does not fit; {advice}")
    return tensors, metadata


def tensors_sha256(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Checksum of names, types, shapes, values and metadata, in whatever order in the file."""
    digest = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name, value in sorted(tensors.items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
