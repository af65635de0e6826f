"""Ways to change a pack, and that it is refused then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from regiontalk.errors import PackError
from regiontalk.pack import Pack, save_pack

from ..tiny_pack import (
    tiny_arrays,
    tiny_settings,
    tiny_vision_onnx,
    tiny_vocabulary,
)


def edit(pack: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change pack.json."""
    content = json.loads((pack / "pack.json").read_text())
    change(content)
    (pack / "pack.json").write_text(json.dumps(content))


def put(pack: Path, name: str, data: bytes) -> None:
    """Replace a file and its checksum: damage that only its own check can find."""
    (pack / name).write_bytes(data)
    edit(pack, lambda content: content["files"].update({name: hashlib.sha256(data).hexdigest()}))


def put_tensors(pack: Path, name: str, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    tensors = safetensors.numpy.load_file(pack / name)
    change(tensors)
    put(pack, name, safetensors.numpy.save(tensors))


def refuse(pack: Path, file: str, message: str) -> None:
    with pytest.raises(PackError, match=message) as caught:
        Pack.load(pack)
    assert str(caught.value).startswith(f"{pack / file if file else pack}: ")
    assert len(str(caught.value)) < 1200
    assert str(caught.value).isprintable()


def with_placed(folder: Path, vectors: np.ndarray) -> Path:
    """A tiny pack with two placed words of these vectors (2, 3)."""
    settings = tiny_settings("gru", "gru")
    arrays, embedding = tiny_arrays(settings), settings.words.embedding
    arrays["placed"] = {"vectors": vectors, "W_g": np.ones((3, embedding), np.float32)}
    settings = replace(settings, words=replace(settings.words, vector_dim=3))
    vocabulary = tiny_vocabulary().with_placed(("zither", "zebu"))
    save_pack(folder, settings, arrays, tiny_vision_onnx(), vocabulary)
    return folder
