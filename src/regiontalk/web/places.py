"""Places that are counted, and shared out among client addresses: for work, and for bodies on their way in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

RETRY_SECONDS = 2
"""What a client that comes while too many wait is told to wait."""

_WAITING_SECONDS = 2 * RETRY_SECONDS
"""An address that was refused is taken to want a place for so long."""

_GRACE_SECONDS = 0.5
"""A body that has been coming in for less is not yet slow."""

_LEAST_SECONDS = 1e-3


class BusyError(HTTPException):
    """Too many wait: a 503 that says when to try again.

    Args:
        reason: a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(503, f"{reason} Try again in {RETRY_SECONDS} seconds.", {"retry-after": str(RETRY_SECONDS)})


class Gate:
    """Counts what is worked on, by the addresses of the clients that it is for.

    An address that holds its share gets no more while another one holds a place too, or was refused a moment ago. Alone
    it may have all: whoever works on this machine, or a proxy.

    Args:
        limit: places in all.
        share: of them, for one address while others want some.
    """

    def __init__(self, limit: int, share: float) -> None:
        self._limit, self._most = limit, most_for_one(limit, share)
        self._held = Counter[str]()
        self._refused: dict[str, float] = {}  # the last two addresses and when; no more are needed to know of another

    @property
    def inside(self) -> int:
        """How many places are taken."""
        return self._held.total()

    def has_room(self, address: str, now: float) -> bool:
        """Whether an address may have a place; if not, it counts as one that waits."""
        if self.inside < self._limit and not (self._held[address] >= self._most and self._others(address, now)):
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
        waiting = (now - since < _WAITING_SECONDS for other, since in self._refused.items() if other != address)
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
    """Counts the bodies on their way in. When there is no place for a new one, the slowest one gives way.

    So clients that send slowly, or nothing, keep nobody out. If one address holds more than its share, it is one of its
    own, slow or not; and an address that holds its share makes none but its own give way.

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
            return min((each for each in pool if each.address == holder), key=lambda each: each.speed(now))
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
