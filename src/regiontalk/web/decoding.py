"""Worker pools that decode photos in separate processes, which are killed at a deadline.

There are two pools, so that most photos never queue behind slow ones. A photo that is slow by its
header, or misses the quick lane's deadline, moves to the queue of the slow lane, whose processes
have a lower priority.
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
"""Processes of each lane, which bound the photos that are in memory at full size."""
_SLOW_NICENESS = 10

# sys.path is copied from this process, as by `multiprocessing`; until then, -P keeps the current
# folder out of it.
_START = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1]); hasattr(os, 'nice') and "
    "os.nice(int(sys.argv[2])); from regiontalk.web.decoder import main; main()"
)
_TELLS_WHY = "this tells why: python -c 'import regiontalk.web.decoder'"

Answer = tuple[dict[str, Any], bytes]
Task = tuple[dict[str, Any], Callable[[], bytes]]
"""A request, and a function that reads the photo's bytes, called in a thread of the lane."""


class _TooSlowError(Exception):
    """The photo missed its lane's deadline; its process was killed."""


class _DiedError(Exception):
    """The process ended by itself: the decoder crashed, or the system killed it for its memory."""


class Decoders:
    """Decodes photos for concurrent requests in two pools of processes.

    Its coroutines are for one event loop and never block it.

    Args:
        limits: of pixels, of time, and of slow photos, in all and for one client address.
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
        """Decodes an uploaded photo, see `open_upload`.

        Args:
            photo: the file; it is read in a thread of the lane.
            name: the client's file name.
            size: the network's input side in pixels.

        Raises:
            PhotoError: if it is not a valid photo, or misses the deadline. It names the photo.
            BusyError: if it is slow, and the slow lane's queue is full.
        """
        task = {"name": name, "size": size, "max_pixels": self._limits.pixels}
        answer, pixels = await self._run(
            (task, partial(_whole, photo)), name, self._limits.quick_seconds
        )
        image = Image.frombytes("RGB", (size, size), pixels)
        return Photo(name, answer["width"], answer["height"], image)

    async def copy(self, path: str | os.PathLike[str], side: int) -> bytes:
        """Makes a downscaled JPEG of a photo, see `regiontalk.report.pictures.jpeg`.

        Args:
            side: maximum of the copy's long side, in pixels.

        Raises:
            PhotoError, BusyError: as `upload`.
        """
        name = os.fsdecode(path)
        # The server's owner chose these photos: a stricter limit for uploads does not apply
        most = max(self._limits.pixels, MAX_PIXELS)
        task = {"path": name, "side": side, "max_pixels": most}
        return (
            await self._run((task, bytes), os.path.basename(name), self._limits.quick_copy_seconds)
        )[1]

    def close(self) -> None:
        """Kills the processes; decoding in progress is abandoned."""
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
    """Pool of decoder processes, with as many threads that wait for their responses.

    Args:
        count: of processes.
        niceness: the processes' nice value, 0 to 19, on systems that have it.
        kept: whether a process is reused for the next photo; if not, it ends and frees its memory.
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
        """Runs a task on a free process; see `_Process.ask`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._work, task, seconds
        )

    def close(self) -> None:
        """Kills the processes and ends the threads."""
        for process in self._processes:
            process.close()
        self._threads.shutdown(cancel_futures=True)

    def _work(self, task: Task, seconds: float) -> Answer:
        message, read = task
        process = self._free.get()
        try:
            return process.ask(message, read(), seconds)
        finally:
            # after a kill, the replacement imports before the next photo comes
            process.stop() if not self._kept else process.start()
            self._free.put(process)


class _Process:
    """Decoder process that is restarted after it has ended.

    For one thread at a time; only `close` may be called from another one.
    """

    def __init__(self, niceness: int) -> None:
        self._command = [sys.executable, "-P", "-c", _START, json.dumps(sys.path), str(niceness)]
        self._running: subprocess.Popen[bytes] | None = None
        self._ready = self._closed = False
        self._lock = threading.Lock()

    def start(self) -> subprocess.Popen[bytes] | None:
        """Returns the running process, or starts one; None after `close`."""
        with self._lock:
            if not self._closed and (self._running is None or self._running.poll() is not None):
                self._end()
                self._running, self._ready = _popen(self._command), False
            return self._running

    def ask(self, message: dict[str, Any], data: bytes, seconds: float) -> Answer:
        """Sends a request and waits for the response.

        Raises:
            _TooSlowError: if there is none within `seconds`; the process is killed.
            _DiedError: if the process ended, or is closed.
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
        """Kills the process; `start` and `ask` start another one."""
        with self._lock:
            self._end()

    def close(self) -> None:
        """Kills the process and prevents restarts."""
        with self._lock:
            self._closed = True
            self._end()

    def _await_ready(self, answers: Any) -> None:
        """Waits for a new process's imports, which do not count towards the photo's deadline."""
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
            with suppress(OSError):  # unsent data cannot be flushed any more
                pipe.close() if pipe else None
        self._running = None


def _popen(command: list[str]) -> subprocess.Popen[bytes]:
    """Starts a process in its own group, which Ctrl-C does not reach, with stderr discarded."""
    apart: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, **apart
    )


def _whole(photo: BinaryIO) -> bytes:
    """Reads a file from its start, once for each lane that decodes it."""
    photo.seek(0)
    return photo.read()


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _refused(name: str, expected: str, found: str, advice: str) -> PhotoError:
    return PhotoError(f"{escaped(name)}: expected {expected}, found {found}. {advice}")
