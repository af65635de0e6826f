"""uvicorn server on a socket bound in advance, with deadlines for all that a client can delay."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import ipaddress
import json
import logging
import socket
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from regiontalk.errors import ConfigError
from regiontalk.web.limits import DEFAULTS, Limits, address_of, most_for_one

resource: Any
try:
    resource = import_module("resource")
except ImportError:  # Windows, which does not count sockets as files
    resource = None

_LOG = logging.getLogger("uvicorn.error")
_TICKS_TO_GIVE_BACK = 50
"""Interval of `give_back`, in uvicorn's ticks of a tenth of a second."""
_BACKLOG = 1024
"""Maximum number of connections that wait to be accepted."""
_LAST_WORDS_SECONDS = 5
"""Graceful shutdown: time for requests in progress to finish."""
_ENOUGH_FILES = 65_536
"""Cap on the limit of open files: some systems report no limit, and then allow fewer."""
_READ_BYTES = 64 * 1024
"""Size of a read from a socket; several copies of it exist on the way to the application."""
_SENT_BYTES = 128 * 1024
"""Send buffer of a socket; by default the system would keep megabytes of unread responses."""
_NOT_HTTP = "expected an HTTP request, found something else"


def bind(host: str, port: int) -> socket.socket:
    """Opens a listening TCP socket.

    Args:
        host: a name or an address of this machine.
        port: 0 for one that is free.

    Raises:
        ConfigError: if the host is unknown or not this machine's, or the port is taken or not
            allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a host's name"
        raise ConfigError(
            f"--host {host!r}: {reason}. Name this machine, such as 127.0.0.1."
        ) from None
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)  # IPv4 first
    try:
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        advice = (
            "Stop what listens there, or choose another --port."
            if port
            else "Choose another --host."
        )
        raise ConfigError(f"cannot listen on {host} port {port} ({reason}). {advice}") from None


def is_loopback(listening: socket.socket) -> bool:
    """Whether a socket listens on a loopback address, which only this machine reaches."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def names(listening: socket.socket, host: str) -> frozenset[str]:
    """Allowed names in the Host header of a server on loopback."""
    address = listening.getsockname()[0]
    bracketed = f"[{address}]" if ":" in address else address
    return frozenset({"localhost", "127.0.0.1", "[::1]", bracketed, host.lower()})


def url(listening: socket.socket, host: str) -> str:
    """URL of the server for a browser."""
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: ASGIApp, listening: socket.socket, limits: Limits = DEFAULTS) -> None:
    """Serves until the process is interrupted or terminated, then shuts down gracefully.

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    allow_most_files()
    make_server(app, limits).run(sockets=[listening])


def make_server(app: ASGIApp, limits: Limits = DEFAULTS) -> uvicorn.Server:
    """Configures a uvicorn server that logs its own errors only, not those of clients."""
    most = files_allowed()
    # The other half is for files, pipes and new connections
    limits = replace(limits, connections=min(limits.connections, most // 2))
    config = uvicorn.Config(
        app,
        log_level="error",  # warnings are about invalid requests
        log_config=_log_config(),
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        # h11, not httptools: every install has it
        http=cast(Any, partial(TimedProtocol, limits=limits)),
        loop="asyncio",
        proxy_headers=False,
        timeout_keep_alive=cast(int, limits.idle_seconds),
        timeout_graceful_shutdown=_LAST_WORDS_SECONDS,
        # asyncio accepts so many at once, before the first of them can be closed
        backlog=min(_BACKLOG, most // 16),
    )
    return _Server(config)


def _log_config() -> dict[str, Any]:
    """Logs errors of uvicorn and asyncio; mutes the form parsers, which log clients' errors."""
    config = deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["handlers"]["nowhere"] = {"class": "logging.NullHandler"}
    config["loggers"]["asyncio"] = {"handlers": ["default"], "level": "ERROR", "propagate": False}
    for name in ("python_multipart", "multipart"):
        config["loggers"][name] = {"handlers": ["nowhere"], "propagate": False}
    return config


class _Server(uvicorn.Server):
    _answered_before = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening, with the full backlog."""
        asyncio.get_running_loop().set_exception_handler(_loop_failed)
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_BACKLOG)  # asyncio has one number for the queue and accepts at once

    async def on_tick(self, counter: int) -> bool:
        """Returns free memory from time to time; called ten times a second."""
        answered = self.server_state.total_requests
        if counter % _TICKS_TO_GIVE_BACK == 0 and answered != self._answered_before:
            # While idle, the reference cycles that errors leave are collected too
            if not self.server_state.tasks:
                self._answered_before = answered
                gc.collect()
            await asyncio.to_thread(give_back)
        return await super().on_tick(counter)


def _loop_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs an OSError, such as too many open files, in one line without a traceback."""
    error = context.get("exception")
    if isinstance(error, OSError):
        _LOG.error("%s (%s)", context["message"], error.strerror or error)
    else:
        loop.default_exception_handler(context)


def files_allowed() -> int:
    """Current limit of open files, sockets and pipes (soft RLIMIT_NOFILE), capped."""
    if resource is None:
        return _ENOUGH_FILES
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH_FILES if soft == resource.RLIM_INFINITY else min(soft, _ENOUGH_FILES)


def allow_most_files() -> None:
    """Raises this limit as far as the hard limit allows."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a second limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def give_back() -> None:
    """Returns free memory to the system by glibc's `malloc_trim`; does nothing elsewhere.

    After a burst of requests glibc keeps a third more than is in use.
    """
    if sys.platform == "linux":
        # Other C libraries lack it, and keep less
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


# HTTP on one connection


class TimedProtocol(H11Protocol):
    """HTTP connection with deadlines for receiving a head and for sending, and JSON errors.

    Above the limit of connections, the one idle for the longest is closed for a new one; if one
    address holds more than its share while others have some, one of its own.

    Args:
        limits: of time; and of connections, lowered where the system allows few open files.
        uvicorn: keyword arguments of uvicorn for each connection.
    """

    def __init__(self, *, limits: Limits, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._limits = limits
        self._head, self._sending = _Deadline(self.loop), _Deadline(self.loop)
        self._since = self.loop.time()
        self._address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Limits the buffers, starts the deadline of a head, and closes a connection too many."""
        super().connection_made(transport)
        self._address = address_of(self.client)
        # High-water mark 0: writing pauses as soon as the socket does not take all data, so that a
        # client that reads nothing is detected however short the response is.
        transport.set_write_buffer_limits(0)
        # asyncio's transports on POSIX have this; others read no more than this at once
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_BYTES)
        self._watch_head()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Parses received data and updates the deadline of the head."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Restarts the idle time and the deadline of the next head."""
        self._since = self.loop.time()
        super().on_response_complete()
        self._watch_head()

    def pause_writing(self) -> None:
        """Starts the deadline for sending: the client does not read."""
        super().pause_writing()
        self._sending.start(self._limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancels the deadline for sending: the buffer is empty."""
        super().resume_writing()
        self._sending.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancels the deadlines."""
        self._head.cancel()
        self._sending.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Overrides uvicorn's plain-text response to invalid HTTP."""
        self._refuse(400, _NOT_HTTP)

    @property
    def _unanswered(self) -> bool:
        """Whether the response to a request has not started yet."""
        return self.cycle is not None and not self.cycle.response_started

    def _watch_head(self) -> None:
        """Starts the deadline of the next head between requests, cancels it during one."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._head.cancel()
        elif not self.transport.is_closing():
            self._head.start(self._limits.head_seconds, self._miss_head)

    def _miss_head(self) -> None:
        # A 408 only if part of a head was received
        if self.conn.trailing_data[0] and self.conn.their_state is h11.IDLE:
            self._refuse(
                408, f"The request's head did not come in within {self._limits.head_seconds:g} s."
            )
        else:
            self.transport.close()

    def _make_room(self) -> None:
        """Closes the connection that is idle for the longest, or this one if none is idle.

        If an address exceeds its share, of its connections alone; if none of these is idle, the one
        that was opened or answered last.
        """
        pool = [
            each
            for each in cast("set[TimedProtocol]", self.connections)
            if not each.transport.is_closing()
        ]
        ((holder, most),) = Counter(each._address for each in pool).most_common(1)
        greedy = (
            most_for_one(self._limits.connections, self._limits.address_share) < most < len(pool)
        )
        if greedy:
            pool = [each for each in pool if each._address == holder]
        idle = [each for each in pool if not (each._unanswered or each is self)]
        last = max(pool, key=lambda each: each._since) if greedy else self
        min(idle, key=lambda each: each._since, default=last).transport.abort()

    def _refuse(self, status: int, text: str) -> None:
        """Sends an error, unless a response has already started, and closes the connection."""
        if self.cycle is not None:  # discards all that the application still sends
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        body = json.dumps({"error": text}).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Deadline:
    """Timer that calls a function unless it is cancelled."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float, happens: Callable[[], None]) -> None:
        """Starts the timer, unless it is started already."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, happens)

    def cancel(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
