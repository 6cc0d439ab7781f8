"""The terms on which a listener passes requests on to a service: how long each wait may last, how much may come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.edge.edge import Edge
    from proxy.edge.header_rules import HeaderRules
    from proxy.service import Service

NEVER: Final = float("inf")


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

    service: Service | None  # None where its edge answers every request, and lets none pass to a service
    timeouts: Timeouts = Timeouts()
    body: float = NEVER  # bytes that a request's body may have
    edge: Edge | None = None  # what else the route asks for; None for most
    cookie: bytes = b""  # a field that the response gets, with the side of a split that the client is on
    request_rules: HeaderRules | None = None  # for the headers that an instance gets; its edge applies them
    response_rules: HeaderRules | None = None  # for those of its responses
    own_rules: HeaderRules | None = None  # the route's part of these, for what we answer in an instance's place
    adds: bool = field(init=False, default=False)  # whether responses get more than their instance has sent

    def __post_init__(self) -> None:
        """Know ahead what each response would have to be asked for."""
        adds = self.cookie or self.response_rules is not None or (self.service is not None and self.service.adds)
        object.__setattr__(self, "adds", bool(adds))
