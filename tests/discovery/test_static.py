import asyncio

import pytest

from discovery.instance import Instance
from discovery.static import StaticRegistry
from tests.discovery.watching import first, watching

WEB = (Instance("a", "10.0.0.1", 80), Instance("b", "10.0.0.2", 80))


async def test_one_snapshot_holds_all_instances():
    async with watching(StaticRegistry(WEB), "web") as watch:
        snapshot = await first(watch)
    assert (snapshot.service, snapshot.instances, snapshot.continuous) == ("web", WEB, False)


async def test_after_it_the_watch_waits_for_ever():
    async with watching(StaticRegistry(WEB)) as watch:
        await first(watch)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(watch)
