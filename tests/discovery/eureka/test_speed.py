"""From Eureka's word to the published set."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from discovery.keeper import Keeper
from tests.discovery.eureka.service import INTERVAL, Service
from tests.discovery.watching import eventually
from tests.servers.eureka import CACHE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discovery.instance import Snapshot
    from tests.servers.eureka import EurekaServer

ROUNDS = 50
PAUSE = 0.1  # seconds between two changes at most, so that they come at all moments of the server's and our intervals


async def test_how_soon_a_change_is_published(eureka: EurekaServer):
    """The waits are the server's, which gives answers as old as its cache, and ours, from one look to the next."""
    service = Service(eureka)
    published: dict[int, float] = {}

    def publish(snapshot: Snapshot) -> None:
        for instance in snapshot.instances:
            published.setdefault(instance.weight, time.monotonic())

    keeper = Keeper("web", service.registry(), service.app, publish, hold=0, journal=lambda *_: None)
    service.put("one", metadata={"weight": "0"})
    task = asyncio.create_task(keeper.run())
    source = random.Random(7)
    asked: list[float] = []
    told: list[float] = []
    try:
        await eventually(lambda: 0 in published)
        for weight in range(1, ROUNDS + 1):
            await asyncio.sleep(source.uniform(0, PAUSE))
            asked.append(time.monotonic())
            await asyncio.to_thread(service.put, "one", metadata={"weight": str(weight)})
            told.append(await asyncio.to_thread(_told, service, weight))
            await eventually(lambda: weight in published)  # noqa: B023  # it is asked in this round only
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        service.clear()
    seen = [published[weight] for weight in range(1, ROUNDS + 1)]
    print(f"\n{ROUNDS} changes, cache {1000 * CACHE:g} ms, interval {1000 * INTERVAL:g} ms; milliseconds:")
    print(f"{'':<28} {'median':>8} {'p99':>8} {'worst':>8}")
    for what, since, then in (
        ("asked for to published", asked, seen),
        ("asked for to told", asked, told),
        ("told to published", told, seen),
    ):
        late = sorted(1000 * (end - start) for start, end in zip(since, then, strict=True))
        print(f"{what:<28} {late[ROUNDS // 2]:>8.1f} {_p99(late):>8.1f} {late[-1]:>8.1f}")


def _told(service: Service, weight: int) -> float:
    """Return when the server first tells of the weight, found out by asking it all the time."""
    give_up = time.monotonic() + 10
    while True:
        delta = service.server.call("GET", "apps/delta")["applications"]["application"]
        weights = [
            one["metadata"].get("weight") for app in delta if app["name"] == service.app for one in app["instance"]
        ]
        if weights == [str(weight)]:
            return time.monotonic()
        assert time.monotonic() < give_up
        time.sleep(0.001)


def _p99(values: Sequence[float]) -> float:
    """The 99th percentile as the value of the rank just below it (numpy's "lower"): of 50, the second worst."""
    return values[int(0.99 * (len(values) - 1))]
