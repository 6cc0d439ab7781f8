"""More clients than there are file descriptors: accepting pauses and recovers, and nobody fails for that.

Each test prints what it measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until
from tests.servers.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DESCRIPTORS = 256
FITTING = 150  # connections for which there certainly is room
CROWD = 600  # for which there is none
PROBE = {"http": "/healthz", "interval": "200ms", "timeout": "2s", "fall": 2, "rise": 2}
WAITING, ASKING = 100, 20


async def crowd(port: int, path: str = "/", *, stay: list[Visitor] | None = None) -> Counter[int]:
    """Have all come and ask at once, each of them once, and leave, unless they stay; count the statuses."""

    async def visit() -> int:
        visitor = Visitor(port)
        answer = await visitor.visit(path)
        if stay is None:
            visitor.leave()
        else:
            stay.append(visitor)
        return answer.status

    return Counter(await asyncio.gather(*(visit() for _ in range(CROWD))))


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Pointsman]:
    """With few descriptors. At the end all must be as if nothing had been."""
    with Instances(tmp_path, "roomy-1", "roomy-2") as instances:
        web = {"discovery": {"static": instances.addresses()}, "health": {"probe": PROBE, "panic_threshold": "0%"}}
        with Pointsman(tmp_path, {"web": web}, descriptors=DESCRIPTORS) as proxy:
            at_rest = proxy.descriptors()
            yield proxy
            until(lambda: not proxy.clients(), "all have left")
            idle = int(proxy.metric('pointsman_upstream_connections{service="web",state="idle"}'))
            until(lambda: proxy.descriptors() <= at_rest + idle + 2, "the descriptors are back")  # 2: our question
            with Load(tmp_path, proxy.url) as load:
                time.sleep(1)  # of traffic
                result = load.finish()
            said = proxy.log.read_text()
            print(f"\naccepting paused {said.count('accepting pauses')} times")
            print(f"afterwards: {proxy.descriptors()} descriptors, {result.sent} requests, {len(result.failed)} failed")
            assert not result.failed
            assert "accepting pauses" in said
            assert "Traceback" not in said
            assert not proxy.events("ejected")


async def test_a_crowd_that_asks_at_once(proxy: Pointsman) -> None:
    began = time.monotonic()
    answers = await crowd(proxy.port, "/slow?seconds=0.2")
    print(f"\n{CROWD} clients, {DESCRIPTORS} descriptors: {dict(answers)} in {time.monotonic() - began:.1f} s")
    assert answers == {200: CROWD}


async def test_a_crowd_that_asks_once_and_stays(proxy: Pointsman) -> None:
    """Idle connections are closed for those who wait."""
    there: list[Visitor] = []
    answers = await crowd(proxy.port, stay=there)
    held = proxy.clients()
    print(f"\n{CROWD} clients, {DESCRIPTORS} descriptors: {dict(answers)}; {held} were still connected then")
    assert answers == {200: CROWD}
    assert held < DESCRIPTORS
    for visitor in there:
        visitor.leave()


async def test_those_who_wait_are_served_when_others_leave(proxy: Pointsman) -> None:
    silent = [Visitor(proxy.port) for _ in range(DESCRIPTORS)]  # they say nothing, so nobody takes them for idle
    for visitor in silent:
        await visitor.connect()  # the last ones wait in the kernel
    await asyncio.to_thread(until, lambda: proxy.clients() >= FITTING, "as many as fit are connected")
    visitors = [Visitor(proxy.port) for _ in range(WAITING)]
    waiting = [asyncio.create_task(visitor.visit()) for visitor in visitors]
    answers = Counter([(await visitor.ask()).status for visitor in silent[:ASKING]])
    done_early = sum(task.done() for task in waiting)
    for visitor in silent:
        visitor.leave()
    waited = Counter(answer.status for answer in await asyncio.gather(*waiting))
    for visitor in visitors:
        visitor.leave()
    print(f"\nconnected and served meanwhile: {dict(answers)}; waited: {dict(waited)}")
    assert answers == {200: ASKING}
    assert not done_early
    assert waited == {200: WAITING}
