"""Photos with their captions beside them: a folder, folders that are splits, or a file of captions with its photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regiontalk.data.caption_formats import read_captions_file, read_rows
from regiontalk.data.caption_rows import SPLIT_FOLDERS, CaptionRow, Captions, joined
from regiontalk.data.captions import Dataset, Problems, captioned_photos, holding_most, safe_names
from regiontalk.data.flickr8k import CAPTIONS, has_split_lists, listed_captions, split_lists
from regiontalk.data.photo_texts import text_rows
from regiontalk.errors import DataError

FILES = ("metadata.jsonl", "metadata.csv", CAPTIONS)
"""The files of captions that a folder may hold, one of them; the first two are those of Hugging Face's folders."""

PHOTO_FOLDERS = ("images", "Images", "flickr30k_images", "Flicker8k_Dataset", "Flickr8k_Dataset")
"""Where published datasets have the photos, beside the file of captions."""


def is_captioned_folder(folder: Path) -> bool:
    """Whether a folder holds a file of captions, or folders of splits that do, by the names alone.

    Texts beside each photo do not count: any folder of photos may have sidecars.
    """
    return bool(caption_files(folder))


def caption_files(folder: Path) -> list[Path]:
    """The files of captions in a folder and in its folders of splits."""
    places = (folder, *(folder / split for split in SPLIT_FOLDERS))
    return [place / name for place in places for name in FILES if (place / name).is_file()]


def folder_captions(folder: Path) -> Captions:
    """The captions of a folder: of a file of captions in it, or of one in each folder that is a split.

    Beside `captions.csv` there may be lists of splits, as Flickr8k has them. The photos of the folder `test` are named
    `test/...`, and in the split "test". Without any such file, the texts beside photos are their captions, see
    `regiontalk.data.photo_texts`.

    Raises:
        DataError: if it holds no captions, or more than one file of them where one should be; or a file is damaged.
    """
    files = caption_files(folder)
    if not files and (rows := text_rows(folder)):
        return joined(folder, rows, split_lists(folder))
    if [file.parent for file in files] == [folder]:
        lists = files[0].name == CAPTIONS and has_split_lists(folder)
        return listed_captions(folder) if lists else joined(folder, read_rows(files[0]))
    places = [file.parent for file in files]
    if not files or folder in places or len(set(places)) < len(places):
        found = " and ".join(file.relative_to(folder).as_posix() for file in files) or "none"
        raise DataError(
            f"{folder}: expected one file of captions ({', '.join(FILES)}), in it or in each folder of a split "
            f"({', '.join(SPLIT_FOLDERS)}), or texts beside photos (photo.jpg.txt, photo.jpg.xmp), found {found}"
        )
    return joined(folder, (row for file in files for row in _split_rows(file)))


def read_folder(folder: str | Path, split: str) -> Dataset:
    """Reads captioned photos from a folder of one's own.

    The folder holds one of `FILES`: `metadata.jsonl`, on each line `{"file_name", "text"}` for one caption or
    `{"file_name", "captions": [...]}` for several, `metadata.csv` with the columns file_name,text, or `captions.csv`
    with the columns image,caption. Each may say the photo's split ("split"); without it a photo is for training. A
    photo may have many lines. Or the folders in it are splits, each with such a file. Or beside each photo lies its
    text, in a file of text or an XMP sidecar. Photos without are left alone.

    Args:
        folder: where they lie; names in a file are relative to the file's folder.
        split: "train", "dev", "test", any other that the data names, or "all" for every photo.

    Raises:
        DataError: if a file is damaged, the split is not in it, a photo is missing, in two splits or without a
            caption, or a caption holds no word. It names the first few and counts all.
    """
    folder = Path(folder)
    found = folder_captions(folder)
    photos = captioned_photos(folder, found.names(split), folder, found.captions)
    return Dataset(folder.resolve().name, split, photos)


def read_captioned_file(file: str | Path, split: str) -> Dataset:
    """Reads a file of captions in any of the known formats, with its photos.

    The photos of `captioned.json` lie in the folder `captioned`, in `images` (or what Kaggle calls it), or beside the
    file: in the one of these that holds them.

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


def _split_rows(file: Path) -> Iterator[CaptionRow]:
    """The rows of a file in the folder of a split, named from the folder that holds it."""
    split, rows = file.parent.name, read_rows(file)
    others = [row.name for row in rows if row.split not in (None, split)]
    problems = Problems(file)
    safe_names((row.name for row in rows), problems)  # here: behind the name of the split a name is never absolute
    problems.add(f"photos in another split than {split}, their folder", others)
    problems.raise_if_any()
    for row in rows:
        yield row._replace(name=f"{split}/{row.name}", split=split)
