"""Serves an application with uvicorn, on a socket that is bound before anything is said."""

from __future__ import annotations

import ipaddress
import socket

import uvicorn
from starlette.types import ASGIApp

from regiontalk.errors import ConfigError

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
        return socket.create_server(address[:2], family=family, backlog=1024)
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


def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Serves until the process is interrupted or terminated; then ends what is being answered.

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    make_server(app).run(sockets=[listening])


def make_server(app: ASGIApp) -> uvicorn.Server:
    """A server that says nothing but what is wrong."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        http="h11",  # the one that every install has
        loop="asyncio",
        proxy_headers=False,
        timeout_graceful_shutdown=_LAST_WORDS_SECONDS,
    )
    return uvicorn.Server(config)
