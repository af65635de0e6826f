"""How much the server takes on, shared out among client addresses.

Bytes, pixels, time, and places for requests.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException


@dataclass(frozen=True)
class Limits:
    """What the server refuses, so that no request takes its memory or its time from the others.

    Attributes:
        body_bytes: of a request; found out while it comes in, before it is in memory.
        text_bytes: of a form's field that is no photo.
        export_bytes: of a request for a table or for sidecars.
        exported: photos of such a request.
        pixels: width times height of an uploaded photo; found out from its header, before it is
            decoded.
        sentence: characters of a sentence.
        results: of a search, on a page.
        start: results before a page.
        waiting: requests that are worked on at once; the next one is answered 503.
        crowd: requests that are worked on at once, above which clients whose body was refused hear
            of it later.
        uploads: bodies that come in at once; the slowest gives way to the next one.
        connections: at once; the one that has been idle for the longest gives way to the next one.
        slow_photos: that wait for being decoded slowly, or are; the next one is answered 503.
        address_share: of `waiting`, `uploads`, `connections` and `slow_photos` each, what one
            client address may hold while others have or want some; 1 for all of them, as behind a
            proxy, where all clients have one address.
        head_seconds: in which a request's head must have come in, from the connection's opening or
            the last answer.
        body_seconds: in which a request's body must have come in.
        idle_seconds: that a connection is kept without a byte of a next request.
        send_seconds: in which a client must have taken what was sent to it.
        quick_seconds: after which a photo that is decoded counts as slow, and others are no longer
            kept waiting.
        quick_copy_seconds: the same for a copy of a photo of the index, which is scaled and encoded
            too.
        decode_seconds: in which a slow photo must be decoded.
        refusal_seconds: that a refusal is held back in a crowd, so that who sends nothing of use
            comes less often.
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
"""`sentence`, `results`, `start` and `exported` are in the API's document for all servers."""

RETRY_SECONDS = 2
"""What a client that comes while too many wait is told to wait."""

_WAITING_SECONDS = 2 * RETRY_SECONDS
"""An address that was refused is taken to want a place for so long."""

_GRACE_SECONDS = 0.5
"""A body that has been coming in for less is not yet slow."""

_LEAST_SECONDS = 1e-3
_NETWORK_BYTES = 8

CLIENT: ContextVar[str] = ContextVar("client", default="")
"""The address that the request which is being answered comes from, as `address_of` has it."""


class BusyError(HTTPException):
    """Too many wait: a 503 that says when to try again.

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
    """Counts what is worked on, by the addresses of the clients that it is for.

    An address that holds its share gets no more while another one holds a place too, or was refused
    a moment ago. Alone it may have all: whoever works on this machine, or a proxy.

    Args:
        limit: places in all.
        share: of them, for one address while others want some.
    """

    def __init__(self, limit: int, share: float) -> None:
        self._limit, self._most = limit, most_for_one(limit, share)
        self._held = Counter[str]()
        # The last two addresses and when; no more are needed to know of another
        self._refused: dict[str, float] = {}

    @property
    def inside(self) -> int:
        """How many places are taken."""
        return self._held.total()

    def has_room(self, address: str, now: float) -> bool:
        """Whether an address may have a place; if not, it counts as one that waits."""
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
        """Takes one more on, if there is room; see `has_room`."""
        room = self.has_room(address, now)
        if room:
            self._held[address] += 1
        return room

    def leave(self, address: str) -> None:
        """One is done."""
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]

    def _others(self, address: str, now: float) -> bool:
        """Whether others have places or want some."""
        waiting = (
            now - since < _WAITING_SECONDS
            for other, since in self._refused.items()
            if other != address
        )
        return self.inside > self._held[address] or any(waiting)


@dataclass(eq=False)
class Upload:
    """A body on its way in.

    Attributes:
        give_way: called when its place goes to another one.
        began: when it began to come in, in seconds of the event loop's clock.
        received: bytes so far.
        address: of the client.
    """

    give_way: Callable[[], None]
    began: float
    received: int = field(default=0)
    address: str = ""

    def speed(self, now: float) -> float:
        """Bytes a second so far."""
        return self.received / max(now - self.began, _LEAST_SECONDS)


class Uploads:
    """Counts the bodies on their way in.

    When there is no place for a new one, the slowest one gives way. So clients that send slowly, or
    nothing, keep nobody out. If one address holds more than its share, it is one of its own, slow
    or not; and an address that holds its share makes none but its own give way.

    Args:
        limit: places in all.
        share: of them, for one address while others want some.
    """

    def __init__(self, limit: int, share: float) -> None:
        self._limit, self._most = limit, most_for_one(limit, share)
        self._inside: set[Upload] = set()

    def enter(self, upload: Upload) -> None:
        """Takes one more on.

        Raises:
            BusyError: if there are too many, and none of them is slow.
        """
        if len(self._inside) >= self._limit:
            slowest = self._slowest(upload)
            if slowest is None:
                raise BusyError("Too many requests are coming in.")
            self.leave(slowest)
            slowest.give_way()
        self._inside.add(upload)

    def leave(self, upload: Upload) -> None:
        """One has come in, or is given up."""
        self._inside.discard(upload)

    def _slowest(self, newcomer: Upload) -> Upload | None:
        """By bytes per second: of an address with too many, or of those that have had a moment."""
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
    """How many of some places one address may hold while others want some, at least one.

    >>> most_for_one(128, 0.5), most_for_one(3, 0.5), most_for_one(1, 0.5)
    (64, 1, 1)
    """
    return max(1, int(places * share))


def address_of(client: tuple[str, int] | None) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, a customer's.

    Args:
        client: host and port as the system gives them; None if it has none, as for a socket in the
            file system.

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
