"""What libtiff writes to file descriptor 2, taken from there: its errors and warnings, which name no photo.

Pillow gives no way to silence it, and reaching the library through ctypes works with some builds of Pillow only. So the
descriptor leads into a file while libtiff decodes. It is the whole process's: a lock keeps it to one photo at a time,
and lines that others wrote meanwhile, which do not begin as libtiff's do, are passed on.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

_STDERR = 2
_LOCK = threading.Lock()
_READ_BYTES = 1 << 20
"""Of what was written; more comes only from photos with many broken parts, and says the same again."""

_MODULES = (
    "_?TIFF tempfile\\.tif LZW ZIP JPEG OJPEG Fax[34] PackBits PixarLog Log[L1] SGILog LZMA ZSTD WEBP LERC NeXT "
    "Thunder DumpMode Predictor MissingRequired CheckDirCount Estimate ChopUp allocChopped Evaluate BuildMap InitCCITT"
)
_LIBTIFF = re.compile(f"(?:{'|'.join(_MODULES.split())})\\w*(?:\\(\\))?: (.*)")
"""A line of libtiff's: the function or the file, as Pillow calls all of them, and the message."""


@contextmanager
def libtiff_messages() -> Iterator[list[str]]:
    """Collects what libtiff says inside the block, without the names of its functions; complete once the block ends."""
    messages: list[str] = []
    with _LOCK, _sink() as taken:
        try:
            before = os.dup(_STDERR)
        except OSError:  # closed: nothing can be written to it
            yield messages
            return
        try:
            os.dup2(taken.fileno(), _STDERR)
            yield messages
        finally:
            os.dup2(before, _STDERR)
            taken.seek(0)
            written = taken.read(_READ_BYTES)
            with suppress(OSError):
                os.write(before, _sorted_out(written, messages))
            os.close(before)


def _sink() -> IO[bytes]:
    """A file in memory, else on the disk; where neither can be made, one that forgets."""
    with suppress(OSError, AttributeError):
        return open(os.memfd_create("libtiff"), "w+b")
    with suppress(OSError):
        return tempfile.TemporaryFile()
    return open(os.devnull, "w+b")


def _sorted_out(written: bytes, messages: list[str]) -> bytes:
    """Puts libtiff's lines into `messages`, each once, and returns the others."""
    others = []
    for line in written.splitlines(keepends=True):
        found = _LIBTIFF.match(line.decode("utf-8", "replace"))
        if found is None:
            others.append(line)
        elif found[1] not in messages:
            messages.append(found[1])
    return b"".join(others)
