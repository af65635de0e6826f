"""Fingerprints.

Copies of a photo keep theirs, other photos have others, and lists come back as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from regiontalk.errors import PhotoError
from regiontalk.fingerprints import (
    BYTES,
    MOST,
    NEAR,
    fingerprint,
    fingerprint_files,
    from_bytes,
    listed,
    recognised,
    to_bytes,
)


def photo(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Soft blobs with finer ones on them, as photos have."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize(size), float
        )
        for n in (4, 9, 30)
    ]
    return Image.fromarray((layers[0] * 0.5 + layers[1] * 0.3 + layers[2] * 0.2).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def apart(one: Image.Image, other: Image.Image) -> int:
    return int(np.bitwise_count(fingerprint(one) ^ fingerprint(other)).sum())


def test_a_single_wave_sets_its_bit() -> None:
    """cos(pi (x + 1/2) / 32) across the photo is the wave (0, 1), the first of all after the mean.

    No other wave is in it, and half of 128 waves and more being 0, so is their median.
    """
    wave = 128 + 100 * np.cos(np.pi * (np.arange(32) + 0.5) / 32)
    rows = np.tile(np.round(wave).astype(np.uint8), (32, 1))
    assert fingerprint(Image.fromarray(rows))[0] & 0x80
    assert fingerprint(Image.fromarray(rows.T))[0] & 0x40  # (1, 0) comes next
    assert not fingerprint(Image.fromarray(255 - rows))[0] & 0x80


def test_a_blank_photo_has_no_bits() -> None:
    for colour in ("black", "white", (12, 130, 77)):
        assert not fingerprint(Image.new("RGB", (40, 30), colour)).any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "copy",
    [
        lambda image: image.resize((224, 224), Image.Resampling.BICUBIC),
        lambda image: image.resize((900, 600)),
        lambda image: jpeg(image, 30),
        lambda image: jpeg(image.resize((100, 75)), 80),
        ImageOps.grayscale,
    ],
    ids=["squashed", "enlarged", "compressed", "small", "grey"],
)
def test_copies_are_recognised(seed: int, copy: Callable[[Image.Image], Image.Image]) -> None:
    assert apart(photo(seed), copy(photo(seed))) <= NEAR // 2


def test_other_photos_are_not() -> None:
    fingerprints = np.stack([fingerprint(photo(seed)) for seed in range(60)])
    apart = np.bitwise_count(fingerprints[:, None] ^ fingerprints[None]).sum(axis=2, dtype=int)
    others = apart[~np.eye(60, dtype=bool)]
    assert others.min() > NEAR + 8
    assert 56 < others.mean() < 72  # half of 128
    assert apart[0, 0] == 0
    assert np.array_equal(recognised(fingerprints[:20], fingerprints[10:]), np.arange(20) >= 10)


def test_files_are_upright_and_in_order(tmp_path: Path) -> None:
    first, second = photo(1), photo(2)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    first.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    second.save(tmp_path / "b.png")
    done: list[int] = []
    found = fingerprint_files([tmp_path / "turned.jpg", tmp_path / "b.png"], done.append)
    assert done == [1, 1]
    assert np.bitwise_count(found[0] ^ fingerprint(first)).sum() <= 4
    assert np.array_equal(found[1], fingerprint(second))
    assert fingerprint_files([]).shape == (0, BYTES)
    (tmp_path / "c.jpg").write_bytes(b"broken")
    with pytest.raises(PhotoError, match=r"c\.jpg"):
        fingerprint_files([tmp_path / "c.jpg"])


fingerprints_of = st.lists(st.binary(min_size=BYTES, max_size=BYTES), max_size=12).map(
    lambda each: np.frombuffer(b"".join(each), np.uint8).reshape(-1, BYTES)
)


@given(fingerprints_of, fingerprints_of, st.integers(0, 2**16))
def test_recognising_is_counting_bits(asked: np.ndarray, known: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if len(asked) and len(known):  # random ones are never near: flip a few bits of a known one
        flipped = np.unpackbits(known[rng.integers(len(known))])
        flipped[rng.choice(128, rng.integers(NEAR - 2, NEAR + 3), replace=False)] ^= 1
        asked = np.concatenate([asked, np.packbits(flipped)[None]])
    expected = [
        bool(a.any()) and any(int(np.unpackbits(a ^ k).sum()) <= NEAR for k in known) for a in asked
    ]  # one pair at a time
    assert recognised(asked, known).tolist() == expected


def test_many_photos_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    known = rng.integers(0, 256, (50, BYTES), dtype=np.uint8)
    asked = np.concatenate([known[::7], rng.integers(0, 256, (9, BYTES), dtype=np.uint8)])
    whole = recognised(asked, known)
    monkeypatch.setattr("regiontalk.fingerprints._PAIRS", 120)
    assert np.array_equal(recognised(asked, known), whole)
    assert whole.sum() == 8


@given(fingerprints_of)
def test_a_list_comes_back(found: np.ndarray) -> None:
    known = listed(found)
    assert {bytes(each) for each in known} == {bytes(each) for each in found} - {bytes(BYTES)}
    if len(known):
        assert np.array_equal(from_bytes(to_bytes(known)), known)
    else:
        with pytest.raises(ValueError, match="found 0 bytes"):
            to_bytes(known)


LOW, HIGH = b"\0" * 8 + b"\1" + b"\0" * 7, b"\1" + b"\0" * 15


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found 0 bytes"),
        (HIGH[:-1], "found 15 bytes"),
        (HIGH + b"\0", "found 17 bytes"),
        (HIGH + LOW, "rising order"),
        (LOW + LOW, "rising order"),
        (bytes(16) + LOW, "none of a blank photo"),
    ],
)
def test_what_is_no_list(data: bytes, message: str) -> None:
    assert len(from_bytes(LOW + HIGH)) == 2
    with pytest.raises(ValueError, match=message):
        from_bytes(data)


def test_a_list_that_is_too_long() -> None:
    with pytest.raises(ValueError, match=f"1 to {MOST} fingerprints"):
        from_bytes(bytes(BYTES * (MOST + 1)))
