"""Errors that a user can cause: each message names what is wrong and what to do.

Every error that a user can cause is a `RegionTalkError`. Its text names the file or flag, says what
was expected and what was found, and what to do; the command line prints it as it is, without a
traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

# As ONNX Runtime, PyTorch and systems say it
_OUT_OF_MEMORY = re.compile("bad.?alloc|allocate memory", re.IGNORECASE)
_PANIC = "PanicException"


class RegionTalkError(Exception):
    """The base of all errors that RegionTalk raises on purpose."""


class PhotoError(RegionTalkError):
    """A photo is missing, broken, too large or not a photo."""


class SentenceError(RegionTalkError):
    """A sentence is empty or holds no word that the pack knows."""


class PackError(RegionTalkError):
    """A pack is missing, damaged, or made for another version."""


class DataError(RegionTalkError):
    """A dataset, a list of captions or a store of regions is not what it should be."""


class ConfigError(RegionTalkError):
    """A training configuration or a combination of options makes no sense."""


class TrainingError(RegionTalkError):
    """Training cannot go on: a non-finite loss, a checkpoint of another run."""


@contextmanager
def memory_errors(needed: int = 0) -> Iterator[None]:
    """Makes a MemoryError of whatever libraries raise in the block for want of memory.

    ONNX Runtime and PyTorch have errors of their own for it. A library in Rust panics where Python
    gives it no object: this is written to stderr, and then pyo3 raises a `PanicException`, which is
    no `Exception`.

    Args:
        needed: bytes that such a library will ask for at least. They are asked for before, so that
            nothing is written.

    Raises:
        MemoryError: if there is too little.
    """
    bytes(needed)  # given back at once, and never written to
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == _PANIC or (
            isinstance(error, Exception) and _OUT_OF_MEMORY.search(str(error))
        ):
            raise MemoryError(str(error)) from None
        raise
