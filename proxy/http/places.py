"""How many of a service's requests may be under way, and who waits for a place: first come, first served."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol


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
    """The places of one service. An exchange has one from when it is given an endpoint until it leaves it."""

    __slots__ = ("_waiting", "_waking", "limits", "refused", "taken")

    def __init__(self, limits: PlaceLimits) -> None:
        self.limits = limits
        self.taken = 0
        self.refused = 0  # requests that neither found a place nor room to wait for one
        self._waiting: OrderedDict[Waiting, None] = OrderedDict()
        self._waking = False

    @property
    def waiting(self) -> int:
        """How many exchanges wait."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """True when the service as a whole takes no more."""
        return 0 < self.limits.in_flight <= self.taken

    def wait(self, exchange: Waiting, endpoints: int, *, first: bool) -> bool:
        """Have an exchange wait, if there is room; `first` when it had a place before, or was next already."""
        limits = self.limits
        room = limits.queue
        if limits.queue_per_endpoint:
            room = min(room, limits.queue_per_endpoint * endpoints)
        if len(self._waiting) >= room and not first:
            self.refused += 1
            return False
        self._waiting[exchange] = None
        if first:
            self._waiting.move_to_end(exchange, last=False)
        return True

    def leave(self, exchange: Waiting) -> bool:
        """Have an exchange wait no more; False when it did not."""
        return self._waiting.pop(exchange, self) is None

    def wake(self) -> None:
        """Give what is free to those who wait; called whenever a place or an endpoint may have become free.

        One who is woken may end at once, and so call this again: then the round under way goes on. A round within the
        round for each of a thousand who wait for a service that has lost its last endpoint would be too deep.
        """
        if self._waking:
            return
        self._waking = True
        try:
            while self._waiting and not self.full:
                exchange, _ = self._waiting.popitem(last=False)
                exchange.woken()
                if exchange in self._waiting:
                    break  # it waits again: every endpoint is full
        finally:
            self._waking = False
