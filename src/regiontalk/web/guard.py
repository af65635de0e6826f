"""What every request passes before it reaches the API: who may ask, how much may come in, how many at once.

Plain ASGI, so that a body is counted while it comes in, whoever reads it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from regiontalk.web.addresses import CLIENT, address_of
from regiontalk.web.exchange import Exchange, places_to_drain, too_long_text
from regiontalk.web.limits import Limits
from regiontalk.web.places import BusyError, Gate, Uploads

_LOG = logging.getLogger("uvicorn.error")  # uvicorn shows what comes here on stderr

BUG = "Something is wrong with this server; its log says what."
"""What a client is told of an error that it has nothing to do with."""

_ALWAYS_OPEN = ("/api/health", "/api/version")


class Guard:
    """Wraps an application.

    Args:
        app: what answers.
        gate: counts the requests to `/api/`.
        limits: of bodies.
        hosts: names that a request may call this server by, in lower case without port; None for any. With names, a
            page of another site cannot reach a server on this machine through a name of its own that it lets point
            here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, gate: Gate, limits: Limits, hosts: Collection[str] | None) -> None:
        self._app, self._gate, self._limits, self._hosts = app, gate, limits, hosts
        self._uploads, self._drains = Uploads(limits.uploads, limits.address_share), places_to_drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        address = address_of(scope.get("client"))
        CLIENT.set(address)
        exchange = Exchange(receive, send, self._limits, self._drains, address)
        refusal = _refusal(scope["path"], headers, self._hosts) or self._too_long(headers)
        if refusal is not None:
            await exchange.refuse(*refusal)
            return
        try:
            if scope["path"].startswith("/api/") and scope["path"] not in _ALWAYS_OPEN:
                exchange.enter(self._gate, self._uploads, _has_body(headers))
            await self._answer(_plain_get(scope), exchange)
        except BusyError as error:
            await exchange.refuse(error.status_code, error.detail, error.headers)
        finally:
            exchange.leave()

    async def _answer(self, scope: Scope, exchange: Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except BusyError:
            raise
        except asyncio.CancelledError:
            if not exchange.gone:  # the server stops
                raise
        except Exception:  # a bug: the client is told that there is one, this server's owner is told which
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            if not exchange.begun:
                await exchange.refuse(500, BUG)

    def _too_long(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """A body that says that it is too long need not come in."""
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > self._limits.body_bytes:
            return 413, too_long_text(self._limits)
        return None


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _plain_get(scope: Scope) -> Scope:
    """HEAD is answered as GET is, and the server leaves out the body; all of a file is sent, whatever Range says."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    headers = [each for each in scope["headers"] if each[0] != b"range"]
    return {**scope, "method": method, "headers": headers}


def _refusal(path: str, headers: Mapping[str, str], hosts: Collection[str] | None) -> tuple[int, str] | None:
    """Why a request may not ask at all: under a foreign name, or sent by another site's page."""
    host = headers.get("host", "").lower()
    if hosts is not None and without_port(host) not in hosts:
        return 403, "This server answers only under the names of the machine itself, such as 127.0.0.1."
    if not path.startswith("/api/"):
        return None
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:  # an older browser, or no browser
        foreign = origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}")
    return (403, "The API does not answer the pages of other sites.") if foreign else None


def without_port(host: str) -> str:
    """The name in a Host header.

    >>> without_port("localhost:8000"), without_port("[::1]:8000"), without_port("::1")
    ('localhost', '[::1]', '::1')
    """
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (":" not in name or name.endswith("]")) else host
