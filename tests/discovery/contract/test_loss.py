"""What every registry does when it is away, forgets, is slow or lets nobody in: the last good set stays in force."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.discovery.contract.kept import Kept
from tests.discovery.contract.world import Can
from tests.discovery.contract.worlds import worlds
from tests.discovery.watching import eventually
from tests.servers.relay import Relay

if TYPE_CHECKING:
    from tests.discovery.contract.world import World

ONE, TWO, THREE = ("10.0.0.1", 80), ("10.0.0.2", 81), ("10.0.0.3", 82)
DELAY = 0.15  # seconds for which a slow registry keeps everything back, each way


@worlds(Can.RESTART)
async def test_a_registry_that_is_away_changes_nothing_and_is_followed_again(world: World):
    await asyncio.to_thread(world.put, "one", *ONE)
    async with Kept(world.watched()) as kept:
        await kept.until_shown(ONE)
        await asyncio.to_thread(world.stop)
        await eventually(lambda: bool(kept.keeper.error))
        assert kept.shown == {ONE}
        await asyncio.to_thread(world.start)
        await asyncio.to_thread(world.put, "one", *ONE)  # as an instance does whose registry may have forgotten it
        await asyncio.to_thread(world.put, "two", *TWO)
        await kept.until_shown(ONE, TWO)
        await asyncio.to_thread(world.remove, "one")
        await kept.until_shown(TWO)
        assert not kept.keeper.error
    assert all(snapshot.instances for snapshot in kept.published)
    assert kept.events[0] == "watch_failed"
    assert "watch_recovered" in kept.events


@worlds(Can.WIPE)
async def test_a_registry_that_forgot_everything_empties_nothing(world: World):
    await asyncio.to_thread(world.put, "one", *ONE)
    await asyncio.to_thread(world.put, "two", *TWO)
    async with Kept(world.watched()) as kept:
        await kept.until_shown(ONE, TWO)
        await asyncio.to_thread(world.wipe)
        await eventually(lambda: kept.keeper.held_since is not None)
        assert kept.shown == {ONE, TWO}
        await asyncio.to_thread(world.put, "one", *ONE)
        await kept.until_shown(ONE)
        await asyncio.to_thread(world.remove, "one")  # which the watch sees, so it is believed at once
        await kept.until_shown()
    assert kept.events == ["watch_failed", "watch_recovered", "empty_held"]


@worlds(Can.RELAY)
async def test_a_slow_registry_is_followed_and_holds_nobody_up(world: World):
    await asyncio.to_thread(world.put, "one", *ONE)
    async with (
        Relay(world.server, DELAY) as relay,
        Kept(world.watched(relay.address)) as slow,
        Kept(world.watched()) as quick,
    ):
        await slow.until_shown(ONE)
        await asyncio.to_thread(world.put, "two", *TWO)
        await quick.until_shown(ONE, TWO)
        await slow.until_shown(ONE, TWO)
        assert quick.moments[-1] < slow.moments[-1]
        await asyncio.to_thread(world.remove, "one")
        await slow.until_shown(TWO)
        relay.delay = 0.0
        relay.hold()
        await asyncio.to_thread(world.put, "three", *THREE)
        await quick.until_shown(TWO, THREE)
        assert slow.shown == {TWO}
        relay.release()
        await slow.until_shown(TWO, THREE)
        assert slow.events == quick.events == []


@worlds(Can.LOGIN)
async def test_wrong_credentials_are_an_error_until_they_are_right(world: World):
    await asyncio.to_thread(world.put, "one", *ONE)
    async with Kept(await asyncio.to_thread(world.refused)) as kept:
        await eventually(lambda: kept.keeper.reconnects > 1)
        assert kept.keeper.error
        assert not kept.published
        await asyncio.to_thread(world.allow)
        await kept.until_shown(ONE)
        await asyncio.to_thread(world.put, "two", *TWO)
        await kept.until_shown(ONE, TWO)
        assert not kept.keeper.error
    assert kept.events == ["watch_failed", "watch_recovered"]
