"""A service that a keeper keeps, while an `async with` block lasts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from discovery.keeper import Keeper
from tests.discovery.watching import ids

if TYPE_CHECKING:
    from discovery.instance import Snapshot
    from tests.discovery.eureka.service import Service


class Kept:
    def __init__(self, service: Service, **options: Any) -> None:
        self.published: list[Snapshot] = []
        self.events: list[str] = []
        self.keeper = Keeper(
            "web",
            service.registry(**options),
            service.app,
            self.published.append,
            hold=300,
            journal=lambda kind, _: self.events.append(kind),
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.keeper.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def shows(self, *names: str) -> bool:
        return bool(self.published) and ids(self.published[-1]) == set(names)
