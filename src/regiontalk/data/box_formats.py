"""Boxes in whichever of the known formats they are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from regiontalk.data.boxes import EVERYTHING, BoxedDataset, Selection
from regiontalk.data.coco import read_coco_instances
from regiontalk.data.flickr30k_entities import Entities, is_entities, read_entities
from regiontalk.data.region_captions import read_region_lines, read_visual_genome
from regiontalk.data.voc import is_voc, read_voc
from regiontalk.errors import DataError
from regiontalk.files import read_json

BoxFormat = Literal["voc", "coco", "entities", "visual-genome", "lines"]
BOX_FORMATS: tuple[BoxFormat, ...] = get_args(BoxFormat)


def read_boxes(
    path: str | Path,
    split: str = "all",
    image_folder: str | Path | None = None,
    selection: Selection = EVERYTHING,
    kind: BoxFormat | None = None,
) -> BoxedDataset | Entities:
    """Reads photos with boxes.

    Args:
        path: a folder like Pascal VOC's or Flickr30k Entities', or a file: COCO instances, Visual Genome region
            descriptions, or JSON Lines of boxes with captions.
        split: "all", or one that the data has.
        image_folder: where the photos lie; None to look where the format has them. VOC's lie in its folder.
        selection: which photos take part.
        kind: the format; None to find out.

    Raises:
        DataError: if it is none of these, or as the format's reader says.
    """
    path = Path(path)
    kind = kind or find_format(path)
    if kind == "voc":
        if image_folder is not None:
            raise DataError(f"{path}: photos in Pascal VOC's layout lie in its own folder; leave the other folder out")
        return read_voc(path, split, selection)
    if kind == "coco":
        return read_coco_instances(path, image_folder, split, selection)
    if kind == "entities":
        return read_entities(path, split, image_folder, selection)
    if kind == "visual-genome":
        return read_visual_genome(path, split, image_folder, selection)
    return read_region_lines(path, split, image_folder, selection)


def find_format(path: Path) -> BoxFormat:
    """The format of a folder by its names, of a file by its content.

    Raises:
        DataError: if it is none that is known.
    """
    if path.is_dir():
        if is_entities(path):
            return "entities"
        if is_voc(path):
            return "voc"
        raise DataError(
            f"{path}: no boxes found; expected boxes.jsonl, Annotations and JPEGImages (Pascal VOC), "
            "Sentences and Annotations (Flickr30k Entities), or the path of a JSON file"
        )
    if path.suffix.lower() == ".jsonl":
        return "lines"
    content = read_json(path)
    if isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content):
        return "coco"
    if isinstance(content, list) and all(isinstance(each, dict) and "regions" in each for each in content):
        return "visual-genome"
    raise DataError(
        f"{path}: expected COCO's instances, Visual Genome's region descriptions, or JSON Lines of boxes (.jsonl)"
    )
