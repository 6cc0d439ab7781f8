"""The pool's mutable record of one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mypy_extensions import mypyc_attr

from balancers.health import ANSWERS
from discovery.instance import Availability

if TYPE_CHECKING:
    from balancers.health import Health
    from discovery.instance import Instance


class Load:
    """How many requests the endpoints of a pool have in flight together."""

    __slots__ = ("in_flight",)

    def __init__(self) -> None:
        self.in_flight = 0


class Latency(Protocol):
    """Is told how soon an endpoint answers."""

    def observed(self, seconds: float, now: float, /) -> None:
        """Take in that the head of a response came so many seconds after the request was sent."""
        ...

    def failed(self, seconds: float, now: float, /) -> None:
        """Take in that a request came to nothing so many seconds after it was sent."""
        ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Endpoint:
    """What this process knows of one instance.

    `instance` is replaced when the registry tells something new of it; everything else is learned here and survives
    every update that still holds the instance. `weight` is the one in force, above 0 for whoever may be picked. The
    counters are plain integers that only grow; `in_flight` alone goes both ways.
    """

    __slots__ = (
        "broken",
        "connect_failures",
        "drained",
        "health",
        "in_flight",
        "instance",
        "latency",
        "load",
        "malformed",
        "offered",
        "requests",
        "server_errors",
        "suspect",
        "timeouts",
        "weight",
    )

    def __init__(self, instance: Instance, health: Health, load: Load | None = None) -> None:
        self.drained = ""  # why an operator took it out; "" when none did
        self.follow(instance)
        self.health = health
        self.load = load or Load()  # of all endpoints of its pool; whoever counts in_flight counts here too
        self.latency: Latency | None = None  # a policy that wants to be told how soon it answers puts one here
        self.in_flight = 0
        self.requests = 0  # sent to it, retries included
        self.suspect = False  # the last request to it failed; so one that goes well costs no more than a look at this
        self.connect_failures = 0
        self.broken = 0  # exchanges that it ended before its response was whole
        self.timeouts = 0  # requests that it did not answer in time
        self.malformed = 0  # responses that made no sense
        self.server_errors = 0  # answers of 5xx

    def failed(self, kind: str, detail: str) -> str:
        """Count a failed request, by what it failed of; return why that should eject it, or ""."""
        self.suspect = True
        if kind in ANSWERS:
            self.server_errors += 1
        elif kind == "connect":
            self.connect_failures += 1
        elif kind == "timeout":
            self.timeouts += 1
        elif kind == "malformed":
            self.malformed += 1
        else:
            self.broken += 1
        return self.health.failed(kind, detail)

    @property
    def failures(self) -> int:
        """How many requests it failed, answers of 5xx included."""
        return self.server_errors + self.connect_failures + self.timeouts + self.malformed + self.broken

    def answered_well(self) -> None:
        """Take in that a request was answered, and not with 5xx; only needed while `suspect`."""
        self.suspect = False
        self.health.answered_well()

    def follow(self, instance: Instance) -> None:
        """Take over what the registry tells of the instance now."""
        self.instance = instance
        self.weight = float(instance.weight)
        self._offer()

    def drain(self, reason: str) -> None:
        """Take it out by hand for this reason, or let it back with none."""
        self.drained = reason
        self._offer()

    def _offer(self) -> None:
        # Whether the registry and the operator want it to take new requests; looked at so often that it is kept.
        instance = self.instance
        self.offered = instance.availability is Availability.UP and instance.weight > 0 and not self.drained

    @property
    def pickable(self) -> bool:
        """True when it may take new requests: offered to us, and healthy as far as we know."""
        return self.offered and self.health.state == "healthy"

    def __repr__(self) -> str:
        where = f"{self.instance.id} at {self.instance.authority}"
        return f"<Endpoint {where} {self.health.state}, {self.in_flight} in flight>"
