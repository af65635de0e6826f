from __future__ import annotations

from pathlib import Path

import numpy as np

from regiontalk.evaluation.signature import file_sha256, photo_counts, span


def test_counts() -> None:
    assert photo_counts(np.array([5, 4, 5])) == {"photos": 3, "captions": 14, "captions_per_photo": "4 to 5"}
    assert span([5, 5]) == "5"


def test_checksum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # The example of FIPS 180-2.
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
