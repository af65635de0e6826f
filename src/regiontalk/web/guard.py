"""What every request passes before it reaches the API: who may ask, how much may come in, how many at once.

Plain ASGI, so that a body is counted while it comes in, whoever reads it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regiontalk.web.limits import Limits

_LOG = logging.getLogger("uvicorn.error")  # uvicorn shows what comes here on stderr

RETRY_SECONDS = 2
"""What a client that comes while too many wait is told to wait."""

_ALWAYS_OPEN = ("/api/health", "/api/version")
_DRAINED_BODIES, _DRAINED_SECONDS = 4, 10.0
"""An answered request's body is still read, up to so many times the limit: many clients hear nothing before they have
sent all."""

_SAFE = {
    # Only what this server serves is ever loaded; blob: and data: are photos that the page itself holds.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Gate:
    """Counts the requests that are taken on."""

    def __init__(self, limit: int) -> None:
        self._limit, self.inside = limit, 0

    def enter(self) -> bool:
        """Takes one more on, unless there are too many."""
        if self.inside >= self._limit:
            return False
        self.inside += 1
        return True

    def leave(self) -> None:
        """One is answered."""
        self.inside -= 1


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = _Body(receive, send, self._limits)
        refusal = _refusal(scope["path"], headers, self._hosts) or self._too_long(headers)
        if refusal is not None:
            await _refuse(body.send, *refusal)
        elif not scope["path"].startswith("/api/") or scope["path"] in _ALWAYS_OPEN:
            await self._answer(scope, body)
        elif not self._gate.enter():
            text = f"Too many requests are waiting. Try again in {RETRY_SECONDS} seconds."
            await _refuse(body.send, 503, text, {"retry-after": str(RETRY_SECONDS)})
        else:
            try:
                await self._answer(scope, body)
            finally:
                self._gate.leave()

    async def _answer(self, scope: Scope, body: _Body) -> None:
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:  # a bug: the client was told that there is one, this server's owner is told which
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            if not body.answered:
                raise

    def _too_long(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """A body that says that it is too long need not come in."""
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > self._limits.body_bytes:
            return 413, _too_long_text(self._limits)
        return None


class _Body:
    """A request's body on its way in, and the response on its way out.

    Args:
        receive, send: the server's.
        limits: of the body.

    Attributes:
        answered: whether the response is sent to its end.
    """

    def __init__(self, receive: Receive, send: Send, limits: Limits) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        self._bytes, self._complete = 0, False
        self.answered = False
        self._deadline = asyncio.get_running_loop().time() + limits.body_seconds

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            HTTPException: 413 if the body is too long, 408 if it takes too long.
        """
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"The request did not come in within {self._limits.body_seconds:g} s.") from None
        self._bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._bytes > self._limits.body_bytes:
            raise HTTPException(413, _too_long_text(self._limits))
        return message

    async def send(self, message: Message) -> None:
        """Sends on, with headers for safety."""
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            safe = [(name.encode(), value.encode()) for name, value in _SAFE.items() if name.encode() not in own]
            message = {**message, "headers": [*message["headers"], *safe]}
        elif message["type"] == "http.response.body" and not message.get("more_body", False) and not self._complete:
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
        self.answered = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def _drain(self) -> None:
        """Reads what is left of the body into nowhere."""
        most = _DRAINED_BODIES * self._limits.body_bytes
        try:
            async with asyncio.timeout(_DRAINED_SECONDS):
                while not self._complete and self._bytes <= most:
                    message = await self._receive()
                    self._bytes += len(message.get("body", b""))
                    self._complete = not message.get("more_body", False)
        except TimeoutError:
            return


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


def _too_long_text(limits: Limits) -> str:
    return f"The upload is larger than {limits.body_bytes / 2**20:g} MiB. Make the photo smaller."


async def _refuse(send: Any, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
    body = json.dumps({"error": text}).encode()
    fixed = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
    sent = [(name.encode(), value.encode()) for name, value in {**fixed, **(headers or {})}.items()]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
