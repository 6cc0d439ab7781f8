"""Containers of a Docker Engine: those with the wanted labels are listed, and the engine tells of each change at once.

The events are followed before the list is made, so that no change falls between. A container that an event tells of is
looked at (`docker inspect`), for only that tells its health. As a stream that is silent may be dead, the containers are
listed again every HEARTBEAT.

How a container is read is the concern of entries; what follows from events and answers, of containers; HTTP and the
stream that all watches of an engine share, of discovery/engine.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import quote

from discovery.docker.containers import Containers
from discovery.docker.entries import Terms
from discovery.engine.answers import EngineError
from discovery.engine.client import Engine, NotFoundError, SlowError
from discovery.engine.events import follow
from discovery.engine.labels import PREFIX, SERVICE, label_filter
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
    from typing import Literal

    from discovery.engine.events import Feed
    from discovery.instance import Snapshot

HEARTBEAT = 10.0  # seconds
PACE = 0.05  # seconds from one snapshot to the next; changes between the two come together
AT_ONCE = 8  # containers that are looked at at the same time


class DockerRegistry:
    """The running containers of `engine`.

    A service's name is the value of the label `pointsman.service`, or of the one that `prefix` makes of it; unless
    chosen `by_name`, it is only for people. All of `labels` must be there besides; one with an empty value may have
    any. `address`, `network` and `port` say where a container gets its requests, and `host` is the address of the
    engine's machine: see Terms.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        labels: Mapping[str, str] | None = None,
        by_name: bool = True,
        prefix: str = PREFIX,
        address: Literal["container", "published"] = "container",
        network: str = "",
        port: int | None = None,
        host: str = "",
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._engine = engine
        self._labels = dict(labels or {})
        self._by_name = by_name
        self._terms = Terms(host or engine.host, address, network, port, prefix)
        self._heartbeat = heartbeat

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each change, but no more than twenty a second, and one at each heartbeat."""
        wanted = {**({self._terms.prefix + SERVICE: service} if self._by_name else {}), **self._labels}
        try:
            async with follow(self._engine) as feed, aclosing(self._follow(feed, service, wanted)) as snapshots:
                async for snapshot in snapshots:
                    yield snapshot
        except EngineError as error:
            raise RegistryError(f"{self._engine}: {error}") from error

    async def _follow(self, feed: Feed, service: str, wanted: Mapping[str, str]) -> AsyncGenerator[Snapshot, None]:
        loop = asyncio.get_running_loop()
        containers = Containers(wanted, self._terms, feed.began)
        query = {"filters": json.dumps({"label": label_filter(wanted), "status": ["running", "paused"]})}
        continuous, due = False, 0.0
        while True:
            answer = None
            if loop.time() >= due:
                due = loop.time() + self._heartbeat
                answer = await feed.ask("/containers/json", query)
            events, is_whole = feed.take()
            changed = containers.happened(events)
            if not is_whole:
                continuous, due = False, 0.0
                continue
            if answer is not None:
                changed = list(dict.fromkeys([*containers.listed(answer), *(changed or ())]))
            if changed is not None:
                await _look_at(feed, containers, changed)
                yield containers.snapshot(service, feed.now(), continuous=continuous)
                continuous = True
                await asyncio.sleep(PACE)
            await feed.wait(due - loop.time())


async def _look_at(feed: Feed, containers: Containers, identities: Iterable[str]) -> None:
    """Have the containers inspected, some at a time."""
    waiting = list(reversed(list(identities)))

    async def some() -> None:
        while waiting:
            identity = waiting.pop()
            try:
                containers.inspected(identity, await feed.ask(f"/containers/{quote(identity, safe='')}/json"))
            except NotFoundError:
                containers.inspected(identity, None)
            except SlowError as error:
                # A container that hangs (its storage does, say) must not keep the others from being followed.
                containers.unanswered(identity, str(error))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(waiting))):
                group.create_task(some())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
