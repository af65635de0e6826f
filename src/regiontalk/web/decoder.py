"""The process that decodes photos for the server.

It answers requests on stdin, one after the other, on stdout. A decoder written in C cannot be
interrupted inside a process, so `regiontalk.web.decoding` ends this one from outside when a photo
takes too long. A message, in both directions, is two lengths, a JSON object, and bytes.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from PIL import Image

from regiontalk.errors import PhotoError
from regiontalk.photos import Photo, escaped, open_photo
from regiontalk.photos.kinds import TooManyPixelsError
from regiontalk.report.pictures import jpeg

READY = b"\n"
"""The first byte on stdout: everything is imported."""

_QUICK_PASSES = 50_000_000
"""Pixels that are decoded in a moment. A progressive JPEG's are decoded in every scan, other
formats' more slowly."""
_OTHER_FORMATS_PASSES = 4

_LENGTHS = struct.Struct(">II")
_NAMELESS = "<bytes>"  # what `open_photo` calls a photo without a file
_SCAN = b"\xff\xda"  # a JPEG's marker
_ORPHAN_SECONDS = 5
"""A process whose server was killed ends so long after its photo's deadline, if possible."""


def main() -> None:
    """Answers until stdin ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Libraries that print must not break the messages
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    answers.write(READY)
    answers.flush()
    while True:
        try:
            request, data = read_message(requests)
        except EOFError:
            return
        if hasattr(signal, "alarm"):
            # Without a handler, it ends the process
            signal.alarm(int(request["seconds"]) + _ORPHAN_SECONDS)
        write_message(answers, *_answer(request, data))
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """The next message.

    Raises:
        EOFError: if the stream ends before it is complete.
    """
    header, payload = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    message: dict[str, Any] = json.loads(_exactly(stream, header))
    return message, _exactly(stream, payload)


def write_message(stream: IO[bytes], message: dict[str, Any], data: bytes = b"") -> None:
    """Sends a message.

    Raises:
        OSError: if nobody reads it.
    """
    header = json.dumps(message).encode()
    stream.write(_LENGTHS.pack(len(header), len(data)) + header)
    stream.write(data)
    stream.flush()


def open_upload(data: bytes, name: str, size: int, max_pixels: int) -> Photo:
    """An uploaded photo, as small as the network takes it, so that many may wait in little memory.

    Args:
        data: the file's bytes.
        name: as the client calls it: for output and messages, never a path.
        size: pixels a side that the network takes; the regions are the same as those of the full
            photo.
        max_pixels: as in `open_photo`.

    Raises:
        PhotoError: as `open_photo`, with the upload's name.
    """
    try:
        photo = open_photo(data, max_pixels=max_pixels, min_side=size)
    except PhotoError as error:
        said = error.for_guests if isinstance(error, TooManyPixelsError) else str(error)
        raise PhotoError(said.replace(_NAMELESS, escaped(name), 1)) from None
    return replace(photo, file=name).prepared(size)


def takes_long(data: bytes) -> bool:
    """Whether a photo's header and scans say that decoding it takes more than a moment."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            passes = data.count(_SCAN) if image.format in ("JPEG", "MPO") else _OTHER_FORMATS_PASSES
            return image.width * image.height * passes > _QUICK_PASSES
    except Exception:
        # Readers raise whatever a damaged header leads them into; `open_photo` tells what it is
        return False


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        if request["quick"] and takes_long(data):
            return {"long": True}, b""
        if "path" in request:
            side = int(request["side"])
            photo = open_photo(
                Path(request["path"]), max_pixels=request["max_pixels"], min_side=side
            )
            return {}, jpeg(photo.image, side)
        photo = open_upload(data, request["name"], request["size"], request["max_pixels"])
    except PhotoError as error:
        return {"error": str(error)}, b""
    except Exception:  # a bug: the server's log tells of it
        return {"bug": traceback.format_exc()}, b""
    return {"width": photo.width, "height": photo.height}, photo.image.tobytes()


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
