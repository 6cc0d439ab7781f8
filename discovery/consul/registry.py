"""Services in Consul, watched by blocking queries: Consul answers when something changes, not when we ask.

`/v1/health/service/:name` is asked without `passing`: an instance that fails its checks, or is in maintenance, stays in
the snapshot and is marked so, for it is known to exist; one that was deregistered is gone. How an entry is read is the
concern of entries.

The rules of blocking queries: https://developer.hashicorp.com/consul/api-docs/features/blocking
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from discovery.consul.agent import Agent
from discovery.consul.cached import cached_answers
from discovery.consul.entries import read_entries
from discovery.consul.listing import list_services
from discovery.consul.shared import SharedAgent, read_token
from discovery.instance import Snapshot
from discovery.rate import TokenBucket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from pathlib import Path

    from discovery.catalog import Listed
    from discovery.consul.shared import Answer

WAIT = 60.0  # seconds after which Consul answers a blocking query though nothing changed; a sign of life

# Consul's documentation recommends a burst of two and then one read in fifteen seconds. We trade some load for speed: a
# single change is seen at once, a busy service twenty times a second. It stays bounded, for changes that come
# between two reads share one answer.
BURST = 10
RATE = 20.0  # reads a second

CONNECTIONS = 64  # services with a connection each; an agent allows 200 connections from one address

_FILTERED = "instances that the token may not read; grant it node:read for their nodes and service:read"


class ConsulRegistry:
    """The services that the Consul agent at `address` (`http://127.0.0.1:8500`) knows.

    `token`, or the content of `token_file`, is the ACL token, which needs `node:read` and `service:read`; the file is
    read whenever a watch begins. Only the instances of a service that have all `tags` and meet `filter`, an expression
    over Consul's selectors (`Service.Meta.version == "2"`), are seen. An empty `datacenter` is the agent's own.

    Each watch holds one of the agent's connections as long as fewer than `connections` are held; those beyond share a
    few. `cached` reads the agent's own cache; one that has been cut off for longer than `max_age` seconds, if that is
    not 0, counts as a failure.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        datacenter: str = "",
        tags: Iterable[str] = (),
        filter: str = "",
        cached: bool = False,
        max_age: float = 0.0,
        connections: int = CONNECTIONS,
        wait: float = WAIT,
    ) -> None:
        self._agent = SharedAgent.at(address)
        self._token = token
        self._token_file = token_file
        self._datacenter = datacenter
        self._wait = wait
        self._cached = cached
        self._max_age = max_age
        self._connections = connections
        self._query = [("tag", tag) for tag in tags]
        if datacenter:
            self._query.append(("dc", datacenter))
        if filter:
            self._query.append(("filter", filter))

    async def watch(self, service: str) -> AsyncGenerator[Snapshot]:
        """Yield a snapshot for each answer of Consul, which gives one at least every `wait` seconds and a sixteenth."""
        token = read_token(self._token, self._token_file)
        async with self._agent as agent:
            has_claimed = agent.claim(self._connections)
            try:
                if has_claimed:
                    answers = self._answers(agent, service, token)
                else:
                    follower = agent.follower(token, self._datacenter, self._wait)
                    answers = follower.follow(service, self._query)
                async with contextlib.aclosing(answers):
                    async for answer, is_continuous in answers:
                        instances, unreadable = read_entries(answer.content)
                        continuous = is_continuous
                        if answer.is_filtered:
                            # Nobody can tell whether what is missing went, or is there and may not be seen.
                            continuous, unreadable = False, (*unreadable, _FILTERED)
                        yield Snapshot(service, instances, str(answer.index), continuous, unreadable, answer.age)
            finally:
                if has_claimed:
                    agent.release()

    async def services(self, below: str) -> tuple[Listed, ...]:
        """List the services of the datacenter; `below` has no meaning here. Raises RegistryError."""
        agent = Agent(self._agent.address, self._token or "", self._token_file)
        return await list_services(agent, self._datacenter)

    def _answers(self, agent: SharedAgent, service: str, token: str | None) -> AsyncGenerator[tuple[Answer, bool]]:
        path = f"/v1/health/service/{quote(service, safe='')}"
        if self._cached:
            return cached_answers(agent, path, self._query, token, wait=self._wait, max_age=self._max_age)
        return self._blocking(agent, path, token)

    async def _blocking(self, agent: SharedAgent, path: str, token: str | None) -> AsyncGenerator[tuple[Answer, bool]]:
        """Yield each answer, and whether nothing was missed before it."""
        bucket = TokenBucket(RATE, BURST)
        loop = asyncio.get_running_loop()
        index = 0
        is_continuous = False
        while True:
            await asyncio.sleep(bucket.take(loop.time()))
            answer = await agent.ask(path, self._query, token, index=index, wait=self._wait)
            if answer.index < index:
                # Consul came back without its data, or with older data: what we know of its past is worth nothing.
                index, is_continuous = 0, False
                continue
            agent.saw(self._datacenter, answer.index)
            yield answer, is_continuous
            index, is_continuous = answer.index, True
