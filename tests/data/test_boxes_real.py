"""The readers of boxes and captions on real files, where they lie beside the repository."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from regiontalk.data import Selection, read_dataset, read_voc

DATA = Path(os.environ.get("REGIONTALK_DATA") or Path(__file__).parents[3] / "shared" / "data")

pytestmark = pytest.mark.data


@pytest.mark.skipif(
    not (DATA / "voc").is_dir(), reason="needs voc below ../shared/data or $REGIONTALK_DATA"
)
def test_voc() -> None:
    found = read_voc(DATA / "voc")
    labels = Counter(label for photo in found.photos for (label,) in photo.texts)
    assert len(found) == 3326
    assert (labels["dog"], labels["cat"], labels["train"], len(labels)) == (1486, 1202, 1, 19)
    assert len(read_voc(DATA / "voc", selection=Selection(every=6))) == 555


@pytest.mark.skipif(
    not (DATA / "coco").is_dir(), reason="needs coco below ../shared/data or $REGIONTALK_DATA"
)
def test_captioned_coco() -> None:
    dataset = read_dataset(DATA / "coco" / "captioned.json", "all")
    assert (dataset.name, len(dataset)) == ("captioned", 172)
