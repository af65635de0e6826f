"""Photos with captions or boxes from disk, and the store of region vectors. Nothing here needs PyTorch."""

from __future__ import annotations

from pathlib import Path

from regiontalk.data.box_formats import BOX_FORMATS, read_boxes
from regiontalk.data.boxes import BoxedDataset, BoxedPhoto, Selection
from regiontalk.data.captions import CaptionedPhoto, Dataset
from regiontalk.data.coco import is_coco_captions, read_coco_captions, read_coco_instances
from regiontalk.data.flickr8k import is_flickr8k, read_flickr8k
from regiontalk.data.flickr30k_entities import Entities, read_entities
from regiontalk.data.folder import is_captioned_folder, read_folder, read_list
from regiontalk.data.karpathy import read_karpathy
from regiontalk.data.region_captions import read_region_lines, read_visual_genome
from regiontalk.data.region_store import RegionStore, RegionStoreWriter
from regiontalk.data.voc import read_voc
from regiontalk.errors import DataError
from regiontalk.files import read_json

__all__ = [
    "BOX_FORMATS",
    "BoxedDataset",
    "BoxedPhoto",
    "CaptionedPhoto",
    "Dataset",
    "Entities",
    "RegionStore",
    "RegionStoreWriter",
    "Selection",
    "read_boxes",
    "read_coco_captions",
    "read_coco_instances",
    "read_dataset",
    "read_entities",
    "read_flickr8k",
    "read_folder",
    "read_karpathy",
    "read_list",
    "read_region_lines",
    "read_visual_genome",
    "read_voc",
]


def read_dataset(path: str | Path, split: str) -> Dataset:
    """Reads captioned photos, whichever of the known layouts they are in.

    Args:
        path: a folder like Flickr8k's (`images/`, `captions.csv`, `train.txt` and so on); a folder of photos with
            `metadata.jsonl` or `captions.csv` beside them; or a JSON file: with Karpathy's splits, the photos in the
            folder `images` beside it or, without one, in the JSON's own folder; COCO captions; or a list of
            `{"file_name", "captions"}`.
        split: "train", "dev", "test" or another that the dataset has.

    Raises:
        DataError: if the path holds none of these, the split is not in it, or photos and captions do not fit together.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() == ".json":
        return _read_json_dataset(path, split)
    if not path.is_dir():
        raise DataError(f"{path}: no such folder or JSON file; give a folder of captioned photos")
    if is_flickr8k(path):
        return read_flickr8k(path, split)
    if is_captioned_folder(path):
        return read_folder(path, split)
    raise DataError(
        f"{path}: no captions found; expected captions.csv (image,caption) or metadata.jsonl beside the photos, "
        "or the path of a Karpathy-split JSON file or of COCO's captions"
    )


def _read_json_dataset(file: Path, split: str) -> Dataset:
    content = read_json(file)
    if isinstance(content, list):
        return read_list(file, split)
    if is_coco_captions(content):
        return read_coco_captions(file, split=split)
    images = file.parent / "images"
    return read_karpathy(file, images if images.is_dir() else file.parent, split)
