"""Captioned photos from disk, and the store of region vectors. Nothing here needs PyTorch."""

from __future__ import annotations

from pathlib import Path

from regiontalk.data.captions import CaptionedPhoto, Dataset
from regiontalk.data.flickr8k import is_flickr8k, read_flickr8k
from regiontalk.data.folder import is_captioned_folder, read_folder
from regiontalk.data.karpathy import read_karpathy
from regiontalk.data.region_store import RegionStore, RegionStoreWriter
from regiontalk.errors import DataError

__all__ = [
    "CaptionedPhoto",
    "Dataset",
    "RegionStore",
    "RegionStoreWriter",
    "read_dataset",
    "read_flickr8k",
    "read_folder",
    "read_karpathy",
]


def read_dataset(path: str | Path, split: str) -> Dataset:
    """Reads captioned photos, whichever of the known layouts they are in.

    Args:
        path: a folder like Flickr8k's (`images/`, `captions.csv`, `train.txt` and so on), a folder of photos with
            `metadata.jsonl` or `captions.csv` beside them, or a Karpathy-split JSON file whose photos lie in the folder
            `images` beside it or, without one, in the JSON's own folder.
        split: "train", "dev", "test" or another that the dataset has.

    Raises:
        DataError: if the path holds none of these, the split is not in it, or photos and captions do not fit together.
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".json":
        images = path.parent / "images"
        return read_karpathy(path, images if images.is_dir() else path.parent, split)
    if not path.is_dir():
        raise DataError(f"{path}: no such folder or JSON file; give a folder of captioned photos")
    if is_flickr8k(path):
        return read_flickr8k(path, split)
    if is_captioned_folder(path):
        return read_folder(path, split)
    raise DataError(
        f"{path}: no captions found; expected captions.csv (image,caption) or metadata.jsonl beside the photos, "
        "or the path of a Karpathy-split JSON file"
    )
