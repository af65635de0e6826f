"""Output files of commands and pictures of `--draw`: written whole, replacing no input."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regiontalk.cli.console import Report, printable
from regiontalk.errors import ConfigError, PhotoError
from regiontalk.files import fitting_name, naming, write_bytes

if TYPE_CHECKING:
    from PIL import Image

    from regiontalk.cli.photos import PhotoChoice
    from regiontalk.photos import Photo

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
DRAWN_SIDE = 1600
"""Least side, in pixels, to which JPEGs are scaled for drawing: more than a screen shows."""


def identities(paths: Iterable[str | os.PathLike[str]]) -> set[tuple[int, int]]:
    """Identities (device, inode) of existing files and folders, as in `os.path.samefile`.

    Links to a file share its identity, as do names that differ in case alone where the file system
    is case-insensitive.
    """
    found = set()
    for path in paths:
        try:
            status = os.stat(path)
        except (OSError, ValueError):  # not there, or a name that no file can have
            continue
        found.add((status.st_dev, status.st_ino))
    return found


def require_writable(target: Path) -> None:
    """Check, before any work, that a file can be written, by creating a temporary one beside it.

    Raises:
        OSError: if not; it names the file.
    """
    with naming(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        beside = target.with_name(f".{secrets.token_hex(8)}.partial")
        beside.touch(exist_ok=False)
        beside.unlink()


def make_place(target: Path) -> None:
    """`require_writable`, after making the file's folder.

    Raises:
        OSError: if it cannot be; it names the file.
    """
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    require_writable(target)


def plan_pictures(
    draw: str | None, given: Sequence[str], photos: Sequence[Path]
) -> dict[Path, Path]:
    """Plan the path of each photo's picture, before any work is done.

    One photo goes to the file `draw`, or into it if it is a folder. Many, or a folder of photos, go
    into the folder `draw`, which is made; a picture has its photo's name, with a number where two
    photos share one.

    Args:
        draw: value of `--draw`; None for no pictures.
        given: the arguments that name photos and folders.
        photos: those found.

    Returns:
        photo → picture; empty without `draw`.

    Raises:
        ConfigError: if `draw` is no file for a picture or no folder for many, or a picture would
            replace one of the photos, or, under an automatic name, any file beside one.
    """
    if draw is None:
        return {}
    many = len(given) > 1 or any(os.path.isdir(name) for name in given)
    if many or os.path.isdir(draw) or draw.endswith(("/", os.sep)):
        folder = _folder(draw, len(photos))
        pictures = {photo: folder / name for photo, name in _names(photos).items()}
        _spare_photos(pictures, chosen=False)
    else:
        pictures = {photo: _file(draw) for photo in photos}
        _spare_photos(pictures, chosen=True)
    return pictures


def draw_picture(
    file: str | os.PathLike[str],
    target: Path,
    picture: Callable[[Photo, Any], Image.Image],
    result: Any,
    choice: PhotoChoice,
    report: Report,
) -> None:
    """Reopen a photo at display size, draw a result on it and save the picture."""
    try:
        drawn = picture(choice.open(file, DRAWN_SIDE), result)
    except PhotoError as error:  # it was readable before: the file has changed since
        report.failure(os.fspath(file), str(error))
        return
    save_picture(drawn, target, report)


def save_picture(picture: Image.Image, path: Path, report: Report) -> None:
    """Write a picture. Failures such as a full disk are reported and leave no partial file."""
    encoded = BytesIO()
    picture.save(encoded, FORMATS[path.suffix.lower()])
    try:
        # Not getbuffer(): a view could outlive the buffer, of which Python 3.13 warns
        write_bytes(path, encoded.getvalue())
    except OSError as error:
        report.failure(str(path), f"the picture could not be written: {error.strerror}")


def _folder(draw: str, photos: int) -> Path:
    folder = Path(draw)
    if os.path.lexists(folder) and not folder.is_dir():
        raise ConfigError(
            f"--draw {printable(draw)}: is a file; with many photos --draw names a folder"
        )
    if folder.suffix.lower() in FORMATS and not folder.is_dir():
        raise ConfigError(
            f"--draw {printable(draw)}: names one picture, but there may be many (found {photos}); "
            "name a folder"
        )
    return folder


def _file(draw: str) -> Path:
    path = Path(draw)
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"--draw {printable(draw)!r}: expected a file that ends in {', '.join(FORMATS)}, "
            "or a folder that exists"
        )
    return path


def _names(photos: Sequence[Path]) -> dict[Path, str]:
    """A file name for each photo's picture, unique also on case-insensitive file systems."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for photo in photos:
        if photo in names:
            continue
        name, number = fitting_name(photo.stem, ".png"), 1
        while name.lower() in taken:
            number += 1
            name = fitting_name(photo.stem, f"-{number}.png")
        taken.add(name.lower())
        names[photo] = name
    return names


def _spare_photos(pictures: dict[Path, Path], chosen: bool) -> None:
    """Refuse pictures that would replace a given photo, or, unless `chosen`, a file beside one."""
    photos, folders = identities(pictures), identities(photo.parent for photo in pictures)
    for picture in pictures.values():
        if identities([picture]) & photos:
            raise ConfigError(
                f"--draw would replace the photo {printable(str(picture))}; choose another place"
            )
        if not chosen and os.path.lexists(picture) and identities([picture.parent]) & folders:
            raise ConfigError(
                f"--draw would replace {printable(str(picture))}, which lies beside the photos; "
                "choose another folder"
            )
