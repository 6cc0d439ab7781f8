"""What the access log wants to know of an exchange while it goes on; without an access log there are none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint


class Marks:
    """Times, counts and names of one exchange. Times are seconds; bytes are those of bodies, or of a tunnel."""

    __slots__ = ("address", "attempts", "endpoint", "first_byte", "own", "received", "reused", "sent")

    def __init__(self) -> None:
        self.endpoint = self.address = ""
        self.attempts = 0
        self.first_byte: float | None = None  # from the request's head
        self.own = 0.0  # the part of it all in which we worked, and did not wait
        self.received = self.sent = 0
        self.reused = False

    def asks(self, endpoint: Endpoint) -> None:
        """Note that an endpoint is asked."""
        self.attempts += 1
        self.endpoint, self.address = endpoint.instance.id, endpoint.instance.authority

    def answered(self, started: float) -> float:
        """Note that the instance has begun to answer; return the moment."""
        now = time.monotonic()
        self.first_byte = now - started
        return now

    def worked(self, since: float) -> None:
        """Add the time since then to that in which we worked."""
        self.own += time.monotonic() - since
