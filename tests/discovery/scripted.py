"""A registry that follows a script, and a keeper that follows the registry."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

from discovery.instance import Instance, Snapshot
from discovery.keeper import Keeper
from tests.discovery.watching import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

A, B, C = (Instance(name, f"10.0.0.{number}", 80) for number, name in enumerate("abc", 1))


def web(*instances: Instance, **fields: Any) -> Snapshot:
    return Snapshot("web", instances, **fields)


def weighing(weight: int) -> Instance:
    return Instance("a", "10.0.0.1", 80, weight=weight)


LOST = web(continuous=False)


class Script:
    """A registry whose watches yield what `say` is given, and raise it if it is an exception."""

    def __init__(self, *lines: Snapshot | Exception | None) -> None:
        self.lines: asyncio.Queue[Snapshot | Exception | None] = asyncio.Queue()
        self.watches = 0
        self.open = 0
        self.say(*lines)

    def say(self, *lines: Snapshot | Exception | None) -> None:
        for line in lines:
            self.lines.put_nowait(line)

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        assert service == "web-in-registry"
        self.watches += 1
        self.open += 1
        try:
            while (line := await self.lines.get()) is not None:  # None ends the watch
                if isinstance(line, Exception):
                    raise line
                yield line
        finally:
            self.open -= 1


class NoDelay(Random):
    """Makes every back-off end at once."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


class Harness:
    """A keeper that takes each answer as it comes, unless `options` say otherwise."""

    def __init__(self, script: Any, hold: float = 60.0, **options: Any) -> None:
        self.published: list[Snapshot] = []
        self.events: list[tuple[str, str]] = []
        self.now = 1000.0
        self.keeper = Keeper(
            "web",
            script,
            "web-in-registry",
            self.published.append,
            hold=hold,
            journal=lambda kind, text: self.events.append((kind, text)),
            clock=lambda: self.now,
            source=NoDelay(),
            **{"pace": 0.0, **options},
        )

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    async def answers(self, count: int) -> None:
        await eventually(lambda: sum(self.keeper.updates.values()) >= count)


@asynccontextmanager
async def running(script: Any, hold: float = 60.0, **options: Any) -> AsyncIterator[Harness]:
    harness = Harness(script, hold, **options)
    task = asyncio.create_task(harness.keeper.run())
    try:
        yield harness
    finally:
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
