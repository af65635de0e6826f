"""Normalisation of photo arguments: one or many, in any form, opened or not."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from regiontalk.errors import PhotoError
from regiontalk.photos.opening import Photo, PhotoSource
from regiontalk.structures import Regions

PhotoLike: TypeAlias = PhotoSource | Photo
"""A path, a file's bytes, a binary file object, a PIL image, an array (H, W, 3) uint8 RGB, or an
opened photo."""

_ONE_PHOTO = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray, Photo)


def is_one(photo: Any) -> bool:
    """Whether a value is one photo, or its `Regions`; a file object is one, though iterable."""
    return isinstance(photo, (Regions, *_ONE_PHOTO)) or hasattr(photo, "read")


def listed(photos: Any) -> list[Any]:
    """One photo or many as a list.

    Raises:
        PhotoError: if it is neither.
    """
    if is_one(photos):
        return [photos]
    try:
        return list(photos)
    except TypeError:
        raise PhotoError(
            f"expected photos, found {what(photos)}. Give a path, or a list of them."
        ) from None


def one(photo: Any, method: str) -> Any:
    """A single photo, unchanged.

    Raises:
        PhotoError: if it is anything else, such as a list of photos.
    """
    if is_one(photo):
        return photo
    advice = (
        "Give one at a time; for many, describe_regions and align take what look found in them."
    )
    raise PhotoError(f"{method}: expected one photo, found {what(photo)}. {advice}")


def what(value: Any) -> str:
    """An unexpected value's description for messages: "a list of 2"."""
    kind = type(value).__name__
    return f"a {kind} of {len(value)}" if isinstance(value, list | tuple | set | dict) else kind
