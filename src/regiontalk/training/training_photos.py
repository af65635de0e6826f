"""Which photos a pack was trained on: their fingerprints, so that evaluations recognise them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regiontalk.data import read_dataset
from regiontalk.errors import ConfigError, DataError
from regiontalk.fingerprints import MOST, fingerprint_files, listed, recognised
from regiontalk.photos.folders import find_photos
from regiontalk.training.box_labels import read_box_labels
from regiontalk.training.checkpoint import run_settings


def training_photos(data: Sequence[Path], photos: Sequence[Path], max_pixels: int | None = None) -> np.ndarray | None:
    """The fingerprints of all photos that a pack was trained on.

    Args:
        data: folders of captioned photos; of each the train split.
        photos: files of boxes with names (`boxes.jsonl`), and folders of photos, which are searched.
        max_pixels: see `open_photo`.

    Returns:
        (K, 16) uint8, as `listed`; None if nothing is named.

    Raises:
        DataError: if a folder holds no photo, a file is damaged, or there are more than `MOST`.
        PhotoError: if a photo is broken.
    """
    captioned = [[photo.file for photo in read_dataset(folder, "train").photos] for folder in data]
    others = [photos_in(place) for place in photos]
    found = [fingerprint_files(files, max_pixels=max_pixels) for files in (*captioned, *others)]
    if not found:
        return None
    known = found[0]
    for part in found[1:]:  # the same photo may be here and there: once is enough
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
    known = {path.name for path in data}
    for run in runs:
        missing = [name for name in dataset_names(run_settings(run).get("data")) if name not in known]
        if missing:
            raise ConfigError(
                f"{run}: was trained on the dataset {missing[0]!r}, which data does not name; add it, so that the "
                "pack can list its photos"
            )


def dataset_names(data: Any) -> list[str]:
    """The names of the datasets in a run's settings: one name, or several with a share each."""
    if isinstance(data, str):
        return [data]
    pairs = data if isinstance(data, list) else []
    return [pair[0] for pair in pairs if isinstance(pair, list) and pair and isinstance(pair[0], str)]


def photos_in(place: Path) -> Sequence[Path]:
    """The photos of a file of boxes with names, or below a folder.

    Raises:
        DataError: if it holds no photo, or the file is damaged.
    """
    if place.is_file():
        return read_box_labels(place).photos
    if not place.is_dir():
        raise DataError(f"{place}: expected a folder of photos or a file of boxes with names, found none")
    files = find_photos(place)
    if not files:
        raise DataError(f"{place}: holds no photo")
    return files
