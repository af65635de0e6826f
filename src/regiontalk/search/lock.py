"""One writer at a time: a lock that the system takes back when its holder ends, however it ends."""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from regiontalk.errors import DataError
from regiontalk.files import create, open_to_change, problem

LOCK_FILE = "lock"

_HOLDER = re.compile(rb"process [^\n]*\n?")
_MAX_BYTES = 1000
_LOCKED_BYTE = 1 << 30  # far behind the text, which others may read meanwhile


class WriterLock:
    """Holds an index for writing. The file stays behind and says who held it last; alone it locks nothing, so one that
    a killed process left is no obstacle.

    Args:
        folder: the index's, which must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / LOCK_FILE
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Takes the lock.

        Raises:
            DataError: if another process holds it, the file system has no locks, or the lock's file is something else:
                a link, a pipe, or a file that no writer of an index wrote.
            OSError: if the folder cannot be written.
        """
        stream = self._open()
        try:
            holder = self._holder(stream)
            try:
                _lock(stream)
            except OSError as error:
                raise self._refusal(holder, error) from None
            stream.seek(0)
            stream.truncate()
            stream.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            stream.flush()
        except BaseException:
            stream.close()
            raise
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

    def _open(self) -> BinaryIO:
        try:
            return create(self._file)
        except FileExistsError:
            return open_to_change(self._file, _MAX_BYTES)

    def _holder(self, stream: BinaryIO) -> str:
        """Who wrote last into the lock's file; it is overwritten only if that was a writer of an index."""
        text = stream.read(_MAX_BYTES)
        if text and not _HOLDER.fullmatch(text):
            found = "expected the lock of an index, found something else"
            raise problem(self._file, found, DataError, "Move it away; nothing was changed.")
        return text.decode("utf-8", "replace").strip()

    def _refusal(self, holder: str, error: OSError) -> DataError:
        """What a lock that cannot be taken means: systems say by EAGAIN or EACCES that another process holds it."""
        folder = self._file.parent
        if not isinstance(error, BlockingIOError | PermissionError):
            return DataError(
                f"{folder}: cannot be locked for writing ({error.strerror}); its file system seems not to support it. "
                "Put the index on another disk; nothing was changed."
            )
        return DataError(
            f"{folder}: another process is writing to this index ({holder or 'unknown'}). "
            "Wait until it is done, or end it; nothing was changed."
        )


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: BinaryIO) -> None:
        stream.seek(_LOCKED_BYTE)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(stream: BinaryIO) -> None:
        stream.seek(_LOCKED_BYTE)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(stream: BinaryIO) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(stream: BinaryIO) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_UN)
