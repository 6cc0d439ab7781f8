"""When is an endpoint probed next? By its health, and by whether its service is used at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from balancers.health import Health


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds from one probe of an endpoint to the next; each strays by up to the share `jitter` either way.

    `healthy` for one that is healthy and whose last probe passed, `unhealthy` for all others. While the service has had
    no request for `idle_after`, `idle` instead of `healthy`; 0: no such difference is made. Those that are unhealthy
    are probed as before: nobody is to find an idle service without endpoints for want of a probe. The idea is Envoy's
    (config.core.v3.HealthCheck: unhealthy_interval, no_traffic_interval).
    """

    healthy: float
    unhealthy: float
    idle: float = 0.0
    idle_after: float = 60.0
    jitter: float = 0.0


class Pace:
    """The intervals in force, by what is told of the service's requests."""

    def __init__(self, intervals: Intervals, random: Random) -> None:
        self.intervals = intervals
        self._random = random
        self._requests = 0
        self._idle_since: float | None = None
        self.idle = False

    def traffic(self, requests: int, in_flight: int, now: float) -> bool:
        """Take in how many requests there were so far; true when this ends an idle time."""
        if self._idle_since is None or in_flight or requests != self._requests:
            self._requests = requests
            self._idle_since = now
        was_idle = self.idle
        self.idle = now - self._idle_since >= self.intervals.idle_after and self.intervals.idle > 0
        return was_idle and not self.idle

    def interval(self, health: Health) -> float:
        """Return the seconds from one probe to the next that an endpoint in this health has."""
        intervals = self.intervals
        if health.state != "healthy" or health.failing:
            return intervals.unhealthy
        return intervals.idle if self.idle else intervals.healthy

    def pause(self, health: Health) -> float:
        """Return the seconds until the next probe, after one has ended."""
        return self.interval(health) * (1 + self.intervals.jitter * (2 * self._random.random() - 1))

    def soon(self, health: Health) -> float:
        """Return the seconds until the next probe of one that has waited by an interval no longer in force.

        Anything up to the interval in force, for all that waited for the end of an idle time are told at once.
        """
        return self.interval(health) * self._random.random()
