"""Instances written down in the configuration: a registry that never changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from discovery.instance import Snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from discovery.instance import Instance


class StaticRegistry:
    """The same instances for ever, whatever service is asked for."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._instances = tuple(instances)

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield the one snapshot there is, and then wait for ever."""
        yield Snapshot(service, self._instances, continuous=False)
        await asyncio.get_running_loop().create_future()
