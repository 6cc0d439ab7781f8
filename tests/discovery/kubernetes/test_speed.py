"""From the API server's word to the published set."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from discovery.keeper import Keeper
from tests.discovery.kubernetes.service import Service
from tests.discovery.watching import eventually, only

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from discovery.instance import Snapshot
    from tests.servers.kubernetes import KubernetesServer

ROUNDS = 50
PAUSE = 0.06  # seconds between two changes, so that each comes alone


async def test_how_soon_a_change_is_published(kubernetes: KubernetesServer, tmp_path: Path):
    service = Service(kubernetes, tmp_path)
    published: dict[str, float] = {}

    def publish(snapshot: Snapshot) -> None:
        published.setdefault(only(snapshot).address, time.monotonic())

    keeper = Keeper("web", service.registry(), service.name, publish, hold=0, journal=lambda *_: None)
    addresses = [f"10.0.0.{number}" for number in range(1, ROUNDS + 1)]
    service.put("10.0.0.99")
    task = asyncio.create_task(keeper.run())
    asked: list[float] = []
    acknowledged: list[float] = []
    try:
        await eventually(lambda: "10.0.0.99" in published)
        for address in addresses:
            await asyncio.sleep(PAUSE)  # not for luck: a registry may gather changes that follow each other closely
            asked.append(time.monotonic())
            await asyncio.to_thread(service.put, address)
            acknowledged.append(time.monotonic())
            await eventually(lambda: address in published)  # noqa: B023  # it is asked in this round only
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    seen = [published[address] for address in addresses]
    print(f"\n{ROUNDS} changes; milliseconds to the publication:")
    print(f"{'':<20} {'median':>8} {'p99':>8} {'worst':>8}")
    for what, since in (("asked for", asked), ("acknowledged", acknowledged)):
        late = sorted(1000 * (then - now) for then, now in zip(seen, since, strict=True))
        print(f"{what:<20} {late[ROUNDS // 2]:>8.1f} {_p99(late):>8.1f} {late[-1]:>8.1f}")


def _p99(values: Sequence[float]) -> float:
    """The 99th percentile as the value of the rank just below it (numpy's "lower"): of 50, the second worst."""
    return values[int(0.99 * (len(values) - 1))]
