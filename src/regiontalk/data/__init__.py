"""Photos with captions or boxes from disk, and the store of region vectors.

Nothing here needs PyTorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from regiontalk.data.boxes import EVERYTHING, BoxedDataset, BoxedPhoto, Selection
from regiontalk.data.caption_formats import SUFFIXES, is_json_lines
from regiontalk.data.captions import CaptionedPhoto, Dataset
from regiontalk.data.coco import (
    is_coco_captions,
    is_karpathy,
    read_coco_captions,
    read_coco_instances,
    read_karpathy,
)
from regiontalk.data.flickr30k_entities import Entities, is_entities, read_entities
from regiontalk.data.folder import (
    is_captioned_folder,
    is_flickr8k,
    read_captioned_file,
    read_flickr8k,
    read_folder,
)
from regiontalk.data.region_captions import read_region_lines, read_visual_genome
from regiontalk.data.region_store import RegionStore
from regiontalk.data.region_writer import RegionStoreWriter
from regiontalk.data.sidecars import photo_files
from regiontalk.data.voc import is_voc, read_voc
from regiontalk.errors import DataError
from regiontalk.files import read_text
from regiontalk.json_files import read_json

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

BoxFormat = Literal["voc", "coco", "entities", "visual-genome", "lines"]
BOX_FORMATS: tuple[BoxFormat, ...] = get_args(BoxFormat)


def read_dataset(path: str | Path, split: str) -> Dataset:
    """Reads captioned photos from any of the known layouts.

    Args:
        path: a folder like Flickr8k's (`images/`, `captions.csv`, `train.txt` and so on); a folder
            of photos with `metadata.jsonl`, `metadata.csv` or `captions.csv` beside them, or with a
            text beside each; a folder of such folders, each a split; or a file of captions:
            Karpathy's splits, the photos in the folder `images` beside it or, without one, in the
            file's own folder; COCO's captions; or any other that `read_captioned_file` reads.
        split: "train", "dev", "test" or another that the dataset has.

    Raises:
        DataError: if the path holds none of these, the split is not in it, or photos and captions
            do not fit together.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return _read_file(path, split)
    if not path.is_dir():
        raise DataError(
            f"{path}: no such folder or JSON file, nor another file of captions; "
            "give captioned photos"
        )
    if is_flickr8k(path):
        return read_flickr8k(path, split)
    if is_captioned_folder(path) or photo_files(path):
        return read_folder(path, split)
    raise DataError(
        f"{path}: no captions found; expected captions.csv (image,caption), metadata.jsonl or "
        "metadata.csv beside the photos or in folders of splits, a text beside each photo "
        "(photo.jpg.txt, photo.jpg.xmp), or the path of a file of captions"
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


def read_boxes(
    path: str | Path,
    split: str = "all",
    image_folder: str | Path | None = None,
    selection: Selection = EVERYTHING,
    kind: BoxFormat | None = None,
) -> BoxedDataset | Entities:
    """Reads photos with boxes.

    Args:
        path: a folder like Pascal VOC's or Flickr30k Entities', or a file: COCO instances, Visual
            Genome region descriptions, or JSON Lines of boxes with captions.
        split: "all", or one that the data has.
        image_folder: where the photos lie; None for the format's usual places. VOC's always lie in
            its own folder.
        kind: the format; None to detect it.

    Raises:
        DataError: if it is none of these, or as the format's reader says.
    """
    path = Path(path)
    kind = kind or find_format(path)
    if kind == "voc":
        if image_folder is not None:
            raise DataError(
                f"{path}: photos in Pascal VOC's layout lie in its own folder; "
                "leave the other folder out"
            )
        return read_voc(path, split, selection)
    if kind == "coco":
        return read_coco_instances(path, image_folder, split, selection)
    if kind == "entities":
        return read_entities(path, split, image_folder, selection)
    if kind == "visual-genome":
        return read_visual_genome(path, split, image_folder, selection)
    return read_region_lines(path, split, image_folder, selection)


def find_format(path: Path) -> BoxFormat:
    """Detects the format: of a folder by the names in it, of a file by its content.

    Raises:
        DataError: if it is none that is known.
    """
    if path.is_dir():
        if is_entities(path):
            return "entities"
        if is_voc(path):
            return "voc"
        raise DataError(
            f"{path}: no boxes found; expected boxes.jsonl, Annotations and JPEGImages (Pascal "
            "VOC), Sentences and Annotations (Flickr30k Entities), or the path of a JSON file"
        )
    if path.suffix.lower() == ".jsonl":
        return "lines"
    content = read_json(path)
    if isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content):
        return "coco"
    if isinstance(content, list) and all(
        isinstance(each, dict) and "regions" in each for each in content
    ):
        return "visual-genome"
    raise DataError(
        f"{path}: expected COCO's instances, Visual Genome's region descriptions, "
        "or JSON Lines of boxes (.jsonl)"
    )
