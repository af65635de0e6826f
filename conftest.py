"""What all tests share; those of the building half are skipped where it is not installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

_BUILDING = (Path("src/regiontalk/training"), Path("tests/training"))


class _NotInstalled(pytest.Directory):
    """A folder of tests that cannot even be imported."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        pytest.skip("needs the extra train (PyTorch)", allow_module_level=True)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Takes the place of folders that need PyTorch, where there is none."""
    own = [Path(__file__).parent / folder for folder in _BUILDING]
    if path not in own or find_spec("torch") is not None:
        return None
    return _NotInstalled.from_parent(parent, path=path)
