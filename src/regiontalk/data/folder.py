"""Captioned photos on disk: folders like Flickr8k's, other folders, caption files with photos."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from regiontalk.data.caption_formats import is_captions_file, read_captions_file, read_rows
from regiontalk.data.captions import (
    SPLIT_FOLDERS,
    CaptionRow,
    Captions,
    Dataset,
    Problems,
    captioned_photos,
    exists,
    holding_most,
    joined,
    safe_names,
)
from regiontalk.data.sidecars import text_files, text_rows
from regiontalk.errors import DataError
from regiontalk.files import read_text

SPLITS = ("train", "dev", "test")
"""Splits of a folder like Flickr8k's: `images/`, `captions.csv`, and a list of file names per
split."""

CAPTIONS = "captions.csv"

FILES = ("metadata.jsonl", "metadata.csv", CAPTIONS)
"""Caption files, at most one in a folder; the first two are those of Hugging Face's ImageFolder."""

PHOTO_FOLDERS = ("images", "Images", "flickr30k_images", "Flicker8k_Dataset", "Flickr8k_Dataset")
"""Photo folders of published datasets, beside the caption file."""


def holds_captions(path: Path) -> bool:
    """Whether a path is a caption file, or by its names alone a folder with captions."""
    return is_flickr8k(path) or is_captioned_folder(path) or is_captions_file(path)


def read_captions(path: Path) -> Captions:
    """Reads the captions of a file in any of the known formats, or of a dataset folder.

    Raises:
        DataError: if it is neither, or damaged.
    """
    if not path.is_dir():
        return read_captions_file(path)
    return listed_captions(path) if is_flickr8k(path) else folder_captions(path)


def files_of_captions(path: Path) -> list[Path]:
    """The files that hold the captions of a file or folder, without split lists."""
    if not path.is_dir():
        return [path]
    return [path / CAPTIONS] if is_flickr8k(path) else caption_files(path) or text_files(path)


def is_flickr8k(folder: Path) -> bool:
    """Whether a folder is laid out like Flickr8k, by its names alone."""
    return (folder / "images").is_dir() and bool(_lists(folder))


def listed_captions(folder: Path) -> Captions:
    """Captions of `captions.csv`, with the split lists beside it.

    The lists are `train.txt`, `dev.txt`, `test.txt`, a name on each line. Photos in no list are in
    no split. Captions come from the CSV alone: a list may name photos without any.

    Raises:
        DataError: if a file is missing or damaged, or a photo is in two splits.
    """
    return joined(folder, read_rows(folder / CAPTIONS), split_lists(folder))


def split_lists(folder: Path) -> dict[str, list[str]]:
    """Names by split, from those of `train.txt`, `dev.txt` and `test.txt` that exist.

    Raises:
        DataError: if one cannot be read.
    """
    return {split: read_names(file) for split, file in _lists(folder).items()}


def read_flickr8k(folder: str | Path, split: str) -> Dataset:
    """Reads one split of Flickr8k.

    The folder holds `images/`, `captions.csv` with the columns image,caption (a line for each
    caption, as people wrote it) and `train.txt`, `dev.txt`, `test.txt` with a file name on each
    line. Photos in no split are fine. The whole folder is checked, not only this split.

    Args:
        folder: where it lies.
        split: "train", "dev" or "test"; several joined by `+`, or "all" for every photo with
            captions.

    Raises:
        DataError: if a file is missing or damaged, a photo is listed but missing, a caption has no
            photo or no word, a photo has no caption or is listed twice or in two splits. It names
            the first few and counts all.
    """
    folder = Path(folder)
    images = folder / "images"
    if not images.is_dir():
        raise DataError(f"{folder}: has no folder images")
    found = listed_captions(folder)
    names = found.names(split)

    problems = Problems(folder)
    safe_names(chain(found.captions, *found.lists.values()), problems)
    problems.raise_if_any()
    problems.add(
        "photos with captions but no file",
        [name for name in found.captions if not exists(images / name)],
    )
    problems.raise_if_any()
    return Dataset(
        folder.resolve().name, split, captioned_photos(folder, names, images, found.captions)
    )


def read_names(file: Path) -> list[str]:
    """The names of a list, one on each line, without blank lines."""
    return [line.strip() for line in read_text(file).split("\n") if line.strip()]


def is_captioned_folder(folder: Path) -> bool:
    """Whether a folder, or folders of splits in it, hold a caption file; by the names alone.

    Sidecars do not count: any folder of photos may have some.
    """
    return bool(caption_files(folder))


def caption_files(folder: Path) -> list[Path]:
    """The caption files in a folder and in its folders of splits."""
    places = (folder, *(folder / split for split in SPLIT_FOLDERS))
    return [place / name for place in places for name in FILES if (place / name).is_file()]


def folder_captions(folder: Path) -> Captions:
    """Captions of a folder: from a caption file in it, or from one in each split's folder.

    Beside `captions.csv` there may be split lists, as in Flickr8k. Photos of the folder `test` are
    named `test/...` and are in the split "test". Without any caption file, sidecars are read, see
    `regiontalk.data.sidecars`.

    Raises:
        DataError: if it holds no captions, or more than one caption file where one is expected; or
            if a file is damaged.
    """
    files = caption_files(folder)
    if not files and (rows := text_rows(folder)):
        return joined(folder, rows, split_lists(folder))
    if [file.parent for file in files] == [folder]:
        return joined(
            folder, read_rows(files[0]), split_lists(folder) if files[0].name == CAPTIONS else None
        )
    places = [file.parent for file in files]
    if not files or folder in places or len(set(places)) < len(places):
        found = " and ".join(file.relative_to(folder).as_posix() for file in files) or "none"
        raise DataError(
            f"{folder}: expected one file of captions ({', '.join(FILES)}), in it or in each "
            f"folder of a split ({', '.join(SPLIT_FOLDERS)}), or texts beside photos "
            f"(photo.jpg.txt, photo.jpg.xmp), found {found}"
        )
    return joined(folder, (row for file in files for row in _split_rows(file)))


def read_folder(folder: str | Path, split: str) -> Dataset:
    """Reads captioned photos from a user's folder.

    The folder holds one of `FILES`: `metadata.jsonl`, on each line `{"file_name", "text"}` for one
    caption or `{"file_name", "captions": [...]}` for several, `metadata.csv` with the columns
    file_name,text, or `captions.csv` with the columns image,caption. Each may have the photo's
    "split", by default training. A photo may have many lines. Or the folders in it are splits, each
    with such a file. Or each photo has a sidecar, a text file or XMP. Photos without captions are
    ignored.

    Args:
        folder: where they lie; names in a file are relative to the file's folder.
        split: "train", "dev", "test", any other that the data names, or "all" for every photo.

    Raises:
        DataError: if a file is damaged, the split is not in it, a photo is missing, in two splits
            or without a caption, or a caption holds no word. It names the first few and counts all.
    """
    folder = Path(folder)
    found = folder_captions(folder)
    photos = captioned_photos(folder, found.names(split), folder, found.captions)
    return Dataset(folder.resolve().name, split, photos)


def read_captioned_file(file: str | Path, split: str) -> Dataset:
    """Reads a file of captions in any of the known formats, with its photos.

    The photos of `captioned.json` lie in the folder `captioned`, in `images` (or another of
    `PHOTO_FOLDERS`), or beside the file: in the one that holds most of them.

    Args:
        file: the file.
        split: as for `read_folder`.

    Raises:
        DataError: as `read_folder`.
    """
    file = Path(file)
    found = read_captions_file(file)
    names = found.names(split)
    beside = [file.parent / name for name in (file.stem, *PHOTO_FOLDERS)]
    folder = holding_most([*(each for each in beside if each.is_dir()), file.parent], names)
    return Dataset(file.stem, split, captioned_photos(file, names, folder, found.captions))


def _lists(folder: Path) -> dict[str, Path]:
    return {split: file for split in SPLITS if (file := folder / f"{split}.txt").is_file()}


def _split_rows(file: Path) -> Iterator[CaptionRow]:
    """Rows of a caption file in a split's folder, with names relative to the parent folder."""
    split, rows = file.parent.name, read_rows(file)
    others = [row.name for row in rows if row.split not in (None, split)]
    problems = Problems(file)
    # Before the split's name is prepended, which would hide absolute paths
    safe_names((row.name for row in rows), problems)
    problems.add(f"photos in another split than {split}, their folder", others)
    problems.raise_if_any()
    for row in rows:
        yield row._replace(name=f"{split}/{row.name}", split=split)
