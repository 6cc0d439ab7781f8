"""The part of the admin API that is about one endpoint: what it is at, its draining and its weight by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from discovery.instance import MAX_WEIGHT
from proxy import web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from balancers.endpoint import Endpoint
    from proxy.service import Service

_LONGEST_REASON = 200  # characters of an operator's own words


class Endpoints:
    """Shows endpoints, drains, undrains and weighs them.

    `show` is how one is shown that the registry names; `record` is the journal's.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        show: Callable[[Endpoint, Service], dict[str, Any]],
        record: Callable[[str, str, str, str], None],
    ) -> None:
        self._services = services
        self._show = show
        self._record = record

    def routes(self) -> list[web.Route]:
        """Return what is answered where. Identities may hold slashes: `embedded/web-1`."""
        one = "/api/v1/services/{name}/endpoints/{id:.+}"
        return [
            web.route("POST", f"{one}/drain", self._drain),
            web.route("POST", f"{one}/undrain", self._undrain),
            web.route("PATCH", one, self._weigh),
            web.route("GET", one, self._get),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        service, identity, endpoint = self._named(request)
        return web.json_response(self._shown(service, identity, endpoint))

    async def _drain(self, request: web.Request) -> web.Response:
        """Drain an endpoint; the body may be an object with a `reason`, in the operator's words."""
        service, identity, endpoint = self._named(request)
        if from_a_page(request):
            return _refused(403, "pages of a browser may not do this")
        try:
            words = _words(request.text())
        except ValueError as error:
            return _refused(400, str(error))
        if endpoint is not None:
            service.drain(endpoint, f"drained by an operator since {_now()}{words}")
        return web.json_response(self._shown(service, identity, endpoint))

    async def _undrain(self, request: web.Request) -> web.Response:
        service, identity, endpoint = self._named(request)
        if from_a_page(request):
            return _refused(403, "pages of a browser may not do this")
        shown = self._shown(service, identity, endpoint)
        service.undrain(identity, "by an operator")
        return web.json_response(
            {**shown, "drained": False} if endpoint is None else self._shown(service, identity, endpoint)
        )

    async def _weigh(self, request: web.Request) -> web.Response:
        """Set an endpoint's weight: `{"weight": 3}`, or `{"weight": null}` for the registry's again."""
        service, identity, endpoint = self._named(request)
        if from_a_page(request):
            return _refused(403, "pages of a browser may not do this")
        if endpoint is None:
            return _refused(409, "it has left")
        try:
            weight = _weight(request.text())
            service.weigh(identity, weight)
        except ValueError as error:
            return _refused(400, str(error))
        what = "is its registry's again" if weight is None else f"was set to {weight}"
        self._record(service.name, "reweighed", identity, f"its weight {what}, by an operator")
        return web.json_response(self._shown(service, identity, endpoint))

    def _named(self, request: web.Request) -> tuple[Service, str, Endpoint | None]:
        """Return what the path names, by its identity or its address; no endpoint for one that left while drained.

        Raises web.HTTPError.
        """
        name, identity = request.match_info["name"], request.match_info["id"]
        service = self._services.get(name)
        if service is None:
            raise _not_found(f"there is no service {name!r}")
        pool = service.pool
        if (endpoint := pool.endpoint(identity)) is not None or identity in pool.drains.away:
            return service, identity, endpoint
        here = [endpoint for endpoint in pool.endpoints if endpoint.instance.authority == identity]
        if len(here) != 1:
            raise _not_found(
                f"there is no endpoint {identity!r} of service {name!r}"
                if not here
                else f"{len(here)} endpoints of service {name!r} are at {identity!r}: name one by its id"
            )
        return service, here[0].instance.id, here[0]

    def _shown(self, service: Service, identity: str, endpoint: Endpoint | None) -> dict[str, Any]:
        if endpoint is not None:
            return self._show(endpoint, service)
        drains = service.pool.drains
        return {
            "id": identity,
            "address": drains.away[identity].instance.authority,
            "state": "left",
            "reason": drains.reasons[identity],
            "takes_traffic": False,
            "drained": True,
            "in_flight": drains.away[identity].in_flight,
        }


def from_a_page(request: web.Request) -> bool:
    """Tell whether a page in an operator's browser sends this: it may, to wherever that browser can reach."""
    return "origin" in request.headers


def parsed(text: str) -> object:
    """Parse a request's body. Raises ValueError."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is no JSON: {error}") from error
    return value


def _words(text: str) -> str:
    """Return the operator's words for a reason from a request's body. Raises ValueError."""
    body = parsed(text) if text.strip() else {}
    words = body.get("reason", "") if isinstance(body, dict) and body.keys() <= {"reason"} else None
    if not isinstance(words, str) or len(words) > _LONGEST_REASON or not (words.isprintable() or not words):
        raise ValueError(f'the body must be empty or {{"reason": TEXT}}, of at most {_LONGEST_REASON} characters')
    return f": {words}" if words else ""


def _weight(text: str) -> int | None:
    """Return the weight from a request's body. Raises ValueError."""
    body = parsed(text)
    if isinstance(body, dict) and body.keys() == {"weight"}:
        weight = body["weight"]
        if weight is None:
            return None
        if isinstance(weight, int) and not isinstance(weight, bool) and 0 <= weight <= MAX_WEIGHT:
            return weight
    raise ValueError(f'the body must be {{"weight": N}}, a whole number from 0 to {MAX_WEIGHT} or null')


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _refused(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)


def _not_found(error: str) -> web.HTTPError:
    return web.HTTPError(_refused(404, error))
