"""What a keeper makes of a world, in the test's own process."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from discovery.keeper import Keeper
from tests.discovery.watching import eventually

if TYPE_CHECKING:
    from discovery.instance import Snapshot
    from discovery.registry import Registry

At = tuple[str, int]  # an instance, by its address and its port


class Kept:
    """A service that a keeper keeps while the block lasts, and all that it published."""

    def __init__(self, watched: tuple[Registry, str]) -> None:
        registry, name = watched
        self.published: list[Snapshot] = []
        self.moments: list[float] = []  # of each, by the monotonic clock
        self.events: list[str] = []
        self.keeper = Keeper(
            "web",
            registry,
            name,
            self._publish,
            hold=300,
            journal=lambda kind, _: self.events.append(kind),
            longest_wait=0.5,
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.keeper.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _publish(self, snapshot: Snapshot) -> None:
        self.moments.append(time.monotonic())
        self.published.append(snapshot)

    @property
    def shown(self) -> set[At] | None:
        """The instances that are in force."""
        return at(self.published[-1]) if self.published else None

    async def until_shown(self, *instances: At) -> None:
        """Wait until these instances, and no others, are in force."""
        await eventually(lambda: self.shown == set(instances))


def at(snapshot: Snapshot) -> set[At]:
    """Where the instances of a snapshot are: registries know them by different names."""
    return {(instance.address, instance.port) for instance in snapshot.instances}
