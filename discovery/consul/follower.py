"""Many services of one agent followed by two blocking queries, where one for each would take too many connections.

Consul has no query that waits for any of several services. What there is, in every version since 1.8:

- `/v1/catalog/services` answers when any service is registered, changed or deregistered, but not which one changed;
- `/v1/health/state/any` answers when any check changes, with all checks: those with another ModifyIndex than before
  tell whose;
- `/v1/health/service/:name` has an index of its own service, so that an answer with the known index need not be read.

So these two are waited for. Services whose checks or tags changed are read at once. After a change of the catalog all
are looked at, most of them for their index only (500 took 60 ms, over READERS connections): at once if no answer is
known that has the catalog's index, and a little later otherwise, for several changes may have come together.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import quote

from discovery.consul.checks import compared, read_checks
from discovery.rate import TokenBucket
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from discovery.consul.checks import Checks
    from discovery.consul.shared import Answer, SharedAgent

READERS = 8  # connections over which services are read; together with the two that wait, all that a follower has
BURST = 10
RATE = 10.0  # answers a second of each of the two queries; changes in between come together
REST = 2.0  # times as long as a look at all services took, until the next one: a third of the time at the most
SHORTEST_REST = 0.1  # seconds
EXPLAINED_IN = 0.02  # seconds in which a change of the catalog may turn out to be one that is known already
LATER = 1.0  # seconds until all services are looked at though the last change is known


class Follower:
    """Follows services for those who claimed no connection of their own, with one token and in one datacenter.

    It works while somebody follows.
    """

    def __init__(self, agent: SharedAgent, token: str | None, datacenter: str, wait: float) -> None:
        self._agent = agent
        self._token = token
        self._datacenter = datacenter
        self._query = [("dc", datacenter)] if datacenter else []
        self._wait = wait
        self._services: dict[_Followed, None] = {}  # those that changed last come last
        self._urgent: list[_Followed] = []
        self._index = 0  # of the catalog
        self._asked_to_look: float | None = None  # since when all services are to be looked at
        self._in_haste = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether nobody follows."""
        return not self._services

    async def follow(self, service: str, query: Iterable[tuple[str, str]] = ()) -> AsyncGenerator[tuple[Answer, bool]]:
        """Yield a service's answers, as blocking queries would, and whether nothing was missed before each.

        `query` is the service's own, with the datacenter.
        An answer that changed nothing is yielded again when Consul was heard of anew. Raises RegistryError.
        """
        followed = _Followed(service, list(query))
        self._services[followed] = None
        self._urgent.append(followed)
        self._wake.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            while True:
                await followed.news.wait()
                followed.news.clear()
                if followed.error is not None:
                    raise followed.error
                if followed.answer is not None:
                    is_continuous, followed.is_continuous = followed.is_continuous, True
                    yield followed.answer, is_continuous
        finally:
            self._services.pop(followed, None)
            task = self._task
            if not self._services and task is not None:
                self._task = None
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        """Wait and look until one of the queries fails, which is then everybody's failure."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._wait_for_services())
                group.create_task(self._wait_for_checks())
                group.create_task(self._look())
        except* Exception as errors:
            error: Exception = errors
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            self._task = None
            for followed in list(self._services):
                followed.failed(error)

    async def _wait_for_services(self) -> None:
        before: dict[str, object] = {}
        index = 0
        bucket = TokenBucket(RATE, BURST)
        while True:
            await asyncio.sleep(bucket.take(asyncio.get_running_loop().time()))
            answer = await self._agent.ask(
                "/v1/catalog/services", self._query, self._token, index=index, wait=self._wait, content=dict
            )
            after: dict[str, object] = answer.content
            changed = {name for name in after.keys() | before.keys() if after.get(name) != before.get(name)}
            if answer.index < index:
                self._agent.newest.clear()
            self._index = answer.index
            self._changed(changed if index else ())
            self._look_at_all()  # for the first answer, and as a sign of life, too
            before, index = after, answer.index if answer.index >= index else 0

    async def _wait_for_checks(self) -> None:
        checks: Checks = {}
        index = 0
        bucket = TokenBucket(RATE, BURST)
        while True:
            await asyncio.sleep(bucket.take(asyncio.get_running_loop().time()))
            answer = await self._agent.ask(
                "/v1/health/state/any", self._query, self._token, index=index, wait=self._wait, decode=read_checks
            )
            if answer.index != index:
                checks, changed = compared(checks, answer.content)
                # A check without a service is its node's, and concerns all that runs there.
                if index:
                    self._changed(changed)
                if not index or "" in changed:
                    self._look_at_all(in_haste=True)
            index = answer.index if answer.index >= index else 0

    def _changed(self, names: Iterable[str]) -> None:
        wanted = set(names)
        self._urgent += [followed for followed in self._services if followed.service in wanted]
        self._wake.set()

    def _look_at_all(self, *, in_haste: bool = False) -> None:
        if self._asked_to_look is None:
            self._asked_to_look = asyncio.get_running_loop().time()
        self._in_haste = self._in_haste or in_haste
        self._wake.set()

    def _due(self, rested: float) -> float | None:
        """Return when all services are to be looked at: None for not at all."""
        if self._asked_to_look is None:
            return None
        is_known = self._agent.newest.get(self._datacenter, 0) >= self._index
        delay = LATER if is_known and not self._in_haste else EXPLAINED_IN
        return max(self._asked_to_look + delay, rested)

    async def _look(self) -> None:
        """Read what is urgent at once, and all services when that is due."""
        loop = asyncio.get_running_loop()
        rested = 0.0
        while True:
            due = self._due(rested)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            self._wake.clear()
            urgent, self._urgent = self._urgent, []
            if urgent:
                await self._read(urgent)
            due = self._due(rested)
            if due is not None and loop.time() >= due:
                self._asked_to_look, self._in_haste = None, False
                began = loop.time()
                # A service that changed a moment ago is the likeliest one to change again.
                await self._read(reversed(self._services))
                rested = loop.time() + max(REST * (loop.time() - began), SHORTEST_REST)

    async def _read(self, services: Iterable[_Followed]) -> None:
        waiting = deque(dict.fromkeys(services))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(READERS, len(waiting))):
                group.create_task(self._read_some(waiting))

    async def _read_some(self, waiting: deque[_Followed]) -> None:
        while waiting:
            followed = waiting.popleft()
            if followed not in self._services:
                continue
            known = followed.answer.index if followed.answer is not None else 0
            path = f"/v1/health/service/{quote(followed.service, safe='')}"
            try:
                answer = await self._agent.ask(path, followed.query, self._token, known=known)
            except RegistryError as error:
                followed.failed(error)
                continue
            self._agent.saw(self._datacenter, answer.index)
            is_news = followed.answered(answer, asyncio.get_running_loop().time(), self._wait / 2)
            if is_news and followed in self._services:
                del self._services[followed]
                self._services[followed] = None


class _Followed:
    """A service, as its follower knows it."""

    def __init__(self, service: str, query: list[tuple[str, str]]) -> None:
        self.service = service
        self.query = query
        self.news = asyncio.Event()
        self.answer: Answer | None = None
        self.is_continuous = False  # since the answer that was taken last
        self.error: Exception | None = None
        self._told = 0.0

    def answered(self, answer: Answer, now: float, silence: float) -> bool:
        """Take in an answer; tell whether it is another one than before.

        One that is not is told of only if there was nothing to tell for `silence` seconds: as a sign of life.
        """
        before = self.answer
        is_same = before is not None and answer.index == before.index
        if is_same and (now - self._told < silence or self.news.is_set()):
            return False
        if not is_same:
            self.answer = answer
        self.is_continuous = self.is_continuous and (before is None or answer.index >= before.index)
        self._told = now
        self.news.set()
        return not is_same

    def failed(self, error: Exception) -> None:
        self.error = error
        self.news.set()
