"""One writer at a time: a lock that the system takes back when its holder ends, however it ends."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from regiontalk.errors import DataError

LOCK_FILE = "lock"

_LOCKED_BYTE = 1 << 30  # far behind the text, which others may read meanwhile


class WriterLock:
    """Holds an index for writing. The file stays behind and says who held it last; alone it locks nothing, so one that
    a killed process left is no obstacle.

    Args:
        folder: the index's, which must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / LOCK_FILE
        self._stream: IO[str] | None = None

    def __enter__(self) -> Self:
        """Takes the lock.

        Raises:
            DataError: if another process holds it, or the file system has no locks.
            OSError: if the folder cannot be written.
        """
        stream = self._file.open("a+", encoding="utf-8")
        try:
            _lock(stream)
        except OSError as error:
            with stream:
                raise self._refusal(stream, error) from None
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        self._stream = stream
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            with suppress(OSError):
                _unlock(self._stream)
            self._stream.close()
            self._stream = None

    def _refusal(self, stream: IO[str], error: OSError) -> DataError:
        """What a lock that cannot be taken means: systems say by EAGAIN or EACCES that another process holds it."""
        folder = self._file.parent
        if not isinstance(error, BlockingIOError | PermissionError):
            return DataError(
                f"{folder}: cannot be locked for writing ({error.strerror}); its file system seems not to support it. "
                "Put the index on another disk; nothing was changed."
            )
        stream.seek(0)
        holder = stream.read(200).strip() or "unknown"
        return DataError(
            f"{folder}: another process is writing to this index ({holder}). "
            "Wait until it is done, or end it; nothing was changed."
        )


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[str]) -> None:
        stream.seek(_LOCKED_BYTE)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(stream: IO[str]) -> None:
        stream.seek(_LOCKED_BYTE)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(stream: IO[str]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(stream: IO[str]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_UN)
