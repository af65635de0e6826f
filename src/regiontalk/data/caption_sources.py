"""Captions from whatever holds them, a file or a folder. The photos need not be there."""

from __future__ import annotations

from pathlib import Path

from regiontalk.data.caption_formats import is_captions_file, read_captions_file
from regiontalk.data.caption_rows import Captions
from regiontalk.data.flickr8k import CAPTIONS, is_flickr8k, listed_captions
from regiontalk.data.folder import caption_files, folder_captions, is_captioned_folder
from regiontalk.data.photo_texts import text_files


def holds_captions(path: Path) -> bool:
    """Whether a path is a file or folder of captions, see `is_captions_file`; of a folder, by the names in it alone."""
    return is_flickr8k(path) or is_captioned_folder(path) or is_captions_file(path)


def read_captions(path: Path) -> Captions:
    """The captions of a file in any of the known formats, or of a folder as datasets have them.

    Raises:
        DataError: if it is neither, or damaged.
    """
    if not path.is_dir():
        return read_captions_file(path)
    return listed_captions(path) if is_flickr8k(path) else folder_captions(path)


def files_of_captions(path: Path) -> list[Path]:
    """The files that hold the captions of a file or folder, without lists of splits."""
    if not path.is_dir():
        return [path]
    return [path / CAPTIONS] if is_flickr8k(path) else caption_files(path) or text_files(path)
