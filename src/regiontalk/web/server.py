"""Serves an application with uvicorn, on a socket that is bound before anything is said.

There is a deadline for everything that a client can put off.
"""

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
"""Memory is given back so often, in tenths of a second."""
_BACKLOG = 1024
"""Connections that wait to be accepted."""
_LAST_WORDS_SECONDS = 5
"""Requests that are being answered when the server is stopped get so long to end."""
_ENOUGH_FILES = 65_536
"""Some systems say that there is no limit of open files, and then allow fewer."""
_READ_BYTES = 64 * 1024
"""Read from a client at once; on its way to the application there are several copies of it."""
_SENT_BYTES = 128 * 1024
"""What the system keeps for a client at most; by itself it would keep megabytes of answers that
nobody reads."""
_NOT_HTTP = "expected an HTTP request, found something else"


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

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
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)  # of several, IPv4
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
    """Whether only this machine reaches a socket."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def names(listening: socket.socket, host: str) -> frozenset[str]:
    """What a Host header may call a server on loopback."""
    address = listening.getsockname()[0]
    bracketed = f"[{address}]" if ":" in address else address
    return frozenset({"localhost", "127.0.0.1", "[::1]", bracketed, host.lower()})


def url(listening: socket.socket, host: str) -> str:
    """Where a browser finds it."""
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: ASGIApp, listening: socket.socket, limits: Limits = DEFAULTS) -> None:
    """Serves until the process is interrupted or terminated; then ends what is being answered.

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    allow_most_files()
    make_server(app, limits).run(sockets=[listening])


def make_server(app: ASGIApp, limits: Limits = DEFAULTS) -> uvicorn.Server:
    """A server that says nothing but what is wrong with itself, whatever clients do."""
    most = files_allowed()
    # The others: files, pipes, newcomers
    limits = replace(limits, connections=min(limits.connections, most // 2))
    config = uvicorn.Config(
        app,
        log_level="error",  # its warnings are of what clients sent
        log_config=_log_config(),
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        # h11: the one that every install has
        http=cast(Any, partial(TimedProtocol, limits=limits)),
        loop="asyncio",
        proxy_headers=False,
        timeout_keep_alive=cast(int, limits.idle_seconds),
        timeout_graceful_shutdown=_LAST_WORDS_SECONDS,
        # So many are accepted at once, before the first of them can be refused
        backlog=min(_BACKLOG, most // 16),
    )
    return _Server(config)


def _log_config() -> dict[str, Any]:
    """Shows uvicorn's and asyncio's errors.

    Libraries that log what clients sent wrong are not heard.
    """
    config = deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["handlers"]["nowhere"] = {"class": "logging.NullHandler"}
    config["loggers"]["asyncio"] = {"handlers": ["default"], "level": "ERROR", "propagate": False}
    for name in ("python_multipart", "multipart"):
        config["loggers"][name] = {"handlers": ["nowhere"], "propagate": False}
    return config


class _Server(uvicorn.Server):
    _answered_before = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens."""
        asyncio.get_running_loop().set_exception_handler(_loop_failed)
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_BACKLOG)  # asyncio lets as many wait as it accepts at once

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        answered = self.server_state.total_requests
        if counter % _TICKS_TO_GIVE_BACK == 0 and answered != self._answered_before:
            # Nobody waits: what errors left in cycles is collected too
            if not self.server_state.tasks:
                self._answered_before = answered
                gc.collect()
            await asyncio.to_thread(give_back)
        return await super().on_tick(counter)


def _loop_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the system refuses, such as one more open file, is a line in the log.

    Not a traceback for each try.
    """
    error = context.get("exception")
    if isinstance(error, OSError):
        _LOG.error("%s (%s)", context["message"], error.strerror or error)
    else:
        loop.default_exception_handler(context)


def files_allowed() -> int:
    """How many files, sockets and pipes this process may have open now."""
    if resource is None:
        return _ENOUGH_FILES
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH_FILES if soft == resource.RLIM_INFINITY else min(soft, _ENOUGH_FILES)


def allow_most_files() -> None:
    """Raises this limit as far as the process may."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a second limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def give_back() -> None:
    """Memory that is free again goes back to the system, where the C library keeps it otherwise.

    After a rush of requests glibc keeps a third more than what is in use. Nothing is done
    elsewhere.
    """
    if sys.platform == "linux":
        # Other C libraries have none, and keep less
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


# HTTP on one connection


class TimedProtocol(H11Protocol):
    """Closes connections whose clients send no head, or take nothing.

    Errors below the application are JSON too. When there are too many connections, the one that has
    been idle for the longest gives way to the new one; if one address holds more than its share
    while others have some, it is one of its own.

    Args:
        limits: of time; and of connections, which may be fewer where the system allows fewer open
            files.
        uvicorn: what uvicorn gives to each connection.
    """

    def __init__(self, *, limits: Limits, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._limits = limits
        self._head, self._sending = _Deadline(self.loop), _Deadline(self.loop)
        self._since = self.loop.time()
        self._address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._address = address_of(self.client)
        # Paused as soon as the system does not take all that is sent, and resumed when it has: a
        # client that reads nothing is seen however short the answer is.
        transport.set_write_buffer_limits(0)
        # Of asyncio's own on POSIX; others read no more than this at once
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_BYTES)
        self._watch_head()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Part of a request has come."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """A request is answered."""
        self._since = self.loop.time()
        super().on_response_complete()
        self._watch_head()

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        super().pause_writing()
        self._sending.start(self._limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken all."""
        super().resume_writing()
        self._sending.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, by either side."""
        self._head.cancel()
        self._sending.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """uvicorn has found that the client does not speak HTTP."""
        self._refuse(400, _NOT_HTTP)

    @property
    def _unanswered(self) -> bool:
        """Whether a request waits for its answer to begin."""
        return self.cycle is not None and not self.cycle.response_started

    def _watch_head(self) -> None:
        """A deadline for the next request's head, from the end of each request on."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._head.cancel()
        elif not self.transport.is_closing():
            self._head.start(self._limits.head_seconds, self._miss_head)

    def _miss_head(self) -> None:
        if self.conn.trailing_data[0] and self.conn.their_state is h11.IDLE:
            self._refuse(
                408, f"The request's head did not come in within {self._limits.head_seconds:g} s."
            )
        else:
            self.transport.close()

    def _make_room(self) -> None:
        """Closes the connection that has had no request to answer for the longest.

        This one if all have. If one address is greedy, of its own connections; and if all of these
        have requests, the one that came last.
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
        """Answers in place of the application, if nothing is answered yet, and closes."""
        if self.cycle is not None:  # what the application still sends goes nowhere
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
    """Something that happens unless it is cancelled in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float, happens: Callable[[], None]) -> None:
        """Sets the time, unless it is set already."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, happens)

    def cancel(self) -> None:
        """Nothing happens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
