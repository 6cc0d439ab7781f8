"""How many of a service's requests may be under way, and who waits for a place: first come, first served."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

_PASSED = 32  # who wait for certain endpoints and are passed over in one round, at the most


class Waiting(Protocol):
    """One who may have to wait for a place: an exchange, or a request that is simulated."""

    def woken(self) -> None:
        """Try: a place may have become free."""
        ...


@dataclass(frozen=True, slots=True)
class PlaceLimits:
    """How many requests a service takes at a time; 0 is no limit, but for `queue`, where it lets nobody wait."""

    in_flight: int = 0
    in_flight_per_endpoint: int = 0
    queue: int = 0
    queue_per_endpoint: int = 0

    def __bool__(self) -> bool:
        return bool(self.in_flight or self.in_flight_per_endpoint)


class Places:
    """The places of one service. An exchange has one from when it is given an endpoint until it leaves it.

    One that only some of the endpoints may have (those of its subset, those that have not failed it) is choosy. While
    it finds no place, those behind it that may go elsewhere are served before it.
    """

    __slots__ = ("_again", "_waiting", "_waking", "hopeless", "limits", "refused", "taken", "waiting_elsewhere")

    def __init__(self, limits: PlaceLimits) -> None:
        self.limits = limits
        self.taken = 0
        self.refused = 0  # requests that neither found a place nor room to wait for one
        self.waiting_elsewhere = 0  # in other processes
        self.hopeless = False  # one that waits would take any endpoint, and there was none: nor is there for a newcomer
        self._waiting: OrderedDict[Waiting, bool] = OrderedDict()  # and whether they are choosy
        self._waking = False
        self._again = False  # the one who was woken waits again

    @classmethod
    def amid(cls, limits: PlaceLimits, taken: int) -> Places:
        """Make the places of a service that had no limits, with the requests that it has under way."""
        places = cls(limits)
        places.taken = taken
        return places

    @property
    def waiting(self) -> int:
        """How many exchanges wait."""
        return len(self._waiting)

    @property
    def queued(self) -> int:
        """How many exchanges wait, those of other processes included."""
        return len(self._waiting) + self.waiting_elsewhere

    @property
    def full(self) -> bool:
        """True when the service as a whole takes no more."""
        return 0 < self.limits.in_flight <= self.taken

    def wait(self, exchange: Waiting, endpoints: int, *, first: bool, choosy: bool = False) -> bool:
        """Have an exchange wait, if there is room; `first` when it had a place before, or was woken."""
        if exchange in self._waiting:  # it was woken, and keeps its turn
            self._waiting[exchange] = choosy
            self._again = True
            return True
        limits = self.limits
        room = limits.queue
        if limits.queue_per_endpoint:
            room = min(room, limits.queue_per_endpoint * endpoints)
        if len(self._waiting) >= room and not first:
            self.refused += 1
            return False
        if not self._waiting:
            self.hopeless = not choosy
        self._waiting[exchange] = choosy
        if first:
            self._waiting.move_to_end(exchange, last=False)
        return True

    def leave(self, exchange: Waiting) -> bool:
        """Have an exchange wait no more; False when it did not."""
        return self._waiting.pop(exchange, None) is not None

    def wake(self) -> None:
        """Give what is free to those who wait; called whenever a place or an endpoint may have become free.

        One who is woken may end at once, and so call this again: then the round under way goes on. A round within the
        round for each of a thousand who wait for a service that has lost its last endpoint would be too deep.
        """
        if self._waking:
            return
        self._waking = True
        self.hopeless = False
        passed = 0
        try:
            while not self.full and passed < len(self._waiting):
                exchange = next(islice(self._waiting, passed, None))
                self._again = False
                exchange.woken()
                if not self._again:
                    self._waiting.pop(exchange, None)
                elif self._waiting.get(exchange) and passed < _PASSED:
                    passed += 1
                else:
                    self.hopeless = True  # every endpoint is full
                    break
        finally:
            self._waking = False
