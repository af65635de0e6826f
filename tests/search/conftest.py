"""Indexes to test with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from regiontalk.search.index import Index


@pytest.fixture
def make_index(tmp_path: Path) -> Callable[..., Index]:
    """As `made.build`, in a folder of this test's."""
    from .made import build

    return partial(build, tmp_path / "made.index")
