"""The keys of a listener whose connections go to instances as they are."""

from collections.abc import Mapping
from typing import Any

from config.declaring import ConfigDict, Field
from config.frozen import Model
from config.texts import RouteHost, ServiceName


class TcpRoute(Model):
    """A rule from the name that a TLS client asks for to a service. The first one of the list that matches wins."""

    sni: RouteHost = Field(
        description="The server's name in the client's TLS hello, in any case: db.example.com for that name alone, "
        "*.example.com for every name below example.com."
    )
    service: ServiceName = Field(description="The service that such connections go to: a name under services.")


def some_service(given: Mapping[str, Any]) -> str | None:
    """Want a TCP listener to lead somewhere."""
    return None if given.get("routes") or "service" in given else "must have service, routes or both"


class Tcp(Model):
    """Where a listener's connections go, whatever is spoken on them."""

    rules = (some_service,)
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["service"]}, {"required": ["routes"]}]})

    service: ServiceName | None = Field(
        default=None,
        description="The service that gets the connections: a name under services. With routes, those that none of "
        "them takes; left out, these are closed.",
    )
    routes: tuple[TcpRoute, ...] = Field(
        default=(),
        description="Which TLS connections go to which service, by the name of the server that the client asks for. "
        "Empty: nothing is read of what the client says. Beside tls, it is the name of which the listener's own "
        "handshake tells.",
    )
