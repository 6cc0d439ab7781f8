"""The HTTP endpoints: a part of those of a Consul agent, with its paths, parameters, answers and errors."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from typing import TYPE_CHECKING, Any

from aiohttp import web

from discovery.embedded import definition, rendering
from discovery.embedded.definition import CheckRegistration, CheckUpdate, ServiceRegistration, Status
from discovery.embedded.duration import SECOND, nanoseconds
from discovery.embedded.refusal import RefusedError
from discovery.embedded.waiting import CHECKS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from discovery.embedded.catalog import Catalog, Service
    from discovery.embedded.waiting import Waiting
    from discovery.embedded.writer import Writer

log = logging.getLogger(__name__)

LARGEST_BODY = 512 * 1024  # bytes
DEFAULT_WAIT = 300.0  # seconds
LONGEST_WAIT = 600.0
JITTER = 16  # up to one part in so many is added to a wait, so that those who asked together do not return together

_TRUE = ("1", "t", "T", "true", "TRUE", "True")  # of Go's strconv.ParseBool
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class Api:
    """Answers questions from the catalog, and hands changes to the writer."""

    def __init__(self, catalog: Catalog, writer: Writer, waiting: Waiting, node: rendering.Node) -> None:
        self._catalog = catalog
        self._writer = writer
        self._waiting = waiting
        self._node = node

    def application(self) -> web.Application:
        """Build the aiohttp application. An ID may hold slashes: it goes to the end of the path, as in Consul."""
        application = web.Application(middlewares=[_as_consul_answers], client_max_size=LARGEST_BODY)
        put = application.router.add_put
        put("/v1/agent/service/register", self.register_service)
        put("/v1/agent/service/deregister/{id:.*}", self.deregister_service)
        put("/v1/agent/service/maintenance/{id:.*}", self.set_service_maintenance)
        put("/v1/agent/maintenance", self.set_node_maintenance)
        put("/v1/agent/check/register", self.register_check)
        put("/v1/agent/check/deregister/{id:.*}", self.deregister_check)
        put("/v1/agent/check/pass/{id:.*}", self.report("passing"))
        put("/v1/agent/check/warn/{id:.*}", self.report("warning"))
        put("/v1/agent/check/fail/{id:.*}", self.report("critical"))
        put("/v1/agent/check/update/{id:.*}", self.update_check)
        for path, handler in (
            ("/v1/agent/services", self.agent_services),
            ("/v1/agent/service/{id:(?!register$|deregister/|maintenance/).*}", self.agent_service),
            ("/v1/agent/checks", self.agent_checks),
            ("/v1/agent/self", self.agent_self),
            ("/v1/catalog/services", self.catalog_services),
            ("/v1/catalog/service/{name:.*}", self.catalog_service),
            ("/v1/health/service/{name:.*}", self.health_service),
            ("/v1/health/state/{state:.*}", self.health_state),
            ("/v1/status/leader", self.leader),
            ("/v1/status/peers", self.peers),
        ):
            application.router.add_get(path, handler, allow_head=False)
        return application

    # Changes

    async def register_service(self, request: web.Request) -> web.Response:
        registration = definition.read(ServiceRegistration, await request.read())
        replace_checks = request.query.get("replace-existing-checks") in ("", "true")
        await self._writer.submit(lambda draft: draft.register(registration, replace_checks))
        return web.Response()

    async def deregister_service(self, request: web.Request) -> web.Response:
        service_id = _named(request, "id", 500, "ServiceID missing")
        await self._writer.submit(lambda draft: draft.deregister(service_id))
        return web.Response()

    async def set_service_maintenance(self, request: web.Request) -> web.Response:
        service_id = _named(request, "id", 400, "Missing service ID")
        enable, reason = _enable(request), request.query.get("reason", "")
        await self._writer.submit(lambda draft: draft.set_service_maintenance(service_id, enable, reason))
        return web.Response()

    async def set_node_maintenance(self, request: web.Request) -> web.Response:
        enable, reason = _enable(request), request.query.get("reason", "")
        await self._writer.submit(lambda draft: draft.set_node_maintenance(enable, reason))
        return web.Response()

    async def register_check(self, request: web.Request) -> web.Response:
        registration = definition.read(CheckRegistration, await request.read())
        await self._writer.submit(lambda draft: draft.register_check(registration))
        return web.Response()

    async def deregister_check(self, request: web.Request) -> web.Response:
        check_id = _named(request, "id", 500, "CheckID missing")
        await self._writer.submit(lambda draft: draft.deregister_check(check_id))
        return web.Response()

    def report(self, status: Status) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Make the handler by which a service gives its TTL check this status."""

        async def handler(request: web.Request) -> web.Response:
            update = CheckUpdate.model_construct(status=status, output=request.query.get("note", ""))
            check_id = request.match_info["id"]
            await self._writer.submit(lambda draft: draft.report(check_id, update))
            return web.Response()

        return handler

    async def update_check(self, request: web.Request) -> web.Response:
        update = definition.read(CheckUpdate, await request.read())
        check_id = request.match_info["id"]
        await self._writer.submit(lambda draft: draft.report(check_id, update))
        return web.Response()

    # What the agent has

    async def agent_services(self, request: web.Request) -> web.Response:
        _refuse_filter(request)
        services = sorted(self._catalog.services.items())
        return _json({service_id: rendering.agent_service(service) for service_id, service in services})

    async def agent_service(self, request: web.Request) -> web.Response:
        service_id = request.match_info["id"]
        service = self._catalog.services.get(service_id)
        if service is None:
            raise RefusedError(404, f"unknown service ID: {service_id}")
        return _json(rendering.agent_service(service))

    async def agent_checks(self, request: web.Request) -> web.Response:
        _refuse_filter(request)
        services = self._catalog.services
        return _json(
            {
                check_id: rendering.check_entry(self._node, check, services.get(check.service_id))
                for check_id, check in sorted(self._catalog.checks.items())
            }
        )

    async def agent_self(self, _: web.Request) -> web.Response:
        return _json(rendering.agent_self(self._node))

    # What the cluster has

    async def leader(self, request: web.Request) -> web.Response:
        _check_datacenter(request)
        return _json(self._authority)

    async def peers(self, request: web.Request) -> web.Response:
        _check_datacenter(request)
        return _json([self._authority])

    async def catalog_services(self, request: web.Request) -> web.Response:
        index = await self._wait(request, SERVICES, lambda: self._catalog.services_index)
        return _json(self._catalog.tags_by_name(), index)

    async def catalog_service(self, request: web.Request) -> web.Response:
        name = _named(request, "name", 400, "Missing service name")
        _refuse_filter(request)
        index = await self._wait(request, name, lambda: self._catalog.name_index(name))
        tags = _tags(request)
        return _json(
            [
                rendering.catalog_entry(self._node, service)
                for service in self._catalog.instances(name)
                if _has(service, tags)
            ],
            index,
        )

    async def health_service(self, request: web.Request) -> web.Response:
        name = _named(request, "name", 400, "Missing service name")
        _refuse_filter(request)
        passing = _passing(request)
        index = await self._wait(request, name, lambda: self._catalog.name_index(name))
        tags = _tags(request)
        entries = []
        for service in self._catalog.instances(name):
            checks = rendering.checks_of(self._catalog, service)
            if _has(service, tags) and not (passing and any(check.status != "passing" for check in checks)):
                entries.append(rendering.health_entry(self._node, service, checks))
        return _json(entries, index)

    async def health_state(self, request: web.Request) -> web.Response:
        state = _named(request, "state", 400, "Missing check state")
        _refuse_filter(request)
        index = await self._wait(request, CHECKS, lambda: self._catalog.checks_index)
        services = self._catalog.services
        return _json(
            [
                rendering.indexed_check(self._node, check, services.get(check.service_id))
                for check in (rendering.ALIVE, *(check for _, check in sorted(self._catalog.checks.items())))
                if state in ("any", check.status)
            ],
            index,
        )

    @property
    def _authority(self) -> str:
        address = self._node.address
        return f"[{address}]:{self._node.port}" if ":" in address else f"{address}:{self._node.port}"

    async def _wait(self, request: web.Request, topic: str, index_now: Callable[[], int]) -> int:
        """Wait until the index is above the one that the client knows, or its time is over, and return it."""
        known, wait = _blocking(request)
        _check_datacenter(request)
        if known > 0:
            until = asyncio.get_running_loop().time() + wait + random.uniform(0, wait / JITTER)
            while index_now() <= known and await self._waiting.change(topic, until):
                pass
        return index_now()


@web.middleware
async def _as_consul_answers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn errors into Consul's plain texts."""
    try:
        if request.query.get("ns"):
            raise RefusedError(
                400, 'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'
            )
        return await handler(request)
    except RefusedError as error:
        text = error.text.encode("utf-8", "replace").decode("utf-8")
        return web.Response(status=error.status, text=text)
    except web.HTTPMethodNotAllowed as error:
        allowed = ",".join(["OPTIONS", *sorted(error.allowed_methods)])
        return web.Response(status=405, text=f"method {request.method} not allowed", headers={"Allow": allowed})
    except web.HTTPNotFound:
        return web.Response(status=404)
    except web.HTTPRequestEntityTooLarge:
        return web.Response(status=413, text=f"The request is larger than {LARGEST_BODY} bytes")


def _json(value: Any, index: int | None = None) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if index is not None:
        headers |= {"X-Consul-Index": str(index), "X-Consul-KnownLeader": "true", "X-Consul-LastContact": "0"}
    return web.Response(body=json.dumps(value, separators=(",", ":")).encode() + b"\n", headers=headers)


def _named(request: web.Request, part: str, status: int, missing: str) -> str:
    name = request.match_info[part]
    if not name:
        raise RefusedError(status, missing)
    return name


def _enable(request: web.Request) -> bool:
    if "enable" not in request.query:
        raise RefusedError(400, "Missing value for enable")
    value = request.query["enable"]
    if value not in _TRUE and value not in _FALSE:
        raise RefusedError(400, f'Invalid value for enable: "{value[:64]}"')
    return value in _TRUE


def _passing(request: web.Request) -> bool:
    value = request.query.get("passing", "false")
    if value not in ("", *_TRUE, *_FALSE):
        raise RefusedError(400, "Invalid value for ?passing")
    return value not in _FALSE


def _tags(request: web.Request) -> set[str]:
    return {tag.lower() for tag in request.query.getall("tag", [])}


def _has(service: Service, tags: set[str]) -> bool:
    return not tags or tags <= {tag.lower() for tag in service.definition.tags}


def _blocking(request: web.Request) -> tuple[int, float]:
    """Return the index that the client knows, 0 for none, and for how many seconds it wants to wait."""
    query = request.query
    if "consistent" in query:
        for other in ("stale", "cached"):
            if other in query:
                raise RefusedError(400, f"Cannot specify ?{other} with ?consistent, conflicting semantics.")
    index = query.get("index") or "0"
    if not (index.isascii() and index.isdigit() and len(index) <= 20 and int(index) < 2**64):
        raise RefusedError(400, "Invalid index")
    try:
        wait = nanoseconds(query.get("wait") or "0") / SECOND
    except ValueError:
        raise RefusedError(400, "Invalid wait time") from None
    return int(index), min(wait, LONGEST_WAIT) if wait > 0 else DEFAULT_WAIT


def _check_datacenter(request: web.Request) -> None:
    if request.query.get("dc", "") not in ("", rendering.DATACENTER):
        raise RefusedError(500, "No path to datacenter")


def _refuse_filter(request: web.Request) -> None:
    for name in ("filter", "node-meta"):
        if request.query.get(name):
            raise RefusedError(400, f"The embedded registry does not know ?{name}; it knows ?tag and ?passing")
