"""Endpoints and snapshots for tests, in a line."""

from __future__ import annotations

from balancers.endpoint import Endpoint
from balancers.health import Health, Thresholds
from discovery.instance import Availability, Instance, Snapshot


def instance(
    name: str, *, weight: int = 1, port: int = 80, availability: Availability = Availability.UP, reason: str = ""
) -> Instance:
    return Instance(name, "10.0.0.1", port, weight=weight, availability=availability, reason=reason)


def endpoint(name: str, weight: int = 1) -> Endpoint:
    return Endpoint(instance(name, weight=weight), Health(Thresholds(), 0.0))


def endpoints(**weights: int) -> list[Endpoint]:
    return [endpoint(name, weight) for name, weight in weights.items()]


def snapshot(*instances: Instance) -> Snapshot:
    return Snapshot("web", instances)
