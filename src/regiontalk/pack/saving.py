"""Saving packs: written to a temporary folder, validated by loading, then renamed."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from regiontalk import fingerprints
from regiontalk.errors import PackError, memory_errors
from regiontalk.files import fitting_name, sha256_hex
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.pack.loading import (
    FORMAT,
    FORMAT_VERSION,
    INT8,
    SETTINGS_FILE,
    TRAINING_PHOTOS_FILE,
    VISION_FILE,
    VOCABULARY_FILE,
    Arrays,
    Pack,
    check_shapes,
    tensor_shapes,
)
from regiontalk.settings import PackSettings
from regiontalk.vision.session import VisionSession


def save_pack(
    folder: str | os.PathLike[str],
    settings: PackSettings,
    arrays: Arrays,
    vision_onnx: bytes,
    vocabulary: Vocabulary,
    training_photos: np.ndarray | None = None,
) -> Pack:
    """Write a pack to a temporary folder, validate it by loading, then rename: never a partial one.

    Args:
        folder: the pack's folder. An existing pack is replaced; anything else is refused.
        arrays: tensors by file and name, of any float dtype; stored as float16, but for `INT8`.
        vocabulary: shared by the words network and both captioners.
        training_photos: (K, 16) uint8, fingerprints of the photos that any part was trained on, as
            `fingerprints.listed` returns them; None for a pack without contamination checks.

    Returns:
        The pack, read back from its folder.

    Raises:
        PackError: if the parts do not fit together, a number is too large for float16, the folder
            holds something else, or the disk is full.
        ValueError: if `training_photos` is not a valid list of fingerprints.
    """
    folder = Path(folder).resolve()
    refuse_foreign_folder(folder)
    contents = {VISION_FILE: vision_onnx, VOCABULARY_FILE: _json_bytes(vocabulary.to_json())}
    for name, shapes in tensor_shapes(settings, len(vocabulary), len(vocabulary.placed)).items():
        contents[f"{name}.safetensors"] = _tensor_bytes(
            folder / f"{name}.safetensors", arrays.get(name, {}), shapes
        )
    if training_photos is not None:
        contents[TRAINING_PHOTOS_FILE] = fingerprints.to_bytes(training_photos)
    # Validates the graph, which `Pack.load` leaves to the session
    VisionSession(
        vision_onnx, arrays["projection"], settings.vision, name=str(folder / VISION_FILE)
    )
    checksums = {name: sha256_hex(content) for name, content in contents.items()}
    header = {"format": FORMAT, "format_version": FORMAT_VERSION}
    contents[SETTINGS_FILE] = _json_bytes(header | settings.to_json() | {"files": checksums})
    partial = folder.with_name(fitting_name(f".{folder.name}", f".{secrets.token_hex(4)}.partial"))
    try:
        partial.mkdir(parents=True)
        for name, data in contents.items():
            (partial / name).write_bytes(data)
        Pack.load(partial)
        _move_into_place(partial, folder)
    except OSError as error:
        raise PackError(f"{folder}: the pack could not be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Pack.load(folder)


def _tensor_bytes(
    path: Path, tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> bytes:
    """Serialise tensors as safetensors, in float16 but for `INT8`."""
    check_shapes(path, {name: tensor.shape for name, tensor in tensors.items()}, shapes)
    with np.errstate(over="ignore"):
        stored = {
            name: np.ascontiguousarray(tensor, dtype=np.float16) for name, tensor in tensors.items()
        }
    for name, half in stored.items():
        if not np.isfinite(half).all():
            raise PackError(
                f"{path}: {name} holds a number that is not finite or beyond float16's 65504."
            )
    file, name = INT8
    if path.name == file:
        stored[name] = np.ascontiguousarray(
            np.rint(np.clip(tensors[name], -1, 1) * 127), dtype=np.int8
        )
    with memory_errors():
        return safetensors.numpy.save(stored)


def refuse_foreign_folder(folder: Path) -> None:
    """Check that a folder may be overwritten: it is missing, empty or holds a pack.

    Raises:
        PackError: if it holds anything else.
    """
    if not folder.exists() or (
        folder.is_dir() and ((folder / SETTINGS_FILE).is_file() or not any(folder.iterdir()))
    ):
        return
    raise PackError(
        f"{folder}: holds something that is not a pack and will not be replaced. "
        "Name another folder."
    )


def _move_into_place(partial: Path, folder: Path) -> None:
    """Rename the new pack into place; the old one is kept as a backup until then."""
    old = partial.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    try:
        partial.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _json_bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
