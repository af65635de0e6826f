"""One request's body on its way in, and its response on the way out: counted, timed, and with headers for safety."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Send

from regiontalk.web.limits import Limits
from regiontalk.web.places import BusyError, Gate, Upload, Uploads

_DRAINED_BODIES, _DRAINED_SECONDS = 4, 10.0
"""An answered request's body is still read, up to so many times the limit: many clients hear nothing before they have
sent all."""
_DRAINS, _DRAINED_BYTES_PER_SECOND = 2, 16 * 2**20
"""So many such bodies are read at once, and no faster: requests that are worth it come first."""

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


class Exchange:
    """A request and its response.

    A request takes a place among the uploads while its body comes in, then one at the gate until its response begins:
    a client that sends or reads slowly keeps none that others could work in.

    Args:
        receive, send: the server's.
        limits: of the body.
        drains: see `places_to_drain`.
        address: the client's.

    Attributes:
        answered: whether the response is sent to its end.
        begun: whether it is sent in part.
    """

    def __init__(self, receive: Receive, send: Send, limits: Limits, drains: asyncio.Semaphore, address: str) -> None:
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
        """Whether the client has left before it was answered."""
        return self._gone

    def enter(self, gate: Gate, uploads: Uploads, has_body: bool) -> None:
        """Takes the places that the request needs.

        Raises:
            BusyError: if there is none.
        """
        self._gate, self._uploads = gate, uploads
        if not has_body:
            self._pass_gate()
        elif not gate.has_room(self._address, self._loop.time()):  # what would be refused need not come in
            raise _too_many()
        else:
            uploads.enter(self._upload)

    def leave(self) -> None:
        """Leaves the places that the request still has."""
        if self._uploads is not None:
            self._uploads.leave(self._upload)
        if self._gate is not None and self._inside:
            self._inside = False
            self._gate.leave(self._address)
        if self._watch is not None:
            self._watch.cancel()

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            HTTPException: 413 if the body is too long, 408 if it takes too long.
            BusyError: if too many requests are worked on when it is complete.
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
            raise HTTPException(413, too_long_text(self._limits))
        if complete and message["type"] == "http.request" and self._uploads is not None:
            self._uploads.leave(self._upload)
            self._pass_gate()
        return message

    async def send(self, message: Message) -> None:
        """Sends on, with headers for safety."""
        if message["type"] == "http.response.start":
            self.begun = True
            held_back = self._is_held_back(message["status"])
            self.leave()
            if held_back:
                await asyncio.sleep(self._limits.refusal_seconds)
            own = {name for name, _ in message["headers"]}
            safe = [(name.encode(), value.encode()) for name, value in _SAFE.items() if name.encode() not in own]
            message = {**message, "headers": [*message["headers"], *safe]}
        elif message["type"] == "http.response.body" and not message.get("more_body", False) and not self._complete:
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
        self.answered = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def refuse(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        """Sends an error as the whole response."""
        body = json.dumps({"error": text}).encode()
        fixed = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
        sent = [(name.encode(), value.encode()) for name, value in {**fixed, **(headers or {})}.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": sent})
        await self.send({"type": "http.response.body", "body": body})

    def _is_held_back(self, status: int) -> bool:
        """Whether this is the refusal of a body while others wait for their turn."""
        crowded = self._gate is not None and self._gate.inside > self._limits.crowd
        return crowded and 400 <= status < 500 and self._bytes > self._limits.text_bytes

    def _pass_gate(self) -> None:
        if self._gate is not None and not self._inside:
            if not self._gate.take(self._address, self._loop.time()):
                raise _too_many()
            self._inside = True
            self._watch = self._loop.create_task(self._give_up_with_client(asyncio.current_task()))

    async def _give_up_with_client(self, answering: asyncio.Task[None] | None) -> None:
        """Cancels the work on a request whose client has left."""
        while (message := await self._receive())["type"] != "http.disconnect":
            self._count(message)  # the body that is none of a GET
        if answering is not None and not self.begun:
            self._gone = True
            answering.cancel()

    def _count(self, message: Message) -> bool:
        """Whether the body is complete."""
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
        """Reads what is left of the body into nowhere."""
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


def places_to_drain() -> asyncio.Semaphore:
    """How many bodies that nobody needs are read at once, for all exchanges of a server."""
    return asyncio.Semaphore(_DRAINS)


def too_long_text(limits: Limits) -> str:
    """What the client of a body above the limit is told."""
    return f"The upload is larger than {limits.body_bytes / 2**20:g} MiB. Make the photo smaller."
