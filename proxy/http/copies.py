"""The copies of other services' requests that a service gets: how many there are, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.http.copy import Copy

DROPPED = ("in_flight", "body", "unavailable", "overload")
FAILED = ("connect", "reset", "timeout", "malformed")


class Copies:
    """Owns the copies under way to one service.

    `sent` is how many were, `dropped` how many were not, and why: too many under way, too long a body, no endpoint, or
    one that is full. `failed` is how many of those sent were not answered. `wanted` when some route sends any.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.sent = 0
        self.dropped = dict.fromkeys(DROPPED, 0)
        self.failed = dict.fromkeys(FAILED, 0)
        self.in_flight_elsewhere = 0  # by other processes; for those who look, and not for those who decide
        self._under_way: set[Copy] = set()

    @property
    def in_flight(self) -> int:
        """How many are under way, those that are about to begin included."""
        return len(self._under_way)

    def __contains__(self, copy: Copy) -> bool:
        return copy in self._under_way

    def drop(self, reason: str) -> None:
        """Count one that is not sent."""
        self.dropped[reason] += 1

    def begin(self, copy: Copy) -> None:
        """Count one in."""
        self._under_way.add(copy)

    def end(self, copy: Copy) -> None:
        """Count one out."""
        self._under_way.discard(copy)

    def sweep(self, now: float) -> None:
        """End those that take too long."""
        for copy in [copy for copy in self._under_way if copy.deadline <= now]:
            copy.timed_out(now)

    def abort(self) -> None:
        """End all of them."""
        for copy in list(self._under_way):
            copy.abort()
