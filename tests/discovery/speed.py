"""How soon a change at a registry is published, as a table: `make speed`.

It is no test: a busy machine makes the figures worse, and nothing wrong. They stand in docs/registries/README.md.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.discovery.contract.kept import Kept
from tests.discovery.contract.worlds import worlds
from tests.discovery.watching import eventually
from tests.servers.load import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.discovery.contract.world import World

ROUNDS = 50
PAUSE = (0.1, 0.3)  # seconds between two changes: each comes alone, and anywhere between two looks of who polls

Rows = list[tuple[str, list[float], list[float]]]


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    rows: Rows = []
    yield rows
    print(f"\n\nMilliseconds from a change until it is published, of {ROUNDS} changes.\n")
    print("| registry | asked for: p50 | p99 | acknowledged: p50 | p99 |")
    print("|---|---|---|---|---|")
    for kind, *times in rows:
        figures = [f"{percentile(sorted(one), share) * 1000:.1f}" for one in times for share in (0.5, 0.99)]
        print(f"| {kind} | {' | '.join(figures)} |")


@worlds()
async def test_how_soon_a_change_is_published(world: World, rows: Rows):
    source = random.Random(1)
    asked: list[float] = []
    acknowledged: list[float] = []
    async with Kept(world.watched()) as kept:
        await asyncio.to_thread(world.put, "one", "10.0.0.1", 1)
        await kept.until_shown(("10.0.0.1", 1))
        for number in range(2, ROUNDS + 2):
            await asyncio.sleep(source.uniform(*PAUSE))
            before = len(kept.published)
            began = time.monotonic()
            await asyncio.to_thread(world.put, "one", "10.0.0.1", number)
            done = time.monotonic()
            await eventually(lambda: kept.shown == {("10.0.0.1", number)})  # noqa: B023  # it is asked in this round
            seen = kept.moments[before]
            asked.append(seen - began)
            acknowledged.append(max(0.0, seen - done))  # it may be published before the answer was read
    rows.append((world.kind, asked, acknowledged))
