"""Photos decoded in processes of their own, which are ended when a photo takes too long.

Photos that are decoded quickly, nearly all, never wait for slow ones: a photo whose header says
that it takes long, or that is not ready after a moment, leaves the quick lane, waits with its like,
and is decoded in the slow lane, by a process of lower priority.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

from PIL import Image

from regiontalk.errors import PhotoError
from regiontalk.photos import MAX_PIXELS, Photo, escaped
from regiontalk.web.decoder import READY, read_message, write_message
from regiontalk.web.limits import CLIENT, BusyError, Gate, Limits

_QUICK, _SLOW = 2, 2
"""Processes of each lane: no more than so many photos are in memory at full size."""
_SLOW_NICENESS = 10

# The search path is this process's own, as for `multiprocessing`; -P keeps the current folder out
# of it meanwhile.
_START = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1]); hasattr(os, 'nice') and "
    "os.nice(int(sys.argv[2])); from regiontalk.web.decoder import main; main()"
)
_TELLS_WHY = "this tells why: python -c 'import regiontalk.web.decoder'"

Answer = tuple[dict[str, Any], bytes]
Task = tuple[dict[str, Any], Callable[[], bytes]]
"""What to do, and what reads the bytes to do it with, in another thread."""


class _TooSlowError(Exception):
    """The photo took longer than its lane allows; its process is ended."""


class _DiedError(Exception):
    """The process ended by itself: the decoder crashed, or the system took its memory."""


class Decoders:
    """Decodes for any number of requests at once.

    Its methods are for one event loop, and never block it.

    Args:
        limits: of pixels, time and waiting photos, and of the latter for one client.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._quick, self._slow = (
            _Lane(_QUICK, 0, kept=True),
            _Lane(_SLOW, _SLOW_NICENESS, kept=False),
        )
        self._slow_places = Gate(limits.slow_photos, limits.address_share)
        self._quick.start()

    async def upload(self, photo: BinaryIO, name: str, size: int) -> Photo:
        """An uploaded photo, see `open_upload`.

        Args:
            photo: the file; it is read where that blocks nobody.
            name: as the client calls it.
            size: pixels a side that the network takes.

        Raises:
            PhotoError: if it is no good, or takes too long to decode. It names the photo.
            BusyError: if it takes long, and so do too many others.
        """
        task = {"name": name, "size": size, "max_pixels": self._limits.pixels}
        answer, pixels = await self._run(
            (task, partial(_whole, photo)), name, self._limits.quick_seconds
        )
        image = Image.frombytes("RGB", (size, size), pixels)
        return Photo(name, answer["width"], answer["height"], image)

    async def copy(self, path: str | os.PathLike[str], side: int) -> bytes:
        """A photo's small copy as JPEG, see `regiontalk.report.pictures.jpeg`.

        Args:
            path: of the photo.
            side: its long side has at most so many pixels.

        Raises:
            PhotoError, BusyError: as `upload`.
        """
        name = os.fsdecode(path)
        # These photos are the server's owner's, not a client's
        most = max(self._limits.pixels, MAX_PIXELS)
        task = {"path": name, "side": side, "max_pixels": most}
        return (
            await self._run((task, bytes), os.path.basename(name), self._limits.quick_copy_seconds)
        )[1]

    def close(self) -> None:
        """Ends the processes; what is decoded now is given up."""
        self._quick.close()
        self._slow.close()

    async def _run(self, task: Task, name: str, quick_seconds: float) -> Answer:
        try:
            answer = await self._in_lanes(task, name, quick_seconds)
        except _TooSlowError:
            expected = f"a photo that is decoded within {self._limits.decode_seconds:g} s"
            raise _refused(
                name, expected, "one that takes longer", "Save it anew as a JPEG, smaller."
            ) from None
        except _DiedError:
            found = "one at which the decoder broke down"
            raise _refused(
                name, "a photo that can be decoded", found, "Save it anew as a JPEG."
            ) from None
        if "bug" in answer[0]:
            raise RuntimeError(f"decoding failed:\n{answer[0]['bug']}")
        if "error" in answer[0]:
            raise PhotoError(answer[0]["error"])
        return answer

    async def _in_lanes(self, task: Task, name: str, quick_seconds: float) -> Answer:
        message, read = task
        with suppress(_TooSlowError):
            answer = await self._quick.run(({**message, "quick": True}, read), quick_seconds)
            if "long" not in answer[0]:
                return answer
        address = CLIENT.get()
        if not self._slow_places.take(address, asyncio.get_running_loop().time()):
            raise BusyError(
                f"{escaped(name)}: it takes long to decode, and too many such photos wait."
            )
        try:
            return await self._slow.run(
                ({**message, "quick": False}, read), self._limits.decode_seconds
            )
        finally:
            self._slow_places.leave(address)


class _Lane:
    """Some processes that take turns, and as many threads that talk to them.

    Args:
        count: of processes.
        niceness: how far the processes step back behind others, 0 to 19, where the system knows of
            it.
        kept: whether a process stays for the next photo; if not, it gives its memory back.
    """

    def __init__(self, count: int, niceness: int, kept: bool) -> None:
        self._kept = kept
        self._processes = [_Process(niceness) for _ in range(count)]
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in self._processes:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="regiontalk-decode")

    def start(self) -> None:
        """Starts the processes before the first photo comes."""
        for process in self._processes:
            process.start()

    async def run(self, task: Task, seconds: float) -> Answer:
        """The answer of one of the processes; see `_Process.ask`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._work, task, seconds
        )

    def close(self) -> None:
        """Ends everything."""
        for process in self._processes:
            process.close()
        self._threads.shutdown(cancel_futures=True)

    def _work(self, task: Task, seconds: float) -> Answer:
        message, read = task
        process = self._free.get()
        try:
            return process.ask(message, read(), seconds)
        finally:
            # if it was ended, the next one imports meanwhile
            process.stop() if not self._kept else process.start()
            self._free.put(process)


class _Process:
    """A process that decodes; started again when it has ended.

    For one thread at a time, but for `close`.
    """

    def __init__(self, niceness: int) -> None:
        self._command = [sys.executable, "-P", "-c", _START, json.dumps(sys.path), str(niceness)]
        self._running: subprocess.Popen[bytes] | None = None
        self._ready = self._closed = False
        self._lock = threading.Lock()

    def start(self) -> subprocess.Popen[bytes] | None:
        """The process as it runs, or a new one; None if it is closed for good."""
        with self._lock:
            if not self._closed and (self._running is None or self._running.poll() is not None):
                self._end()
                self._running, self._ready = _popen(self._command), False
            return self._running

    def ask(self, message: dict[str, Any], data: bytes, seconds: float) -> Answer:
        """What the process answers.

        Raises:
            _TooSlowError: if it does not within `seconds`.
            _DiedError: if it ended instead.
            RuntimeError: if it does not start.
        """
        process = self.start()
        if process is None or process.stdin is None or process.stdout is None:
            raise _DiedError
        self._await_ready(process.stdout)
        late = threading.Event()
        timer = threading.Timer(seconds, _kill, (process, late))
        timer.start()
        try:
            write_message(process.stdin, {**message, "seconds": seconds}, data)
            return read_message(process.stdout)
        except (EOFError, OSError):
            raise (_TooSlowError if late.is_set() else _DiedError) from None
        finally:
            timer.cancel()
            if late.is_set():
                process.wait()

    def stop(self) -> None:
        """Ends the process; another one starts when it is needed."""
        with self._lock:
            self._end()

    def close(self) -> None:
        """Ends the process for good."""
        with self._lock:
            self._closed = True
            self._end()

    def _await_ready(self, answers: Any) -> None:
        """A new process has imported what it needs; the time for that is not the photo's."""
        if self._ready:
            return
        if answers.read(1) != READY:
            if self._closed:
                raise _DiedError
            raise RuntimeError(f"the process that decodes photos does not start; {_TELLS_WHY}")
        self._ready = True

    def _end(self) -> None:
        if self._running is None:
            return
        self._running.kill()
        self._running.wait()
        for pipe in (self._running.stdin, self._running.stdout):
            with suppress(OSError):  # what was not yet sent
                pipe.close() if pipe else None
        self._running = None


def _popen(command: list[str]) -> subprocess.Popen[bytes]:
    """A process in a group of its own, so that Ctrl-C is the server's alone, silent on stderr."""
    apart: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, **apart
    )


def _whole(photo: BinaryIO) -> bytes:
    """A file's bytes; it may be asked for twice."""
    photo.seek(0)
    return photo.read()


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _refused(name: str, expected: str, found: str, advice: str) -> PhotoError:
    return PhotoError(f"{escaped(name)}: expected {expected}, found {found}. {advice}")
