"""HTTP on one connection, as uvicorn speaks it, with a deadline for everything that a client can put off."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from regiontalk.web.addresses import address_of
from regiontalk.web.limits import Limits
from regiontalk.web.places import most_for_one

_READ_BYTES = 64 * 1024
"""Read from a client at once; on its way to the application there are several copies of it."""
_SENT_BYTES = 128 * 1024
"""What the system keeps for a client at most; by itself it would keep megabytes of answers that nobody reads."""
_NOT_HTTP = "expected an HTTP request, found something else"


class TimedProtocol(H11Protocol):
    """Closes connections whose clients send no head, or take nothing; errors below the application are JSON too.

    When there are too many connections, the one that has been idle for the longest gives way to the new one; if one
    address holds more than its share while others have some, it is one of its own.

    Args:
        limits: of time; and of connections, which may be fewer where the system allows fewer open files.
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
        # Paused as soon as the system does not take all that is sent, and resumed when it has: a client that reads
        # nothing is seen however short the answer is.
        transport.set_write_buffer_limits(0)
        if hasattr(transport, "max_size"):  # of asyncio's own on POSIX; others read no more than this at once
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
        """A deadline for the next request's head runs whenever there is no request, and from then on."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._head.cancel()
        elif not self.transport.is_closing():
            self._head.start(self._limits.head_seconds, self._miss_head)

    def _miss_head(self) -> None:
        if self.conn.trailing_data[0] and self.conn.their_state is h11.IDLE:
            self._refuse(408, f"The request's head did not come in within {self._limits.head_seconds:g} s.")
        else:
            self.transport.close()

    def _make_room(self) -> None:
        """Closes the connection that has had no request to answer for the longest; this one if all have.

        If one address is greedy, of its own connections; and if all of these have requests, the one that came last.
        """
        pool = [each for each in cast("set[TimedProtocol]", self.connections) if not each.transport.is_closing()]
        ((holder, most),) = Counter(each._address for each in pool).most_common(1)
        greedy = most_for_one(self._limits.connections, self._limits.address_share) < most < len(pool)
        if greedy:
            pool = [each for each in pool if each._address == holder]
        idle = [each for each in pool if not (each._unanswered or each is self)]
        last = max(pool, key=lambda each: each._since) if greedy else self
        min(idle, key=lambda each: each._since, default=last).transport.abort()

    def _refuse(self, status: int, text: str) -> None:
        """Answers in place of the application, if nothing is answered yet, and closes the connection."""
        if self.cycle is not None:  # what the application still sends goes nowhere
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        body = json.dumps({"error": text}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
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
