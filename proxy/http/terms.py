"""The terms on which a listener passes requests on to a service: how long each wait may last, how much may come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.edge.edge import Edge
    from proxy.service import Service

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each wait of the data path lasts, in seconds; infinite where the configuration says 0."""

    request_head: float = 10.0
    body_idle: float = 30.0
    connect: float = 3.0
    response_head: float = 30.0  # of one try
    stream_idle: float = 300.0
    request: float = NEVER
    queue: float = 5.0
    keepalive: float = 75.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a route leads to: a service, and what holds for requests to it that come by this listener."""

    service: Service
    timeouts: Timeouts = Timeouts()
    body: float = NEVER  # bytes that a request's body may have
    edge: Edge | None = None  # what else the route asks for; None for most
    cookie: bytes = b""  # a field that the response gets, with the side of a split that the client is on
