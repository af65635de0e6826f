"""Which photos a pack was trained on: their fingerprints, so that evaluations recognise them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from regiontalk.data import read_dataset
from regiontalk.errors import ConfigError, DataError
from regiontalk.fingerprints import BYTES, MOST, fingerprint, fingerprint_files, listed, recognised
from regiontalk.photos import find_photos
from regiontalk.training.checkpoint import run_settings

STORED_PHOTOS = "photos.npy"
"""Of a teacher store: (N, S, S, 3) uint8."""


def training_photos(data: Sequence[Path], photos: Sequence[Path]) -> np.ndarray | None:
    """The fingerprints of all photos that a pack was trained on.

    Args:
        data: folders of captioned photos; of each the train split.
        photos: teacher stores, and folders of photos, which are searched.

    Returns:
        (K, 16) uint8, as `listed`; None if nothing is named.

    Raises:
        DataError: if a folder holds no photo, a store is damaged, or there are more than `MOST`.
        PhotoError: if a photo is broken.
    """
    found = [fingerprint_files(photo.file for photo in read_dataset(folder, "train").photos) for folder in data]
    found += [_fingerprints_in(folder) for folder in photos]
    if not found:
        return None
    known = found[0]
    for part in found[1:]:  # a store's photos may be data's own, scaled: once is enough
        known = np.concatenate([known, part[~recognised(part, known)]])
    known = listed(known)
    if not 0 < len(known) <= MOST:
        raise DataError(f"expected 1 to {MOST} different training photos that are not blank, found {len(known)}")
    return known


def require_named(runs: Sequence[Path], data: Sequence[Path]) -> None:
    """Makes sure that no run's dataset was forgotten, as far as the runs' checkpoints are still there to tell.

    Raises:
        ConfigError: if a run was trained on a dataset whose folder's name is not among those of `data`.
        TrainingError: if a checkpoint is damaged.
    """
    for run in runs:
        name = run_settings(run).get("data")
        if isinstance(name, str) and name not in {folder.name for folder in data}:
            raise ConfigError(
                f"{run}: was trained on the dataset {name!r}, which data does not name; add its folder, so that the "
                "pack can list its photos"
            )


def photos_in(folder: Path) -> np.ndarray | list[Path]:
    """The photos of a teacher store, (N, S, S, 3) uint8 mapped into memory, or the files below a folder of photos.

    Raises:
        DataError: if it holds no photo, or the store is damaged.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of photos or a teacher store, found none")
    if (folder / STORED_PHOTOS).exists():
        return _stored(folder / STORED_PHOTOS)
    files = find_photos(folder)
    if not files:
        raise DataError(f"{folder}: holds no photo")
    return files


def _fingerprints_in(folder: Path) -> np.ndarray:
    """(N, 16)."""
    found = photos_in(folder)
    if isinstance(found, list):
        return fingerprint_files(found)
    return np.array([fingerprint(Image.fromarray(photo)) for photo in found], np.uint8).reshape(-1, BYTES)


def _stored(file: Path) -> np.ndarray:
    try:
        pixels = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not a NumPy array ({error})") from error
    if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
        raise DataError(f"{file}: expected (N, S, S, 3) uint8, found {pixels.shape} {pixels.dtype}")
    return pixels
