"""Worker process that decodes photos: requests on stdin, responses on stdout, one at a time.

A decoder written in C cannot be interrupted from inside its process, so `regiontalk.web.decoding`
kills this process when a photo takes too long. A message, in both directions, is two lengths
(big-endian uint32), a JSON object, and bytes.
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
"""First byte on stdout, sent when all imports are done."""

_QUICK_PASSES = 50_000_000
"""Pixels times passes above which a photo is slow. A progressive JPEG has a pass for each scan."""
_OTHER_FORMATS_PASSES = 4
"""Of formats other than JPEG, which decode more slowly."""

_LENGTHS = struct.Struct(">II")
_NAMELESS = "<bytes>"  # the name of a photo without a file in errors of `open_photo`
_SCAN = b"\xff\xda"  # JPEG's start-of-scan marker
_ORPHAN_SECONDS = 5
"""Seconds after a photo's deadline at which a process whose server was killed ends itself, on
systems with SIGALRM."""


def main() -> None:
    """Processes requests until stdin is closed."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # stdout becomes devnull: output of libraries must not corrupt the messages
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    answers.write(READY)
    answers.flush()
    while True:
        try:
            request, data = read_message(requests)
        except EOFError:
            return
        if hasattr(signal, "alarm"):
            # SIGALRM without a handler ends the process, even inside a C decoder
            signal.alarm(int(request["seconds"]) + _ORPHAN_SECONDS)
        write_message(answers, *_answer(request, data))
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Reads the next message: its JSON object and its bytes.

    Raises:
        EOFError: if the stream ends before it is complete.
    """
    header, payload = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    message: dict[str, Any] = json.loads(_exactly(stream, header))
    return message, _exactly(stream, payload)


def write_message(stream: IO[bytes], message: dict[str, Any], data: bytes = b"") -> None:
    """Writes a message.

    Raises:
        OSError: if the other end of the pipe is closed.
    """
    header = json.dumps(message).encode()
    stream.write(_LENGTHS.pack(len(header), len(data)) + header)
    stream.write(data)
    stream.flush()


def open_upload(data: bytes, name: str, size: int, max_pixels: int) -> Photo:
    """Decodes an upload and resizes it to the network's input, so that a long queue fits in memory.

    Args:
        data: the file's bytes.
        name: the client's file name, for output and messages; never used as a path.
        size: the network's input side in pixels; regions are the same as those of the full photo.
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
    """Whether a photo is slow to decode, by its pixels and scans; nothing is decoded."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            passes = data.count(_SCAN) if image.format in ("JPEG", "MPO") else _OTHER_FORMATS_PASSES
            return image.width * image.height * passes > _QUICK_PASSES
    except Exception:
        # Damaged headers raise arbitrary exceptions; `open_photo` then reports the problem
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
    except Exception:  # a bug: the server logs the traceback
        return {"bug": traceback.format_exc()}, b""
    return {"width": photo.width, "height": photo.height}, photo.image.tobytes()


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
