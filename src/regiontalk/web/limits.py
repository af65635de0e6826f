"""Resource limits (bytes, pixels, time, concurrency), shared fairly among client addresses."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException


@dataclass(frozen=True)
class Limits:
    """Limits that keep a request from taking memory or time from the others.

    Attributes:
        body_bytes: of a request; checked while it is received, before it is in memory.
        text_bytes: of a form's text field.
        export_bytes: of a request for a table or for sidecars.
        exported: photos of such a request.
        pixels: width times height of an uploaded photo; checked by its header, before decoding.
        sentence: characters of a sentence.
        results: on a page of a search.
        start: results before a page.
        waiting: concurrent requests; the next one gets a 503.
        crowd: concurrent requests above which refusals of bodies are delayed.
        uploads: concurrent uploads; the slowest is evicted for the next one.
        connections: concurrent ones; the one idle for the longest is closed for the next one.
        slow_photos: photos in the slow lane or its queue; the next one gets a 503.
        address_share: of `waiting`, `uploads`, `connections` and `slow_photos` each, the fraction
            that one client address may hold while others have or want some; 1 for all of them, as
            behind a proxy, where all clients have one address.
        head_seconds: deadline of a request's head, from the connection's opening or the last
            response.
        body_seconds: deadline of a request's body.
        idle_seconds: keep-alive timeout of a connection without a byte of a next request.
        send_seconds: deadline for a client to read what was sent.
        quick_seconds: deadline of the quick lane, after which a photo counts as slow and delays no
            others.
        quick_copy_seconds: the same for a copy of an indexed photo, which is also scaled and
            encoded.
        decode_seconds: deadline for decoding a slow photo.
        refusal_seconds: delay of refusals above `crowd`, which slows clients that send nothing
            useful.
    """

    body_bytes: int = 32 * 1024 * 1024
    text_bytes: int = 4096
    export_bytes: int = 4 * 1024 * 1024
    exported: int = 5_000
    pixels: int = 50_000_000
    sentence: int = 1_000
    results: int = 100
    start: int = 10_000
    waiting: int = 128
    crowd: int = 16
    uploads: int = 128
    connections: int = 1024
    slow_photos: int = 32
    address_share: float = 0.5
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 5.0
    send_seconds: float = 20.0
    quick_seconds: float = 0.25
    quick_copy_seconds: float = 1.0
    decode_seconds: float = 10.0
    refusal_seconds: float = 2.0


DEFAULTS = Limits()
"""`sentence`, `results`, `start` and `exported` of these are in the OpenAPI document of all
servers."""

RETRY_SECONDS = 2
"""Retry-After in seconds, sent with 503."""

_WAITING_SECONDS = 2 * RETRY_SECONDS
"""Seconds for which a refused address counts as waiting for a slot."""

_GRACE_SECONDS = 0.5
"""Seconds for which a new upload does not count as slow."""

_LEAST_SECONDS = 1e-3
_NETWORK_BYTES = 8  # of an IPv6 /64 prefix

CLIENT: ContextVar[str] = ContextVar("client", default="")
"""Client address of the current request, by `address_of`."""


class BusyError(HTTPException):
    """503 with a Retry-After header, when a limit on concurrency is reached.

    Args:
        reason: a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            503,
            f"{reason} Try again in {RETRY_SECONDS} seconds.",
            {"retry-after": str(RETRY_SECONDS)},
        )


class Gate:
    """Concurrency limit with fair shares for client addresses.

    An address that holds its share gets no more slots while another address holds one, or was
    refused within `_WAITING_SECONDS`. Alone it may take all, as a proxy or a user of this machine.

    Args:
        limit: slots in all.
        share: fraction of them for one address while others want some.
    """

    def __init__(self, limit: int, share: float) -> None:
        self._limit, self._most = limit, most_for_one(limit, share)
        self._held = Counter[str]()
        # Times of refusal of the last two addresses: at least one of them is not the one that asks
        self._refused: dict[str, float] = {}

    @property
    def inside(self) -> int:
        """Number of slots taken."""
        return self._held.total()

    def has_room(self, address: str, now: float) -> bool:
        """Whether an address may take a slot; if not, it counts as waiting for one."""
        if self.inside < self._limit and not (
            self._held[address] >= self._most and self._others(address, now)
        ):
            return True
        self._refused.pop(address, None)
        self._refused[address] = now
        if len(self._refused) > 2:
            del self._refused[next(iter(self._refused))]
        return False

    def take(self, address: str, now: float) -> bool:
        """Takes a slot if there is one, see `has_room`; returns whether it did."""
        room = self.has_room(address, now)
        if room:
            self._held[address] += 1
        return room

    def leave(self, address: str) -> None:
        """Releases a slot."""
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]

    def _others(self, address: str, now: float) -> bool:
        """Whether other addresses hold slots or wait for one."""
        waiting = (
            now - since < _WAITING_SECONDS
            for other, since in self._refused.items()
            if other != address
        )
        return self.inside > self._held[address] or any(waiting)


@dataclass(eq=False)
class Upload:
    """Request body that is being received.

    Attributes:
        give_way: called when it is evicted.
        began: its start, in seconds of the event loop's clock.
        received: bytes so far.
        address: of the client.
    """

    give_way: Callable[[], None]
    began: float
    received: int = field(default=0)
    address: str = ""

    def speed(self, now: float) -> float:
        """Mean bytes per second so far."""
        return self.received / max(now - self.began, _LEAST_SECONDS)


class Uploads:
    """Limit on concurrent uploads that evicts the slowest one for a new one.

    So clients that send slowly, or nothing, block nobody. If an address holds more than its share,
    one of its uploads is evicted, slow or not; an address that holds its share evicts only its own.

    Args:
        limit: slots in all.
        share: fraction of them for one address while others want some.
    """

    def __init__(self, limit: int, share: float) -> None:
        self._limit, self._most = limit, most_for_one(limit, share)
        self._inside: set[Upload] = set()

    def enter(self, upload: Upload) -> None:
        """Takes a slot, by evicting another upload if none is free.

        Raises:
            BusyError: if none is free and no upload is slow.
        """
        if len(self._inside) >= self._limit:
            slowest = self._slowest(upload)
            if slowest is None:
                raise BusyError("Too many requests are coming in.")
            self.leave(slowest)
            slowest.give_way()
        self._inside.add(upload)

    def leave(self, upload: Upload) -> None:
        """Releases the slot of an upload that is complete or abandoned."""
        self._inside.discard(upload)

    def _slowest(self, newcomer: Upload) -> Upload | None:
        """Slowest upload of an address above its share, else of those past the grace period."""
        held = Counter(each.address for each in self._inside)
        ((holder, most),) = held.most_common(1)
        now, pool = newcomer.began, self._inside
        if most > self._most and holder != newcomer.address:
            return min(
                (each for each in pool if each.address == holder), key=lambda each: each.speed(now)
            )
        if held[newcomer.address] >= self._most:
            pool = {each for each in pool if each.address == newcomer.address}
        slow = [each for each in pool if now - each.began > _GRACE_SECONDS]
        return min(slow, key=lambda each: each.speed(now), default=None)


def most_for_one(places: int, share: float) -> int:
    """Number of slots that one address may hold while others want some: its share, at least one.

    >>> most_for_one(128, 0.5), most_for_one(3, 0.5), most_for_one(1, 0.5)
    (64, 1, 1)
    """
    return max(1, int(places * share))


def address_of(client: tuple[str, int] | None) -> str:
    """Key of a client: its IPv4 address, or its IPv6 /64 prefix, which is one customer's.

    Args:
        client: host and port; None if there are none, as for a Unix domain socket.

    >>> address_of(("::ffff:192.0.2.1", 80))
    '192.0.2.1'
    >>> address_of(("2001:db8::1", 80)) == address_of(("2001:db8::2:1", 80))
    True
    """
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return client[0]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or address.packed[:_NETWORK_BYTES].hex())
