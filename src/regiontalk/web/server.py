"""Serves an application with uvicorn, on a socket that is bound before anything is said."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import socket
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from regiontalk.errors import ConfigError
from regiontalk.web import descriptors
from regiontalk.web.limits import DEFAULTS, Limits
from regiontalk.web.memory import give_back
from regiontalk.web.protocol import TimedProtocol

_LOG = logging.getLogger("uvicorn.error")
_TICKS_TO_GIVE_BACK = 50
"""Memory is given back so often, in tenths of a second."""
_BACKLOG = 1024
"""Connections that wait to be accepted."""
_LAST_WORDS_SECONDS = 5
"""Requests that are being answered when the server is stopped get so long to end."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: a name or an address of this machine.
        port: 0 for one that is free.

    Raises:
        ConfigError: if the host is unknown or not this machine's, or the port is taken or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a host's name"
        raise ConfigError(f"--host {host!r}: {reason}. Name this machine, such as 127.0.0.1.") from None
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)  # of several, IPv4
    try:
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "Stop what listens there, or choose another --port." if port else "Choose another --host."
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
    descriptors.allow_most()
    make_server(app, limits).run(sockets=[listening])


def make_server(app: ASGIApp, limits: Limits = DEFAULTS) -> uvicorn.Server:
    """A server that says nothing but what is wrong with itself, whatever clients do."""
    most = descriptors.allowed()
    limits = replace(limits, connections=min(limits.connections, most // 2))  # the others: files, pipes, newcomers
    config = uvicorn.Config(
        app,
        log_level="error",  # its warnings are of what clients sent
        log_config=_log_config(),
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        http=cast(Any, partial(TimedProtocol, limits=limits)),  # h11: the one that every install has
        loop="asyncio",
        proxy_headers=False,
        timeout_keep_alive=cast(int, limits.idle_seconds),
        timeout_graceful_shutdown=_LAST_WORDS_SECONDS,
        backlog=min(_BACKLOG, most // 16),  # so many are accepted at once, before the first of them can be refused
    )
    return _Server(config)


def _log_config() -> dict[str, Any]:
    """Shows uvicorn's and asyncio's errors; libraries that log what clients sent wrong are not heard."""
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
            if not self.server_state.tasks:  # nobody waits: what errors left in cycles is collected too
                self._answered_before = answered
                gc.collect()
            await asyncio.to_thread(give_back)
        return await super().on_tick(counter)


def _loop_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the system refuses, such as one more open file, is a line in the log, not a traceback for each try."""
    error = context.get("exception")
    if isinstance(error, OSError):
        _LOG.error("%s (%s)", context["message"], error.strerror or error)
    else:
        loop.default_exception_handler(context)
