"""One service at work: its pool, the connections to its endpoints, its probes, the watch that feeds it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.counters import Traffic
from proxy.http.connections import Connections, UpstreamOptions
from proxy.http.places import PlaceLimits, Places
from proxy.http.retries import RetryBudget, RetryPolicy

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint
    from balancers.pool import Pool
    from discovery.instance import Snapshot
    from discovery.keeper import Keeper
    from proxy.prober import Prober


class Service:
    """A name that requests are routed to.

    `follow` is where a change in the registry becomes a change of traffic; `keeper` is the one that calls it.
    """

    keeper: Keeper
    registry: str  # the kind of registry that its instances are found in

    def __init__(
        self,
        name: str,
        balancer: str,
        pool: Pool,
        options: UpstreamOptions,
        prober: Prober | None,
        *,
        retries: RetryPolicy = RetryPolicy(),
        budget: RetryBudget | None = None,
        limits: PlaceLimits = PlaceLimits(),
    ) -> None:
        self.name = name
        self.balancer = balancer
        self.pool = pool
        self.traffic = Traffic()
        self.retries = retries
        self.budget = budget or RetryBudget(0.2, 3.0)
        self.places = Places(limits) if limits else None  # None: as many as come
        self.prober = prober
        self.connections: dict[Endpoint, Connections] = {}
        self._options = options

    def follow(self, snapshot: Snapshot) -> None:
        """Take over a snapshot: the next request is already routed by it."""
        change = self.pool.update(snapshot, time.monotonic())
        for endpoint in change.joined:
            self.connections[endpoint] = Connections(endpoint.instance, self._options)
        for endpoint in change.left:
            self.connections.pop(endpoint).close()
        if self.prober is not None:
            self.prober.follow(change, self.pool)
        if self.places is not None:
            self.places.wake()

    def sweep(self, now: float) -> None:
        """Do what is due: readmit, tell of a panic that no request has met, close what has been idle for too long."""
        self.pool.settle(now)
        self.budget.sweep(now, self.traffic.requests)
        if self.places is not None:
            self.places.wake()
        for connections in self.connections.values():
            connections.expire(now)

    def close(self) -> None:
        """Close what is idle and stop probing."""
        if self.prober is not None:
            self.prober.close()
        for connections in self.connections.values():
            connections.close()
