"""One service in several datacenters of Consul, in the order in which they are preferred.

A datacenter that cannot be asked does not spoil the others: its last known instances stay, and an answer of another one
counts at once. Only when none can be asked does the watch fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from typing import TYPE_CHECKING

from discovery.backoff import Backoff
from discovery.cancelled import end_if_cancelled
from discovery.instance import Snapshot
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from discovery.catalog import Listed
    from discovery.consul.registry import ConsulRegistry

GRACE = 1.0  # seconds that the first answer waits for those of the other datacenters


class Datacenters:
    """The same services in several registries, each with the name of its datacenter, the preferred one first.

    Instances are known by their datacenter too (`dc1/node/id`); those of a later one have a higher priority number, and
    get requests only as long as too few of those before them are healthy.
    """

    def __init__(self, registries: Sequence[tuple[str, ConsulRegistry]], *, longest_wait: float = 10.0) -> None:
        self._registries = tuple(registries)
        self._longest_wait = longest_wait
        # What was known of a datacenter outlives a watch, which ends when none can be asked: one may come back alone.
        self._known: dict[tuple[str, str], Snapshot] = {}

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield the joined snapshot for each answer of a datacenter. Raises RegistryError when none can be asked."""
        state = _State([name for name, _ in self._registries])
        tasks = [
            asyncio.get_running_loop().create_task(self._follow(service, name, registry, state))
            for name, registry in self._registries
        ]
        try:
            while True:
                await state.news.wait()
                if state.silent and not state.has_waited:
                    state.has_waited = True
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(state.all_told.wait(), GRACE)
                state.news.clear()
                if state.fault is not None:
                    raise state.fault
                if len(state.errors) == len(self._registries):
                    errors = (f"datacenter {name}: {state.errors[name]}" for name, _ in self._registries)
                    raise RegistryError("; ".join(errors))
                continuous, state.continuous = state.continuous, True
                yield self._join(service, state, continuous)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def services(self, below: str) -> tuple[Listed, ...]:
        """List the services of the preferred datacenter. Raises RegistryError."""
        return await self._registries[0][1].services(below)

    async def _follow(self, service: str, name: str, registry: ConsulRegistry, state: _State) -> None:
        """Tell the state of each answer of one datacenter, for ever."""
        backoff = Backoff(random.Random(), cap=self._longest_wait)
        while True:
            try:
                async with contextlib.aclosing(registry.watch(service)) as watch:
                    async for snapshot in watch:
                        self._known[service, name] = snapshot
                        state.answered(name, continuous=snapshot.continuous)
                        backoff.reset()
            except RegistryError as error:
                end_if_cancelled(error)
                state.failed(name, str(error))
            except Exception as error:  # for the keeper, which tells of it; this task must not die unseen
                state.broke(error)
                return
            await asyncio.sleep(backoff.next())

    def _join(self, service: str, state: _State, continuous: bool) -> Snapshot:
        known = [
            (place, name, self._known[service, name])
            for place, (name, _) in enumerate(self._registries)
            if (service, name) in self._known
        ]
        instances = tuple(
            dataclasses.replace(instance, id=f"{name}/{instance.id}", priority=place + instance.priority)
            for place, name, snapshot in known
            for instance in snapshot.instances
        )
        unreadable = [f"{name}/{text}" for _, name, snapshot in known for text in snapshot.unreadable]
        unreadable += [
            f"datacenter {name}: what was last known of it stays in force: {text}"
            for name, text in sorted(state.errors.items())
        ]
        index = " ".join(f"{name}:{snapshot.index}" for _, name, snapshot in known)
        age = max((snapshot.age for _, _, snapshot in known), default=0.0)
        return Snapshot(service, instances, index, continuous, tuple(unreadable), age)


class _State:
    """What is known of the datacenters in one watch."""

    def __init__(self, names: Sequence[str]) -> None:
        self.silent = set(names)  # those that neither answered nor failed yet
        self.errors: dict[str, str] = {}
        self.continuous = True  # nothing was missed since the last joined snapshot
        self.fault: Exception | None = None
        self.has_waited = False
        self.news = asyncio.Event()
        self.all_told = asyncio.Event()

    def answered(self, name: str, *, continuous: bool) -> None:
        self.errors.pop(name, None)
        self.continuous = self.continuous and continuous
        self._told(name)

    def failed(self, name: str, text: str) -> None:
        self.errors[name] = text
        self.continuous = False
        self._told(name)

    def broke(self, fault: Exception) -> None:
        self.fault = fault
        self.all_told.set()
        self.news.set()

    def _told(self, name: str) -> None:
        self.silent.discard(name)
        if not self.silent:
            self.all_told.set()
        self.news.set()
