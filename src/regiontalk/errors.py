"""Exception classes: every error that a user can cause is a `RegionTalkError`.

Its text names the file or flag, what was expected, what was found and what to do; the command line
prints it unchanged, without a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

# In messages of ONNX Runtime, PyTorch and operating systems
_OUT_OF_MEMORY = re.compile("bad.?alloc|allocate memory", re.IGNORECASE)
_PANIC = "PanicException"


class RegionTalkError(Exception):
    """Base class of all errors that RegionTalk raises on purpose."""


class PhotoError(RegionTalkError):
    """A photo is missing, broken, too large or not a photo."""


class SentenceError(RegionTalkError):
    """A sentence is empty, or all its words are out of vocabulary."""


class PackError(RegionTalkError):
    """A pack is missing, damaged, or made for another version."""


class DataError(RegionTalkError):
    """A dataset, a list of captions or a store of regions is missing, malformed or inconsistent."""


class ConfigError(RegionTalkError):
    """A training configuration or a combination of options is invalid."""


class TrainingError(RegionTalkError):
    """Training cannot continue: a non-finite loss, a checkpoint of another run."""


@contextmanager
def memory_errors(needed: int = 0) -> Iterator[None]:
    """Converts libraries' out-of-memory errors within the block to MemoryError.

    ONNX Runtime and PyTorch have their own errors for it. A Rust library panics where Python cannot
    allocate an object: it writes to stderr, then pyo3 raises `PanicException`, which is not an
    `Exception`.

    Args:
        needed: bytes that a Rust library will allocate at least. They are allocated beforehand as a
            test, so that too little memory raises here, without a panic message on stderr.

    Raises:
        MemoryError: if there is too little memory.
    """
    bytes(needed)  # freed at once, and never written to
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == _PANIC or (
            isinstance(error, Exception) and _OUT_OF_MEMORY.search(str(error))
        ):
            raise MemoryError(str(error)) from None
        raise
