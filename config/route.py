"""The keys of a route."""

from pydantic import Field

from config.guards import RouteGuards
from config.texts import RouteHost, RoutePath, ServiceName


class Route(RouteGuards):
    """A rule from requests to a service. The first route of the list that matches wins."""

    host: RouteHost | None = Field(
        default=None,
        description="The Host of the requests, without a port, in any case: shop.example.com for that name alone, "
        "*.example.com for every name below example.com. Left out: any host.",
    )
    path: RoutePath | None = Field(
        default=None,
        description="The beginning of the requests' path, in whole segments: /api takes /api and /api/v1, not /apis. "
        "Left out: any path.",
    )
    service: ServiceName = Field(description="The service that such requests go to: a name under services.")
