"""Photos with captions or boxes from disk, and the store of region vectors. Nothing here needs PyTorch."""

from __future__ import annotations

from pathlib import Path

from regiontalk.data.box_formats import BOX_FORMATS, read_boxes
from regiontalk.data.boxes import BoxedDataset, BoxedPhoto, Selection
from regiontalk.data.caption_entries import is_json_lines
from regiontalk.data.caption_formats import SUFFIXES
from regiontalk.data.captions import CaptionedPhoto, Dataset
from regiontalk.data.coco import is_coco_captions, read_coco_captions, read_coco_instances
from regiontalk.data.flickr8k import is_flickr8k, read_flickr8k
from regiontalk.data.flickr30k_entities import Entities, read_entities
from regiontalk.data.folder import is_captioned_folder, read_captioned_file, read_folder
from regiontalk.data.karpathy import is_karpathy, read_karpathy
from regiontalk.data.photo_texts import photo_files
from regiontalk.data.region_captions import read_region_lines, read_visual_genome
from regiontalk.data.region_store import RegionStore
from regiontalk.data.region_writer import RegionStoreWriter
from regiontalk.data.voc import read_voc
from regiontalk.errors import DataError
from regiontalk.files import read_json, read_text

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
    "read_captioned_file",
    "read_coco_captions",
    "read_coco_instances",
    "read_dataset",
    "read_entities",
    "read_flickr8k",
    "read_folder",
    "read_karpathy",
    "read_region_lines",
    "read_visual_genome",
    "read_voc",
]


def read_dataset(path: str | Path, split: str) -> Dataset:
    """Reads captioned photos, whichever of the known layouts they are in.

    Args:
        path: a folder like Flickr8k's (`images/`, `captions.csv`, `train.txt` and so on); a folder of photos with
            `metadata.jsonl`, `metadata.csv` or `captions.csv` beside them, or with a text beside each; a folder of such
            folders, each a split; or a file of captions: Karpathy's splits, the photos in the folder `images` beside it
            or, without one, in the file's own folder; COCO's captions; or any other that `read_captioned_file` reads.
        split: "train", "dev", "test" or another that the dataset has.

    Raises:
        DataError: if the path holds none of these, the split is not in it, or photos and captions do not fit together.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return _read_file(path, split)
    if not path.is_dir():
        raise DataError(f"{path}: no such folder or JSON file, nor another file of captions; give captioned photos")
    if is_flickr8k(path):
        return read_flickr8k(path, split)
    if is_captioned_folder(path) or photo_files(path):
        return read_folder(path, split)
    raise DataError(
        f"{path}: no captions found; expected captions.csv (image,caption), metadata.jsonl or metadata.csv beside the "
        "photos or in folders of splits, a text beside each photo (photo.jpg.txt, photo.jpg.xmp), or the path of a "
        "file of captions"
    )


def _read_file(file: Path, split: str) -> Dataset:
    text = read_text(file) if file.suffix.lower() == ".json" else ""
    content = read_json(file, text) if text and not is_json_lines(text) else None
    if is_coco_captions(content):
        return read_coco_captions(file, split=split)
    if is_karpathy(content):
        images = file.parent / "images"
        return read_karpathy(file, images if images.is_dir() else file.parent, split)
    return read_captioned_file(file, split)
