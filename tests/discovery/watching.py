"""Wait for what a watch says, with a deadline and without sleeping."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from discovery.instance import Instance, Snapshot
    from discovery.registry import Registry

DEADLINE = 15.0  # seconds


@asynccontextmanager
async def watching(registry: Registry, service: str = "web") -> AsyncIterator[AsyncIterator[Snapshot]]:
    """Give a watch, and close it in the end."""
    watch: Any = registry.watch(service)
    try:
        yield watch
    finally:
        await watch.aclose()


async def until(watch: AsyncIterator[Snapshot], condition: Callable[[Snapshot], bool]) -> Snapshot:
    """Return the next snapshot that meets the condition."""
    async with asyncio.timeout(DEADLINE):
        async for snapshot in watch:
            if condition(snapshot):
                return snapshot
    raise AssertionError("the watch ended")


async def first(watch: AsyncIterator[Snapshot]) -> Snapshot:
    return await until(watch, lambda snapshot: True)


async def eventually(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # what it looks at sets no event
            await asyncio.sleep(0.01)


def ids(snapshot: Snapshot) -> set[str]:
    return {instance.id for instance in snapshot.instances}


def has(*wanted: str) -> Callable[[Snapshot], bool]:
    """Make the condition that a snapshot holds these identities and no others."""
    return lambda snapshot: ids(snapshot) == set(wanted)


def only(snapshot: Snapshot) -> Instance:
    (instance,) = snapshot.instances
    return instance
