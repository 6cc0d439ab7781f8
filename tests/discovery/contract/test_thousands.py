"""Thousands of changes in disorder, as fast as the registry takes them, end in the true set."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from discovery.pace import PACE
from tests.discovery.contract.kept import Kept, at
from tests.discovery.contract.world import Can
from tests.discovery.contract.worlds import worlds
from tests.discovery.watching import first, watching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.discovery.contract.kept import At
    from tests.discovery.contract.world import World

NAMES = 200
REMOVED = 0.4  # of the changes
AT_ONCE = 5  # sets that may be published beyond those that are PACE apart: the first one, and timers are not exact
MOST = 60.0  # seconds that a registry may take for them; a hundredth of a second each is no thousands any more


def disorder(count: int, truth: dict[str, At]) -> Iterator[tuple[str, str, int] | str]:
    """Make up changes, and keep `truth` what they add up to."""
    source = random.Random(7)
    for _ in range(count):
        number = source.randrange(NAMES)
        name = f"many-{number}"
        if name in truth and source.random() < REMOVED:
            del truth[name]
            yield name
        else:
            truth[name] = (f"10.1.{number // 100}.{number % 100}", source.randrange(1, 65536))
            yield name, *truth[name]


@worlds(Can.THOUSANDS)
async def test_changes_in_disorder_end_in_the_true_set(world: World):
    truth: dict[str, At] = {}
    changes = list(disorder(world.changes, truth))
    loop = asyncio.get_running_loop()
    async with Kept(world.watched()) as kept:
        began = loop.time()
        async with asyncio.timeout(MOST):
            await asyncio.to_thread(world.change_many, changes)
        took = loop.time() - began
        await kept.until_shown(*truth.values())
        seen, in_all = len(kept.published), loop.time() - began
        registry, name = world.watched()
        async with watching(registry, name) as watch:
            assert at(await first(watch)) == set(truth.values())
        assert kept.shown == set(truth.values())
        assert kept.events == []
        assert seen <= AT_ONCE + in_all / PACE
    print(f"\n{world.kind}: {len(changes)} changes in {took:.1f} s, seen as {seen} sets")
    assert len(truth) > NAMES / 3
