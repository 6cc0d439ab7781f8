"""The admin address: is it alive, is it ready, what does it see, and why."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import exposition

from config.frozen import thaw
from proxy import web
from proxy.admin_changes import Changes
from proxy.admin_endpoints import Endpoints, from_a_page, parsed
from proxy.admin_splits import Splits
from proxy.admin_tcp import raw_routes
from proxy.build_info import build_info
from proxy.catalog import Catalog
from proxy.metrics import Collector
from proxy.sockets import listen, remove_socket
from proxy.tls.acme.sight import acme_shown
from proxy.tls.showing import certificates_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from balancers.endpoint import Endpoint
    from config.units import Bind
    from discovery.keeper import Keeper
    from proxy.application import Application
    from proxy.journal import Event
    from proxy.service import Service
    from proxy.sources import Source
    from proxy.table import Entry

_UNCOUNTED = ("/livez", "/readyz")
_BACKLOG = 128  # connections that wait to be accepted
_LONGEST_BODY = 64 * 1024  # bytes of a request
_LAST_WORDS = 1.0  # seconds that answers may take when it ends
_LEFT_OUT_SHOWN = 1000  # texts of one list


class Admin:
    """Answers on the admin address. It reads what the others keep, and keeps nothing itself."""

    def __init__(self, application: Application, bind: Bind) -> None:
        self._application = application
        self.bind = bind
        self.sockets: Sequence[socket.socket] = ()  # that it listens on
        self.lent = False
        self._has_stopped = False
        self._collector = Collector(application)
        self._server = web.Server(
            [
                web.route("GET", "/livez", self._livez),
                web.route("GET", "/readyz", self._readyz),
                web.route("GET", "/metrics", self._show_metrics),
                web.route("GET", "/api/v1/build", self._build),
                web.route("GET", "/api/v1/services", self._services),
                web.route("GET", "/api/v1/services/{name}", self._service),
                web.route("PATCH", "/api/v1/services/{name}/sources", self._reweigh),
                web.route("POST", "/api/v1/services/{name}/accept", self._accept),
                web.route("GET", "/api/v1/routes", self._routes),
                web.route("GET", "/api/v1/catalogs", self._catalogs),
                web.route("GET", "/api/v1/certificates", self._certificates),
                web.route("GET", "/api/v1/acme", self._acme),
                web.route("GET", "/api/v1/events", self._events),
                *Changes(application).routes(),
                *Splits(application.splits, application.journal.record).routes(),
                *Endpoints(application.services, _endpoint_of, application.journal.record).routes(),
            ],
            _LONGEST_BODY,
            before=self._count,
        )

    @property
    def port(self) -> int:
        """The port bound; 0 on a unix socket, and until it is bound."""
        if not self.sockets or self._has_stopped:
            return 0
        address = self.sockets[0].getsockname()
        return int(address[1]) if isinstance(address, tuple) else 0

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Answer, on sockets that listen already or on its own. Raises BindError."""
        self.sockets = sockets or await asyncio.to_thread(listen, self.bind, None, (), "the admin address ")
        await self._server.start(self.sockets, _BACKLOG)

    def lend(self, lent: bool) -> None:
        """Take note that another process answers at the same sockets, or none any more."""
        self.lent = lent

    async def stop(self) -> None:
        """Answer no more."""
        if self._has_stopped:
            return
        self._has_stopped = True
        await self._server.stop(_LAST_WORDS)
        if self.sockets and self.bind.path and not self.lent:
            remove_socket(self.bind.path)

    async def _count(self, request: web.Request) -> None:
        """Have what workers count counted here before anything of it is shown."""
        workers = self._application.workers
        if workers is not None and request.path not in _UNCOUNTED:
            await workers.refresh()

    async def _build(self, request: web.Request) -> web.Response:
        return web.json_response(build_info())

    async def _livez(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        reasons = self._application.unready()
        if reasons:
            return web.json_response({"status": "not ready", "reasons": reasons}, status=503)
        return web.json_response({"status": "ready"})

    async def _show_metrics(self, request: web.Request) -> web.Response:
        encode, content_type = exposition.choose_encoder(request.headers.get("accept", ""))
        collected = _Collected(list(self._collector.collect()))
        # Writing the text takes some four times as long as collecting: half a second for 10,000 endpoints.
        body = await asyncio.to_thread(encode, cast("CollectorRegistry", collected))
        return web.Response(body, content_type=content_type)

    async def _services(self, request: web.Request) -> web.Response:
        shown = [self._shown(service) for service in self._application.services.values()]
        return await _json({"services": shown})

    async def _service(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        service = self._application.services.get(name)
        if service is None:
            return web.json_response({"error": f"there is no service {name!r}"}, status=404)
        return await _json(self._shown(service))

    def _shown(self, service: Service) -> dict[str, Any]:
        return {**_service(service), "catalog": self._application.catalogs.catalog_of(service) or None}

    async def _reweigh(self, request: web.Request) -> web.Response:
        """Take new weights of a service's sources: `{"consul": 90, "kubernetes": 10}`; one left out stays as it is."""
        service = self._application.services.get(request.match_info["name"])
        if service is None:
            return web.json_response({"error": f"there is no service {request.match_info['name']!r}"}, status=404)
        if from_a_page(request):
            return web.json_response({"error": "pages of a browser may not do this"}, status=403)
        try:
            weights = parsed(request.text())
            if not isinstance(weights, dict) or not all(_is_share(weight) for weight in weights.values()):
                raise ValueError("the body must be an object of weights, whole numbers from 0 to 1000")
            service.reweigh(weights)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        text = ", ".join(f"{name} {weight}" for name, weight in weights.items())
        self._application.journal.record(service.name, "reweighed", "", f"the weights of sources were set: {text}")
        return await _json(_service(service))

    async def _accept(self, request: web.Request) -> web.Response:
        """Put in force what is held back of a service, in all its registries or in the one that `source` names."""
        service = self._application.services.get(request.match_info["name"])
        if service is None:
            return web.json_response({"error": f"there is no service {request.match_info['name']!r}"}, status=404)
        if from_a_page(request):
            return web.json_response({"error": "pages of a browser may not do this"}, status=403)
        wanted = request.query.get("source")
        sources = [source for source in service.sources if wanted in (None, source.name)]
        if not sources:
            names = ", ".join(source.name for source in service.sources)
            return web.json_response({"error": f"there is no source {wanted!r}; there are: {names}"}, status=400)
        if not [source for source in sources if source.keeper.accept()]:
            return web.json_response({"error": "nothing is held back"}, status=409)
        return await _json(_service(service))

    async def _routes(self, request: web.Request) -> web.Response:
        """List the routes in the order in which they are tried."""
        tcp = [route for listener in self._application.listeners for route in raw_routes(listener)]
        return await _json({"routes": [_route(entry) for entry in self._application.catalogs.entries], "tcp": tcp})

    async def _catalogs(self, request: web.Request) -> web.Response:
        """List the catalogs, each with what came of it."""
        whole, now = self._application.catalogs, time.monotonic()
        return await _json(
            {
                "catalogs": [_catalog(catalog, now) for catalog in whole.catalogs if isinstance(catalog, Catalog)],
                "left_out": list(whole.left_out[:_LEFT_OUT_SHOWN]),
                "leaving": [
                    {"name": service.name, "in_flight": service.traffic.in_flight} for service in whole.leaving
                ],
            }
        )

    async def _certificates(self, request: web.Request) -> web.Response:
        listeners = list(self._application.listeners)
        shown = await asyncio.to_thread(lambda: list(certificates_of(listeners, time.time())))
        return await _json({"certificates": shown})

    async def _acme(self, request: web.Request) -> web.Response:
        return await _json(acme_shown(self._application.renewals))

    async def _events(self, request: web.Request) -> web.Response:
        """List events, oldest first. `since`: only those after this number; `service`: only of this one; `limit`."""
        query = request.query
        numbers = {name: query.get(name, default) for name, default in (("since", "0"), ("limit", "2000"))}
        for name, text in numbers.items():
            if not (text.isascii() and text.isdigit()):
                return web.json_response({"error": f"{name} must be a whole number, not {text!r}"}, status=400)
        events = self._application.journal.since(int(numbers["since"]), query.get("service", ""), int(numbers["limit"]))
        return web.json_response({"events": [_event(event) for event in events]})


class _Collected:
    """Stands in for a registry of metrics that has been asked already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


async def _json(shown: dict[str, Any]) -> web.Response:
    """Answer with what may be a lot, written in a thread: requests do not wait for it."""
    return web.json_text(await asyncio.to_thread(json.dumps, shown))


def _service(service: Service) -> dict[str, Any]:
    pool, now = service.pool, time.monotonic()
    candidates = set(pool.candidates)
    return {
        "name": service.name,
        "balancer": service.balancer,
        "panic": pool.panic,
        "in_flight": service.traffic.in_flight,
        "queued": service.places.queued if service.places is not None else 0,
        "tunnels": service.traffic.tunnels,
        "registry": _source(service.sources[0], now),
        **({"sources": _sources(service, now)} if service.joined else {}),
        "drained_away": {identity: pool.drains.reasons[identity] for identity in pool.drains.away},
        "endpoints": [
            _endpoint(endpoint, service, endpoint in candidates, now)
            for endpoint in sorted(pool.endpoints, key=lambda endpoint: endpoint.instance.id)
        ],
    }


def _route(entry: Entry) -> dict[str, Any]:
    return {
        "host": entry.host,
        "path": entry.path,
        "compare": entry.compare.value if entry.compare is not None else "regex",
        "strip": entry.strip,
        "service": entry.service.name if entry.service is not None and entry.split is None else None,
        "catalog": entry.catalog or None,
        **(thaw(entry.wanted.shown) if entry.wanted else {}),
    }


def _catalog(catalog: Catalog, now: float) -> dict[str, Any]:
    left_out = list(catalog.left_out)
    return {
        "name": catalog.name,
        "index": catalog.index,
        "age_seconds": _age(catalog.last_answer, now),
        "error": catalog.error,
        "updates": dict(catalog.updates),
        "reconnects": catalog.reconnects,
        "followed": catalog.followed,
        "services": sorted(service.name for service in catalog.services),
        "left_out": left_out[:_LEFT_OUT_SHOWN],
        "left_out_count": len(left_out),
    }


def _sources(service: Service, now: float) -> list[dict[str, Any]]:
    parts = service.joined.parts if service.joined else ()
    return [
        {"source": source.name, "weight": part.weight, "priority": part.priority, **_source(source, now)}
        for source, part in zip(service.sources, parts, strict=True)
    ]


def _source(source: Source, now: float) -> dict[str, Any]:
    keeper = source.keeper
    snapshot = keeper.current
    return {
        "kind": source.kind,
        "name": keeper.name,
        "instances": len(snapshot.instances) if snapshot else 0,
        "index": snapshot.index if snapshot else None,
        "age_seconds": _age(keeper.last_answer, now),
        "stale_seconds": snapshot.age if snapshot else None,
        "error": keeper.error,
        "stored": keeper.stored,
        "held_seconds": _age(keeper.held_since, now),
        "held": _held(keeper, now),
        "unreadable": list(snapshot.unreadable) if snapshot else [],
        "updates": dict(keeper.updates),
        "superseded": keeper.superseded,
        "reconnects": keeper.reconnects,
        "publications": keeper.delays.count,
        "publication_delay_seconds": round(keeper.delays.total / (keeper.delays.count or 1), 6),
    }


def _held(keeper: Keeper, now: float) -> dict[str, Any] | None:
    """Show the answer that is held back, if there is one."""
    answer, until = keeper.held, keeper.held_until
    if answer is None or until is None:
        return None
    return {
        "instances": len(answer.instances),
        "kept": keeper.kept,
        "reason": keeper.held_reason,
        "accepted_in_seconds": _remaining(until, now),
    }


def _endpoint_of(endpoint: Endpoint, service: Service) -> dict[str, Any]:
    return _endpoint(endpoint, service, endpoint in service.pool.candidates, time.monotonic())


def _endpoint(endpoint: Endpoint, service: Service, picked_from: bool, now: float) -> dict[str, Any]:
    instance, health = endpoint.instance, endpoint.health
    state, reason = state_of(endpoint)
    connections = service.connections[endpoint]
    return {
        "id": instance.id,
        "address": instance.authority,
        "state": state,
        "reason": reason,
        "takes_traffic": picked_from,
        "drained": bool(endpoint.drained),
        "health": {
            "state": health.state,
            "reason": health.reason,
            "since": _timestamp(time.time() - (now - health.since)),
            "last_probe": health.last_probe,
            "ejections": health.ejections,
            "readmitted_in_seconds": _remaining(health.until, now),
        },
        "weight": instance.weight,
        "weight_by_hand": service.weights.get(instance.id),
        "weight_in_force": round(endpoint.weight, 3),
        "priority": instance.priority,
        "zone": instance.zone,
        "tags": list(instance.tags),
        "metadata": dict(instance.metadata),
        "in_flight": endpoint.in_flight,
        "requests": endpoint.requests,
        "connect_failures": endpoint.connect_failures,
        "broken": endpoint.broken,
        "timeouts": endpoint.timeouts,
        "malformed": endpoint.malformed,
        "server_errors": endpoint.server_errors,
        "connections": {"open": connections.open, "idle": connections.idle},
    }


def state_of(endpoint: Endpoint) -> tuple[str, str]:
    """Say in a word what keeps an endpoint from traffic, and why; `healthy` when nothing.

    An operator's word comes first, then the registry's, then what we know of its health.
    """
    instance, health = endpoint.instance, endpoint.health
    if endpoint.drained:
        return "draining", endpoint.drained
    if instance.availability.value != "up":
        return instance.availability.value, instance.reason
    if instance.weight == 0:
        return "draining", "its weight is 0"
    return health.state, health.reason


def _event(event: Event) -> dict[str, Any]:
    return {
        "number": event.number,
        "time": _timestamp(event.time),
        "service": event.service,
        "kind": event.kind,
        "endpoint": event.endpoint,
        "reason": event.reason,
    }


def _is_share(weight: object) -> bool:
    return isinstance(weight, int) and not isinstance(weight, bool) and 0 <= weight <= 1000


def _remaining(moment: float, now: float) -> float | None:
    """Say in how many seconds an ejection ends by itself; None when it does not."""
    return None if moment == float("inf") else max(round(moment - now, 3), 0.0)


def _age(moment: float | None, now: float) -> float | None:
    return None if moment is None else round(now - moment, 3)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
