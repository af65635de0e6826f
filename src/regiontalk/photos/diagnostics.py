"""What Pillow warns of and libtiff writes to stderr, kept from the user."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

# Or Python writes Pillow's errors to stderr, unasked
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Hush:
    """How many threads want Pillow's warnings quiet now, and what brings them back."""

    lock = threading.Lock()
    threads = 0
    before: Any = None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keeps Pillow's warnings about odd metadata from the user: what matters is raised.

    Python's warning filters belong to all threads. So the first thread here changes them and the
    last one changes them back; each for itself would restore what another one had changed.
    """
    # Python 3.14 and later can have filters for each thread
    if getattr(sys.flags, "context_aware_warnings", False):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
        return
    with _Hush.lock:
        if not _Hush.threads:
            _Hush.before = warnings.catch_warnings()
            _Hush.before.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _Hush.threads += 1
    try:
        yield
    finally:
        with _Hush.lock:
            _Hush.threads -= 1
            if not _Hush.threads:
                _Hush.before.__exit__(None, None, None)


# What libtiff writes to stderr: its errors and warnings, which name no photo

_STDERR = 2
_STDERR_LOCK = threading.Lock()
_READ_BYTES = 1 << 20
"""Of what was written; more comes only from photos with many broken parts, and says the same
again."""
_MODULES = (
    "_?TIFF tempfile\\.tif LZW ZIP JPEG OJPEG Fax[34] PackBits PixarLog Log[L1] SGILog LZMA ZSTD "
    "WEBP LERC NeXT Thunder DumpMode Predictor MissingRequired CheckDirCount Estimate ChopUp "
    "allocChopped Evaluate BuildMap InitCCITT"
)
_LIBTIFF = re.compile(f"(?:{'|'.join(_MODULES.split())})\\w*(?:\\(\\))?: (.*)")
"""A line of libtiff's: the function or the file, as Pillow calls all of them, and the message."""


@contextmanager
def libtiff_messages() -> Iterator[list[str]]:
    """Collects what libtiff says inside the block, without the names of its functions.

    Complete once the block ends. Pillow gives no way to silence it, and reaching the library
    through ctypes works with some builds of Pillow only. So file descriptor 2 leads into a file
    while libtiff decodes. It is the whole process's: a lock keeps it to one photo at a time, and
    lines that others wrote meanwhile, which do not begin as libtiff's do, are passed on.
    """
    messages: list[str] = []
    with _STDERR_LOCK, _sink() as taken:
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
