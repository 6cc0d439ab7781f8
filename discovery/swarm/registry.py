"""Services of a Docker Swarm, asked of a manager.

A Swarm tells of changes of services and nodes, never of tasks: so what it tells is a hint, after which the tasks are
looked at often for a while; and otherwise they are looked at now and then. What happens to containers on the manager's
own machine is a hint too.

How services and tasks are read is the concern of entries; HTTP and the stream of events, of discovery/engine.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING

from discovery.engine.answers import EngineError, objects, text
from discovery.engine.client import NotFoundError
from discovery.engine.events import follow
from discovery.engine.labels import PREFIX, label_filter
from discovery.instance import Snapshot
from discovery.registry import RegistryError
from discovery.swarm.entries import (
    TASK_LIMIT,
    NoAddressError,
    Service,
    Terms,
    on_host,
    read_networks,
    read_nodes,
    read_service,
    read_task,
    read_vip,
    service_name,
    task_name,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
    from typing import Literal

    from discovery.engine.client import Engine
    from discovery.engine.events import Event, Feed
    from discovery.instance import Instance

INTERVAL = 5.0  # seconds from one look to the next while nothing happens
QUICK = 0.2  # seconds, after a hint
QUICKLY_FOR = 10.0  # seconds after the last hint or change; a task is pulled down within some three
PACE = 0.05  # seconds from one snapshot to the next; hints between the two are one

_HINTS = ("service", "node")
_SERVICE_OF = "com.docker.swarm.service.name"  # a label of a task's container


class SwarmRegistry:
    """The services that the manager at `engine` knows.

    A service's name is its name in the Swarm; unless chosen `by_name`, it is only for people. All of `labels` must be
    on the service besides; one with an empty value may have any. `mode`, `network`, `port` and `prefix` say how it is
    read: see Terms. It is looked at every `interval` seconds, and every QUICK seconds for a while after each hint.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        labels: Mapping[str, str] | None = None,
        by_name: bool = True,
        mode: Literal["tasks", "vip"] = "tasks",
        network: str = "",
        port: int | None = None,
        prefix: str = PREFIX,
        interval: float = INTERVAL,
    ) -> None:
        self._engine = engine
        self._labels = dict(labels or {})
        self._by_name = by_name
        self._terms = Terms(mode, network, port, prefix)
        self._interval = interval

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each look."""
        try:
            async with follow(self._engine) as feed, aclosing(self._follow(feed, service)) as snapshots:
                async for snapshot in snapshots:
                    yield snapshot
        except EngineError as error:
            raise RegistryError(f"{self._engine}: {error}") from error

    async def _follow(self, feed: Feed, service: str) -> AsyncGenerator[Snapshot, None]:
        loop = asyncio.get_running_loop()
        before: Snapshot | None = None
        quick_until = 0.0
        while True:
            began = loop.time()
            snapshot = await self._look(feed, service, is_first=before is None)
            if before is not None and snapshot.instances != before.instances:
                quick_until = loop.time() + QUICKLY_FOR
            yield snapshot
            before = snapshot
            await asyncio.sleep(PACE)
            due = began + (QUICK if loop.time() < quick_until else self._interval)
            if await _is_hinted(feed, service if self._by_name else "", due):
                quick_until = loop.time() + QUICKLY_FOR

    async def _look(self, feed: Feed, name: str, *, is_first: bool) -> Snapshot:
        """Ask for everything, and return it."""
        read = self._virtual if self._terms.mode == "vip" else self._tasks
        services, unreadable = await self._services(feed, name)
        try:
            instances = await read(feed, services, unreadable)
        except NotFoundError:  # a service was removed between the two questions
            services, unreadable = await self._services(feed, name)
            instances = await read(feed, services, unreadable)
        instances.sort(key=lambda instance: instance.id)
        return Snapshot(name, tuple(instances), "", not is_first, tuple(sorted(unreadable)))

    async def _services(self, feed: Feed, name: str) -> tuple[list[Service], list[str]]:
        wanted = {"name": [name]} if self._by_name else {}
        if self._labels:
            wanted["label"] = label_filter(self._labels)
        query = {"filters": json.dumps(wanted), "status": "true"}
        services: list[Service] = []
        unreadable: list[str] = []
        for answer in objects(await feed.ask("/services", query), "the services"):
            if self._by_name and service_name(answer) != name:
                continue  # the filter takes a name for the beginning of one
            try:
                services.append(read_service(answer, self._terms))
            except ValueError as error:
                unreadable.append(f"{service_name(answer)}: {error}")
        return services, unreadable

    async def _virtual(self, feed: Feed, services: Iterable[Service], unreadable: list[str]) -> list[Instance]:
        instances: list[Instance] = []
        networks = read_networks(await feed.ask("/networks", {"filters": json.dumps({"scope": ["swarm"]})}))
        for service in services:
            try:
                instances.append(read_vip(service, networks, self._terms))
            except ValueError as error:
                if self._by_name and not isinstance(error, NoAddressError):
                    raise EngineError(f"the service {service.name}: {error}") from error
                unreadable.append(f"{service.name}: {error}")
        return instances

    async def _tasks(self, feed: Feed, services: Iterable[Service], unreadable: list[str]) -> list[Instance]:
        by_id = {service.id: service for service in services}
        if not by_id:
            return []
        # Without desired-state: Docker has no filter for the tasks of a service that is made smaller ("remove").
        query = {"filters": json.dumps({"service": list(by_id)})}
        tasks = objects(await feed.ask("/tasks", query), "the tasks")
        if len(tasks) > TASK_LIMIT:
            raise EngineError(f"there are more than {TASK_LIMIT} tasks of this service")
        nodes: dict[str, str] = {}
        if any(map(on_host, tasks)):
            nodes = read_nodes(await feed.ask("/nodes"))
        instances: list[Instance] = []
        for task in tasks:
            service = by_id.get(text(task, "ServiceID"))
            if service is None:
                continue
            try:
                instance = read_task(task, service, nodes, self._terms)
            except ValueError as error:
                unreadable.append(f"{task_name(task, service.name)}: {error}")
            else:
                instances += [instance] if instance is not None else []
        return instances


async def _is_hinted(feed: Feed, service: str, due: float) -> bool:
    """Wait for a hint, or until the next look is due; tell whether there was one. No name stands for any service."""
    loop = asyncio.get_running_loop()
    while await feed.wait(due - loop.time()):
        events, is_whole = feed.take()
        if not is_whole or any(_is_hint(event, service, feed.began) for event in events):
            return True
    return False


def _is_hint(event: Event, service: str, began: float) -> bool:
    """Tell whether tasks may have changed; what happened before the watch began is seen at its first look."""
    if event.time < began:
        return False
    if event.type == "container":
        return service in (event.attributes.get(_SERVICE_OF), "") and _SERVICE_OF in event.attributes
    return event.type in _HINTS and (event.type == "node" or service in (event.attributes.get("name"), ""))
