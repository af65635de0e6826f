"""The "Karpathy splits": one JSON file with the photos, splits and captions of Flickr8K, Flickr30K or COCO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regiontalk.data.captions import Dataset, Problems, captioned_photos, repeated
from regiontalk.errors import DataError
from regiontalk.files import read_json

_OTHER_NAME = {"dev": "val"}
"""The file says val where RegionTalk says dev."""


def read_karpathy(json_file: str | Path, image_folder: str | Path, split: str) -> Dataset:
    """Reads one split of a `dataset_*.json`.

    The file holds `{"dataset", "images": [{"filename", "filepath" (a folder, if any), "split", "sentences":
    [{"raw"}]}]}`; more fields are ignored. Only the photos of the split that is asked for need to be there.

    Args:
        json_file: the file.
        image_folder: where the photos lie: `image_folder/filepath/filename`.
        split: "train", "dev" (or "val", as the file calls it), "test", or "restval", COCO's validation photos in
            neither dev nor test. "train+restval" reads both.

    Raises:
        DataError: if the file is damaged or lacks the split, a photo is missing, listed twice (in any split), without a
            caption, or with a caption without a word. It names the first few and counts all.
    """
    file = Path(json_file)
    content = read_json(file)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not images:
        raise DataError(f'{file}: not a Karpathy-split file; expected an object with a list "images"')
    entries = [_entry(file, number, image) for number, image in enumerate(images)]

    problems = Problems(file)
    problems.add("photos listed twice", repeated(name for name, _, _ in entries))
    problems.raise_if_any()
    wanted = {_OTHER_NAME.get(part, part) for part in split.split("+")}
    found = {part for _, part, _ in entries}
    if not wanted <= found:
        raise DataError(f"{file}: has no split {split!r}; splits found: {', '.join(sorted(found))}")
    captions = {name: raw for name, part, raw in entries if part in wanted}
    name = content.get("dataset")
    photos = captioned_photos(file, captions, Path(image_folder), captions)
    return Dataset(name if isinstance(name, str) and name else file.stem, split, photos)


def _entry(file: Path, number: int, image: Any) -> tuple[str, str, list[str]]:
    """A photo's path below the image folder, its split and its captions."""
    try:
        folder, name, split = image.get("filepath") or "", image["filename"], image["split"]
        captions = [sentence["raw"] for sentence in image["sentences"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}, image {number}: expected filename, split and sentences with raw, found {_shorten(image)}"
        ) from error
    if not all(isinstance(text, str) for text in (folder, name, split, *captions)):
        raise DataError(f"{file}, image {number}: filepath, filename, split and raw must be text")
    return f"{folder}/{name}" if folder else name, split, captions


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
