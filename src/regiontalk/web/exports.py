"""Captions as files to download, made from names and texts alone: what `regiontalk describe` writes."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Sequence

from regiontalk.data.alt_table import AltRow, AltTable
from regiontalk.data.captions import is_safe_name, repeated
from regiontalk.data.sidecars import SUFFIXES, new_sidecar
from regiontalk.errors import ConfigError
from regiontalk.settings import shown
from regiontalk.web.schemas import CaptionedPhoto

_READABLE = 0o644 << 16
"""The permissions of a file, where a zip keeps them."""


def table(photos: Sequence[CaptionedPhoto]) -> bytes:
    """The table of `describe --csv`.

    Raises:
        ConfigError: if a name is not one of a file in a folder, or two photos have the same.
    """
    _check_names(photos)
    made = AltTable()
    for each in photos:
        made.put(AltRow(each.file, each.caption, each.width, each.height, tuple(each.regions)))
    return made.to_bytes()


def sidecars(photos: Sequence[CaptionedPhoto]) -> bytes:
    """The sidecars of `describe --sidecar` as a zip, to be unpacked in the photos' folder; none without a caption.

    Raises:
        ConfigError: as `table`.
    """
    _check_names(photos)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as packed:
        for each in photos:
            if each.caption.strip():
                entry = zipfile.ZipInfo(each.file + SUFFIXES[0], time.localtime()[:6])
                entry.external_attr = _READABLE
                packed.writestr(entry, new_sidecar(each.caption))
    return stream.getvalue()


def _check_names(photos: Sequence[CaptionedPhoto]) -> None:
    for each in photos:
        if not is_safe_name(each.file) or "\\" in each.file:
            raise ConfigError(f"file: expected a path inside the photos' folder, found {shown(each.file)}")
    twice = repeated([each.file for each in photos])
    if twice:
        raise ConfigError(f"file: two photos called {shown(twice[0])}, expected one. Leave one out.")
