"""Which of all endpoints make up the set: one address family, each address once, in the state that its conditions give.

The rules are those of kube-proxy, where it has some, so that both send requests to the same pods.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from discovery.instance import Availability
from discovery.kubernetes.entries import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.instance import Instance
    from discovery.kubernetes.entries import Endpoint, Slice


def choose(slices: Iterable[Slice], *, family: str = "auto", zone: str = "") -> tuple[Instance, ...]:
    """Return the instances that the slices of one service come to.

    `family` is `ipv4`, `ipv6`, or `auto`: IPv4 if there is an endpoint of it, else IPv6. With a `zone`, ours, the hints
    count if they can be followed. `slices` come in a fixed order: of two endpoints that are equally good and have the
    same address, the first is taken.
    """
    families: dict[str, dict[str, Endpoint]] = {}
    for one in slices:
        known = families.setdefault(one.family, {})
        for endpoint in one.endpoints:
            # While endpoints move from one slice to another, both hold them, and not in the same state.
            other = known.setdefault(endpoint.instance.id, endpoint)
            if endpoint.condition.rank < other.condition.rank:
                known[endpoint.instance.id] = endpoint
    if family == "auto":
        family = "ipv4" if families.get("ipv4") else "ipv6"
    endpoints = families.get(family, {}).values()
    best = min((endpoint.condition.rank for endpoint in endpoints), default=Condition.READY.rank)
    # When none is ready, those that terminate and still serve are better than nothing (KEP-1669).
    used = Condition.SERVING if best == Condition.SERVING.rank else Condition.READY
    near = zone if zone and _can_follow_hints(endpoints, used, zone) else ""
    return tuple(_instance(endpoint, used, near) for endpoint in endpoints)


def _can_follow_hints(endpoints: Iterable[Endpoint], used: Condition, zone: str) -> bool:
    """Tell whether each endpoint that is used has a hint, and at least one is meant for our zone.

    Half-written hints come while a controller works, and would send all requests of a zone to a few endpoints.
    """
    hints = [endpoint.hints for endpoint in endpoints if endpoint.condition is used]
    return all(hints) and any(zone in zones for zones in hints)


def _instance(endpoint: Endpoint, used: Condition, near: str) -> Instance:
    # Those that are meant for other zones are not left out: they are needed when ours has nobody healthy.
    priority = 1 if near and near not in endpoint.hints else 0
    if endpoint.condition is used:
        return replace(endpoint.instance, priority=1) if priority else endpoint.instance
    is_down = endpoint.condition is Condition.UNREADY
    return replace(
        endpoint.instance,
        availability=Availability.DOWN if is_down else Availability.DRAINING,
        reason=f"Kubernetes says {endpoint.condition.value}",
        priority=priority,
    )
