"""User-supplied captions for photos of an index: reading them, and matching them to photos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from regiontalk.data.captions import Problems
from regiontalk.data.folder import PHOTO_FOLDERS, read_captions
from regiontalk.errors import DataError
from regiontalk.photos.folders import FoundPhotos
from regiontalk.search.filters import composed

MOST_CHARACTERS = 10_000
"""Maximum length of a photo's text. A longer one is no caption."""


@dataclass(frozen=True)
class PhotoTexts:
    """Captions of a file or folder, matched to photos.

    Attributes:
        texts: absolute path of a photo → its captions, one a line; "" where they are empty.
        others: names in the file that match none of the photos.
    """

    texts: Mapping[str, str]
    others: tuple[str, ...]


def read_texts(captions: str | os.PathLike[str], found: Mapping[str, FoundPhotos]) -> PhotoTexts:
    """Reads captions in any of the known formats, and matches them to photos by path.

    A name in a file is a path relative to the file's folder, as `describe --csv` writes it, or to
    one of its `PHOTO_FOLDERS`, or else to a named folder of photos, as `describe --alt-text` writes
    it. Names are only compared, no file is opened by them: they may lead out of their folder.

    Args:
        captions: a file or folder, see `regiontalk.data.folder`.
        found: named photo or folder → the photos found there.

    Raises:
        DataError: if the captions cannot be read; if none matches one of the photos, or one matches
            two; or if a text is too long, or cannot be encoded as UTF-8.
    """
    source = Path(captions)
    folder = source if source.is_dir() else source.parent
    photos = [os.path.abspath(photo) for inside in found.values() for photo in inside.photos]
    # Exact paths last: they take precedence over those that are equal in NFC only
    paths = {**{composed(path): path for path in photos}, **{path: path for path in photos}}
    named = [name if os.path.isdir(name) else os.path.dirname(name) for name in found]
    places = ([folder], [folder / each for each in PHOTO_FOLDERS], named)
    lines: dict[str, list[str]] = {}
    others, problems = list[str](), Problems(source)
    for name, texts in read_captions(source).captions.items():
        about = next(filter(None, (_among(paths, folders, name) for folders in places)), [])
        if len(about) == 1:
            lines.setdefault(about[0], []).extend(" ".join(text.split()) for text in texts)
        elif about:
            problems.add("names that two photos have", [name])
        else:
            others.append(name)
    joined = {path: "\n".join(filter(None, dict.fromkeys(each))) for path, each in lines.items()}
    problems.add(f"texts of more than {MOST_CHARACTERS:,} characters", _too_long(joined))
    problems.add("texts that are no Unicode", _unwritable(joined))
    problems.raise_if_any("or name one folder of photos at a time")
    if not joined and photos:
        raise DataError(
            f"{source}: none of its {len(others)} "
            f"names{f', such as {others[0]!r},' if others else ''} is one of these photos. A name "
            "is a path from the folder of the captions on, or from the folder of photos that is "
            "named"
        )
    return PhotoTexts(joined, tuple(others))


def _among(paths: Mapping[str, str], folders: Iterable[str | Path], name: str) -> list[str]:
    """The distinct photos that a name refers to, relative to some folders."""
    if "\0" in name:  # no path contains NUL
        return []
    places = [os.path.abspath(os.path.join(folder, name)) for folder in folders]
    found = (paths.get(place, paths.get(composed(place))) for place in places)
    return list(dict.fromkeys(path for path in found if path is not None))


def _too_long(texts: Mapping[str, str]) -> Iterator[str]:
    return (path for path, text in texts.items() if len(text) > MOST_CHARACTERS)


def _unwritable(texts: Mapping[str, str]) -> Iterator[str]:
    """Photos with a lone surrogate in their text, which JSON may contain and UTF-8 may not."""
    return (
        path for path, text in texts.items() if any("\ud800" <= each <= "\udfff" for each in text)
    )
