"""What every registry does, whatever it reads: what a watch of it tells."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from discovery.instance import Availability
from tests.discovery.contract.kept import at
from tests.discovery.contract.world import Can
from tests.discovery.contract.worlds import worlds
from tests.discovery.watching import eventually, first, only, until, watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from discovery.instance import Snapshot
    from tests.discovery.contract.kept import At
    from tests.discovery.contract.world import World

ONE, TWO = ("10.0.0.1", 80), ("10.0.0.2", 81)


def shows(*instances: At) -> Callable[[Snapshot], bool]:
    return lambda snapshot: at(snapshot) == set(instances)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@worlds(steady=True)
async def test_the_present_state_comes_first_and_promises_nothing_of_the_past(world: World):
    await asyncio.to_thread(world.put, "one", *ONE)
    registry, name = world.watched()
    async with watching(registry, name) as watch:
        snapshot = await first(watch)
    assert at(snapshot) == {ONE}
    assert snapshot.service == name
    assert not snapshot.continuous
    assert snapshot.unreadable == ()


@worlds()
async def test_what_comes_and_goes_is_told_without_a_gap(world: World):
    registry, name = world.watched()
    async with watching(registry, name) as watch:
        assert at(await first(watch)) == set()
        await asyncio.to_thread(world.put, "one", *ONE)
        began = await until(watch, shows(ONE))
        await asyncio.to_thread(world.put, "two", *TWO)
        added = await until(watch, shows(ONE, TWO))
        await asyncio.to_thread(world.remove, "one")
        removed = await until(watch, shows(TWO))
        await asyncio.to_thread(world.remove, "two")
        emptied = await until(watch, shows())
    assert all(snapshot.continuous for snapshot in (began, added, removed, emptied))
    (stays,) = removed.instances
    assert stays in added.instances  # an instance keeps its identity, and all else, while others change


@worlds(Can.WEIGH)
async def test_a_weight_is_changed_while_we_watch(world: World):
    await asyncio.to_thread(world.put, "one", *ONE, weight=3)
    registry, name = world.watched()
    async with watching(registry, name) as watch:
        before = only(await first(watch))
        assert before.weight == 3
        await asyncio.to_thread(world.put, "one", *ONE, weight=5)
        after = only(await until(watch, lambda snapshot: only(snapshot).weight == 5))
    assert after.id == before.id


@worlds(Can.DRAIN)
async def test_an_instance_rests_and_comes_back(world: World):
    await asyncio.to_thread(world.put, "one", *ONE)
    await asyncio.to_thread(world.put, "two", *TWO)
    registry, name = world.watched()

    def resting(snapshot: Snapshot) -> set[int]:
        return {one.port for one in snapshot.instances if one.availability is Availability.DRAINING}

    async with watching(registry, name) as watch:
        await until(watch, shows(ONE, TWO))
        await asyncio.to_thread(world.put, "one", *ONE, draining=True)
        rests = await until(watch, lambda snapshot: resting(snapshot) == {80})
        assert at(rests) == {ONE, TWO}
        await asyncio.to_thread(world.put, "one", *ONE, draining=False)
        await until(watch, lambda snapshot: not resting(snapshot))


@worlds(Can.MALFORMED)
async def test_what_makes_no_sense_is_named_and_the_others_are_used(world: World):
    await asyncio.to_thread(world.put, "one", *ONE)
    registry, name = world.watched()
    async with watching(registry, name) as watch:
        assert (await until(watch, shows(ONE))).unreadable == ()
        await asyncio.to_thread(world.put_malformed)
        bad = await until(watch, lambda snapshot: bool(snapshot.unreadable))
        assert at(bad) == {ONE}
        assert len(bad.unreadable) == 1
        await asyncio.to_thread(world.put, "two", *TWO)
        still_bad = await until(watch, shows(ONE, TWO))
    assert still_bad.unreadable == bad.unreadable
    async with watching(registry, name) as watch:
        again = await first(watch)
    assert (at(again), again.unreadable) == ({ONE, TWO}, bad.unreadable)


@worlds(steady=True)
async def test_two_watches_of_one_registry_do_not_disturb_each_other(world: World):
    await asyncio.to_thread(world.put, "one", *ONE)
    registry, name = world.watched()
    async with watching(registry, name) as one, watching(registry, name) as other:
        assert (await first(one)).instances == (await first(other)).instances


@pytest.mark.parametrize("how", ["closed between answers", "cancelled in wait"])
@worlds(steady=True)
async def test_what_a_watch_held_is_released(world: World, how: str):
    await asyncio.to_thread(world.put, "one", *ONE)
    registry, name = world.watched()
    async with watching(registry, name) as watch:  # so that what is imported or cached late is there already
        await first(watch)
    files, tasks = open_files(), asyncio.all_tasks()
    async with watching(registry, name) as watch:
        await first(watch)
        if how == "cancelled in wait":
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.wait([waiting], timeout=0.05)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    await eventually(lambda: open_files() <= files)
    await eventually(lambda: asyncio.all_tasks() <= tasks)
