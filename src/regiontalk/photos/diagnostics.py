"""Suppression of Pillow's warnings, and capture of libtiff's messages on stderr."""

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

# Without a handler, logging's last resort would write Pillow's errors to stderr
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Hush:
    """Reference count of `quiet_pillow` across threads, and the context that restores filters."""

    lock = threading.Lock()
    threads = 0
    before: Any = None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Suppresses Pillow's warnings about odd metadata within the block; errors are still raised.

    Warning filters are shared by all threads, so they are reference-counted: the first thread to
    enter changes them, the last one to leave restores them. With a `catch_warnings` for each thread
    one could restore the filters that another had set.
    """
    # Python 3.14 and later can have filters for each context
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


# libtiff writes errors and warnings to stderr, without the photo's name

_STDERR = 2
_STDERR_LOCK = threading.Lock()
_READ_BYTES = 1 << 20
"""Limit of captured output. Only photos with many damaged parts give more, and it repeats
itself."""
_MODULES = (
    "_?TIFF tempfile\\.tif LZW ZIP JPEG OJPEG Fax[34] PackBits PixarLog Log[L1] SGILog LZMA ZSTD "
    "WEBP LERC NeXT Thunder DumpMode Predictor MissingRequired CheckDirCount Estimate ChopUp "
    "allocChopped Evaluate BuildMap InitCCITT"
)
_LIBTIFF = re.compile(f"(?:{'|'.join(_MODULES.split())})\\w*(?:\\(\\))?: (.*)")
"""A line of libtiff: a function, or the file name that Pillow gives to all files; the message."""


@contextmanager
def libtiff_messages() -> Iterator[list[str]]:
    """Captures libtiff's messages within the block, without the names of its functions.

    The list is complete once the block ends. Pillow has no way to silence libtiff, and setting an
    error handler through ctypes works with some builds of Pillow only, so file descriptor 2 is
    redirected to a file. The descriptor is shared by the process: a lock admits one photo at a
    time, and lines of other writers, which do not begin as libtiff's do, are passed on.
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
    """A file in memory (memfd), else a temporary file, else the null device."""
    with suppress(OSError, AttributeError):
        return open(os.memfd_create("libtiff"), "w+b")
    with suppress(OSError):
        return tempfile.TemporaryFile()
    return open(os.devnull, "w+b")


def _sorted_out(written: bytes, messages: list[str]) -> bytes:
    """Appends libtiff's messages to `messages`, deduplicated, and returns the other lines."""
    others = []
    for line in written.splitlines(keepends=True):
        found = _LIBTIFF.match(line.decode("utf-8", "replace"))
        if found is None:
            others.append(line)
        elif found[1] not in messages:
            messages.append(found[1])
    return b"".join(others)
