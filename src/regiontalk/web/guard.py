"""ASGI middleware: Host and origin checks, limits on bodies and concurrency, security headers.

Plain ASGI, so that a body is counted and timed while it is received, whatever code reads it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regiontalk.web.limits import CLIENT, BusyError, Gate, Limits, Upload, Uploads, address_of

_LOG = logging.getLogger("uvicorn.error")  # uvicorn shows its records on stderr

BUG = "Something is wrong with this server; its log says what."
"""Error text of a 500, which hides the cause from clients."""

_DRAINED_BODIES, _DRAINED_SECONDS = 4, 10.0
"""After an early response the rest of the body is drained, up to so many times the body limit and
so many seconds: many clients read no response before they have sent all."""
_DRAINS, _DRAINED_BYTES_PER_SECOND = 2, 16 * 2**20
"""Concurrent drains, and the rate limit of each, so that other requests come first."""

_SAFE = {
    # Nothing is loaded from other origins; blob: and data: are photos that the page itself holds.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action "
        "'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

_ALWAYS_OPEN = ("/api/health", "/api/version")


class Guard:
    """ASGI middleware that checks and limits the requests to an application.

    Args:
        app: the wrapped application.
        gate: limits concurrent requests to `/api/`.
        limits: of bodies.
        hosts: allowed names in the Host header, in lower case without port; None for any. They
            prevent DNS rebinding, by which a page of another site reaches a server on this machine
            through a name of its own that resolves here.
    """

    def __init__(
        self, app: ASGIApp, gate: Gate, limits: Limits, hosts: Collection[str] | None
    ) -> None:
        self._app, self._gate, self._limits, self._hosts = app, gate, limits, hosts
        self._uploads, self._drains = (
            Uploads(limits.uploads, limits.address_share),
            asyncio.Semaphore(_DRAINS),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request by ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
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
            if not exchange.gone:  # the server is shutting down
                raise
        except Exception:
            # A bug: the cause goes to the log, the client gets a generic error
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            if not exchange.begun:
                await exchange.refuse(500, BUG)

    def _too_long(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Rejects a body that is too long by its Content-Length, before it is received."""
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > self._limits.body_bytes:
            return 413, _too_long_text(self._limits)
        return None


class Exchange:
    """A request and its response, with the slots that it holds.

    A request holds a slot of `Uploads` while its body is received, then one of `Gate` until its
    response begins: a client that sends or reads slowly occupies no slot of the gate.

    Args:
        receive, send: the server's.
        limits: of the body.
        drains: bounds the concurrent drains of unread bodies, for all exchanges of a server.
        address: the client's.

    Attributes:
        answered: whether the response is complete.
        begun: whether the response has started.
    """

    def __init__(
        self, receive: Receive, send: Send, limits: Limits, drains: asyncio.Semaphore, address: str
    ) -> None:
        self._receive, self._send, self._limits, self._drains = receive, send, limits, drains
        self._address = address
        self._bytes, self._complete = 0, False
        self._gate: Gate | None = None
        self._uploads: Uploads | None = None
        self._inside = self._gave_way = self._gone = False
        self._watch: asyncio.Task[None] | None = None
        self._timeout: asyncio.Timeout | None = None
        self._loop = asyncio.get_running_loop()
        self._upload = Upload(self._give_way, self._loop.time(), address=address)
        self._deadline = self._upload.began + limits.body_seconds
        self.begun = self.answered = False

    @property
    def gone(self) -> bool:
        """Whether the client disconnected before its response began."""
        return self._gone

    def enter(self, gate: Gate, uploads: Uploads, has_body: bool) -> None:
        """Takes a slot for the upload, or one at the gate for a request without a body.

        Raises:
            BusyError: if none is free.
        """
        self._gate, self._uploads = gate, uploads
        if not has_body:
            self._pass_gate()
        elif not gate.has_room(self._address, self._loop.time()):
            # Refused before the body is received, not after
            raise _too_many()
        else:
            uploads.enter(self._upload)

    def leave(self) -> None:
        """Releases the slots that the request still holds."""
        if self._uploads is not None:
            self._uploads.leave(self._upload)
        if self._gate is not None and self._inside:
            self._inside = False
            self._gate.leave(self._address)
        if self._watch is not None:
            self._watch.cancel()

    async def receive(self) -> Message:
        """Receives the next ASGI message.

        Raises:
            HTTPException: 413 if the body is too long, 408 if it takes too long.
            BusyError: if the gate has no free slot when the body is complete.
        """
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline) as self._timeout:
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, self._too_slow_text()) from None
        finally:
            self._timeout = None
        complete = self._count(message)
        if self._bytes > self._limits.body_bytes:
            raise HTTPException(413, _too_long_text(self._limits))
        if complete and message["type"] == "http.request" and self._uploads is not None:
            self._uploads.leave(self._upload)
            self._pass_gate()
        return message

    async def send(self, message: Message) -> None:
        """Sends a message with security headers; drains an unread body before the last one."""
        if message["type"] == "http.response.start":
            self.begun = True
            held_back = self._is_held_back(message["status"])
            self.leave()
            if held_back:
                await asyncio.sleep(self._limits.refusal_seconds)
            own = {name for name, _ in message["headers"]}
            safe = [
                (name.encode(), value.encode())
                for name, value in _SAFE.items()
                if name.encode() not in own
            ]
            message = {**message, "headers": [*message["headers"], *safe]}
        elif (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and not self._complete
        ):
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
        self.answered = message["type"] == "http.response.body" and not message.get(
            "more_body", False
        )

    async def refuse(
        self, status: int, text: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends a complete error response."""
        body = json.dumps({"error": text}).encode()
        fixed = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "cache-control": "no-store",
        }
        sent = [
            (name.encode(), value.encode()) for name, value in {**fixed, **(headers or {})}.items()
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": sent})
        await self.send({"type": "http.response.body", "body": body})

    def _is_held_back(self, status: int) -> bool:
        """Whether to delay a response: the refusal of a body while the server is crowded."""
        crowded = self._gate is not None and self._gate.inside > self._limits.crowd
        return crowded and 400 <= status < 500 and self._bytes > self._limits.text_bytes

    def _pass_gate(self) -> None:
        if self._gate is not None and not self._inside:
            if not self._gate.take(self._address, self._loop.time()):
                raise _too_many()
            self._inside = True
            self._watch = self._loop.create_task(self._give_up_with_client(asyncio.current_task()))

    async def _give_up_with_client(self, answering: asyncio.Task[None] | None) -> None:
        """Cancels the task of a request whose client has disconnected."""
        while (message := await self._receive())["type"] != "http.disconnect":
            self._count(message)  # the empty body of a GET
        if answering is not None and not self.begun:
            self._gone = True
            answering.cancel()

    def _count(self, message: Message) -> bool:
        """Counts a message's bytes; returns whether the body is complete."""
        self._bytes += len(message.get("body", b""))
        self._upload.received = self._bytes
        self._complete = not message.get("more_body", False)
        return self._complete

    def _give_way(self) -> None:
        self._gave_way = True
        self._deadline = self._loop.time()
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(self._deadline)

    def _too_slow_text(self) -> str:
        if self._gave_way:
            return "The request came in slowly and gave way to others. Send it again."
        return f"The request did not come in within {self._limits.body_seconds:g} s."

    async def _drain(self) -> None:
        """Reads the rest of the body at a limited rate and discards it."""
        most = _DRAINED_BODIES * self._limits.body_bytes
        try:
            async with asyncio.timeout(_DRAINED_SECONDS), self._drains:
                while not self._complete and self._bytes <= most:
                    before = self._bytes
                    self._count(await self._receive())
                    await asyncio.sleep((self._bytes - before) / _DRAINED_BYTES_PER_SECOND)
        except TimeoutError:
            return


def _too_many() -> BusyError:
    return BusyError("Too many requests are waiting.")


def _too_long_text(limits: Limits) -> str:
    return f"The upload is larger than {limits.body_bytes / 2**20:g} MiB. Make the photo smaller."


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _plain_get(scope: Scope) -> Scope:
    """Turns HEAD into GET, for which the server omits the body, and removes the Range header."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    headers = [each for each in scope["headers"] if each[0] != b"range"]
    return {**scope, "method": method, "headers": headers}


def _refusal(
    path: str, headers: Mapping[str, str], hosts: Collection[str] | None
) -> tuple[int, str] | None:
    """Status and text for a foreign Host name, or an API request of another site's page."""
    host = headers.get("host", "").lower()
    if hosts is not None and without_port(host) not in hosts:
        return (
            403,
            "This server answers only under the names of the machine itself, such as 127.0.0.1.",
        )
    if not path.startswith("/api/"):
        return None
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:  # an older browser, or no browser
        foreign = origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}")
    return (403, "The API does not answer the pages of other sites.") if foreign else None


def without_port(host: str) -> str:
    """Host header without its port.

    >>> without_port("localhost:8000"), without_port("[::1]:8000"), without_port("::1")
    ('localhost', '[::1]', '::1')
    """
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (":" not in name or name.endswith("]")) else host
