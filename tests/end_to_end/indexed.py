"""What an index holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regiontalk.search.index import Index

posix = pytest.mark.skipif(os.name != "posix", reason="processes and limits of POSIX")


def names(index: Path) -> list[str]:
    """The names of the photos that an index holds, sorted; all of it is sound."""
    opened = Index.open(index)
    opened.verify()
    return sorted(Path(entry.path).name for _, entry in opened.entries())


def content(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that an index holds of each photo."""
    opened = Index.open(folder)
    opened.verify()
    held = {}
    for position, entry in opened.entries():
        regions = opened.regions(position)
        arrays = (regions.vectors, regions.boxes_xyxy, regions.scores)
        assert entry.path not in held
        held[entry.path] = (entry, regions.hubness, *(array.tobytes() for array in arrays))
    return held
