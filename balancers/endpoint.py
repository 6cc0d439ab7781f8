"""The pool's mutable record of one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discovery.instance import Availability

if TYPE_CHECKING:
    from balancers.health import Health
    from discovery.instance import Instance


class Endpoint:
    """What this process knows of one instance.

    `instance` is replaced when the registry tells something new of it; everything else is learned here and survives
    every update that still holds the instance. The counters are plain integers that only grow; `in_flight` alone goes
    both ways.
    """

    __slots__ = ("broken", "connect_failures", "health", "in_flight", "instance", "requests")

    def __init__(self, instance: Instance, health: Health) -> None:
        self.instance = instance
        self.health = health
        self.in_flight = 0
        self.requests = 0  # sent to it, retries included
        self.connect_failures = 0
        self.broken = 0  # exchanges that it ended before its response was whole

    @property
    def offered(self) -> bool:
        """True when the registry wants it to take new requests."""
        return self.instance.availability is Availability.UP and self.instance.weight > 0

    @property
    def pickable(self) -> bool:
        """True when it may take new requests: offered by the registry, and healthy as far as we know."""
        return self.offered and self.health.state == "healthy"

    def __repr__(self) -> str:
        where = f"{self.instance.id} at {self.instance.authority}"
        return f"<Endpoint {where} {self.health.state}, {self.in_flight} in flight>"
