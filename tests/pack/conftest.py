"""A pack to be damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def pack(tiny_pack: Path, tmp_path: Path) -> Path:
    """A copy of the tiny pack, to be damaged."""
    return Path(shutil.copytree(tiny_pack, tmp_path / "pack"))
