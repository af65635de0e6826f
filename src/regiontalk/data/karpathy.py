"""The "Karpathy splits": one JSON file with the photos, splits and captions of Flickr8K, Flickr30K or COCO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regiontalk.data.caption_rows import CaptionRow, joined
from regiontalk.data.captions import Dataset, Problems, captioned_photos, repeated
from regiontalk.errors import DataError
from regiontalk.files import read_json
from regiontalk.settings import shown


def is_karpathy(content: Any) -> bool:
    """Whether parsed JSON looks like a Karpathy-split file."""
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def karpathy_rows(file: Path, content: Any) -> list[CaptionRow]:
    """A row for each photo of a `dataset_*.json`; COCO's numbers are aliases.

    Args:
        file: for messages.
        content: `{"images": [{"filename", "filepath" (a folder, if any), "split", "sentences": [{"raw"}], "cocoid" (if
            any)}]}`; more fields are ignored. A photo's name is `filepath/filename`.

    Raises:
        DataError: if it is not that, or lists a photo twice, in any split.
    """
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not images:
        raise DataError(f'{file}: not a Karpathy-split file; expected an object with a list "images"')
    rows = [_row(file, number, image) for number, image in enumerate(images)]
    problems = Problems(file)
    problems.add("photos listed twice", repeated(row.name for row in rows))
    problems.raise_if_any()
    return rows


def read_karpathy(json_file: str | Path, image_folder: str | Path, split: str) -> Dataset:
    """Reads one split of a `dataset_*.json`, see `karpathy_rows`. Only the photos of this split need to be there.

    Args:
        json_file: the file.
        image_folder: where the photos lie: `image_folder/filepath/filename`.
        split: "train", "dev" (or "val", as the file calls it), "test", or "restval", COCO's validation photos in
            neither dev nor test. "train+restval" reads both, "all" every photo.

    Raises:
        DataError: if the file is damaged or lacks the split, a photo is missing, listed twice (in any split), without a
            caption, or with a caption without a word. It names the first few and counts all.
    """
    file = Path(json_file)
    content = read_json(file)
    found = joined(file, karpathy_rows(file, content))
    photos = captioned_photos(file, found.names(split), Path(image_folder), found.captions)
    name = content.get("dataset")
    return Dataset(name if isinstance(name, str) and name else file.stem, split, photos)


def _row(file: Path, number: int, image: Any) -> CaptionRow:
    try:
        folder, name, split = image.get("filepath") or "", image["filename"], image["split"]
        captions = [sentence["raw"] for sentence in image["sentences"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}, image {number}: expected filename, split and sentences with raw, found {shown(image)}"
        ) from error
    if not all(isinstance(text, str) for text in (folder, name, split, *captions)):
        raise DataError(f"{file}, image {number}: filepath, filename, split and raw must be text")
    aliases = (str(image["cocoid"]),) if type(image.get("cocoid")) is int else ()
    return CaptionRow(f"{folder}/{name}" if folder else name, split, captions, aliases)
