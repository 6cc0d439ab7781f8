"""A proxy whose one route has a guard, between scripted clients and instances."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxy.edge.edge import Edge
from proxy.edge.forward_auth import ForwardAuth
from proxy.edge.guard import Guard
from proxy.http.forwarding import Origin
from proxy.http.heads import RequestHead
from proxy.routes import Route
from tests.proxy.http.scripted import proxying

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from proxy.http.terms import Terms
    from tests.proxy.http.scripted import Proxy


class From(Origin):
    """Stands in for the connection that a request came on."""

    def __init__(self, address: str) -> None:
        self._address = address

    def client(self, request: RequestHead) -> str:
        return self._address


def request_of(client: str = "192.0.2.1", *fields: bytes) -> RequestHead:
    """A request from this address."""
    request: Any = RequestHead()
    request.fields, request.authority, request.origin, request.forwarded = list(fields), b"shop", From(client), None
    request.user = b""
    return request  # type: ignore[no-any-return]


def guarded(guard: Guard, **settings: Any) -> AbstractAsyncContextManager[Proxy]:
    """Run a proxy whose one route has this guard."""
    return proxying(routes=lambda terms: [Route(replace(terms, edge=Edge(guard=guard)))], **settings)


def asking(
    *, patience: float = 10.0, fail_open: bool = False, copied: tuple[str, ...] = ("X-User",), headers: Any = None,
    instances: int = 1, **settings: Any,
) -> AbstractAsyncContextManager[Proxy]:  # fmt: skip
    """Run a proxy whose one route asks its own service, at /check, whether a request may pass."""

    def routes(terms: Terms) -> list[Route[Terms]]:
        assert terms.service is not None
        forward = ForwardAuth(
            {"auth": terms.service}, "auth", path="/check", patience=patience, headers=headers, copied=copied,
            fail_open=fail_open,
        )  # fmt: skip
        return [Route(replace(terms, edge=Edge(guard=Guard("", forward=forward))))]

    return proxying(instances, routes=routes, **settings)
