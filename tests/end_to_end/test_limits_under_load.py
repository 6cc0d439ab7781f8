"""The limits under load: nobody fails while there is room to wait, and who finds none is told to come again.

Each test prints what it measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.load import Load, percentile
from tests.servers.pointsman import Pointsman
from tests.servers.program import until
from tests.servers.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.load import Result

NAMES = ("place-1", "place-2", "place-3")
TRAFFIC = 3.0  # seconds
SLOW = "/slow?seconds=0.05"


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[Instances]:
    with Instances(tmp_path, *NAMES) as instances:
        yield instances


def pointsman(folder: Path, instances: Instances, limits: dict[str, int], queue: str = "30s") -> Pointsman:
    web = {"discovery": {"static": instances.addresses()}, "balancer": "round_robin"}
    return Pointsman(folder, {"web": web}, limits=limits, timeouts={"queue": queue})


def load(folder: Path, proxy: Pointsman, clients: int, path: str = SLOW) -> Result:
    """Have more clients than there are places, each of which asks again at once."""
    with Load(folder, f"{proxy.url}{path}", clients=clients, pause=0.01, all_answered=False) as load:
        time.sleep(TRAFFIC)
        return load.finish()


def show(what: str, result: Result, instances: Instances) -> None:
    latencies = result.latencies()
    p50, p99 = (percentile(latencies, share) * 1000 for share in (0.5, 0.99))
    print(f"\n{what}: {result.sent} requests, {len(result.failed)} failed, p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print(f"under way on the instances, at the most: {', '.join(str(instances.most(name)) for name in NAMES)}")


def assert_told_to_come_again(result: Result, why: str) -> None:
    assert result.failed
    for failed in result.failed:
        assert failed.status == 503, failed
        assert int(failed.retry_after) > 0, failed
        assert why in failed.reason, failed
        assert not failed.broken


def test_nobody_fails_while_there_is_room_to_wait(tmp_path: Path, instances: Instances) -> None:
    with pointsman(tmp_path, instances, {"in_flight": 12, "queue": 60}) as proxy:
        result = load(tmp_path, proxy, clients=12 + 60)
        most = [instances.most(name) for name in NAMES]
    show("72 clients, 12 places, 60 may wait", result, instances)
    assert not result.failed
    assert result.answered
    assert sum(most) >= 12  # it was full
    assert max(most) <= 12


def test_who_finds_no_room_to_wait_is_told_to_come_again(tmp_path: Path, instances: Instances) -> None:
    with pointsman(tmp_path, instances, {"in_flight": 6, "queue": 6}) as proxy:
        result = load(tmp_path, proxy, clients=40)
        until(lambda: not proxy.service("web")["in_flight"], "nothing is in flight")
        most = [instances.most(name) for name in NAMES]
    show("40 clients, 6 places, 6 may wait", result, instances)
    assert_told_to_come_again(result, "as many requests under way as it may")
    assert len(result.answered) > TRAFFIC  # those who had a place went on
    assert max(most) <= 6


def test_who_waits_too_long_is_told_to_come_again(tmp_path: Path, instances: Instances) -> None:
    limits = {"in_flight": 3, "queue": 1000}
    with pointsman(tmp_path, instances, limits, queue="500ms") as proxy:
        result = load(tmp_path, proxy, clients=60)
    waited = sorted(failed.ended - failed.started for failed in result.failed)
    show("60 clients, 3 places, 500 ms to wait", result, instances)
    print(f"those who were refused had waited for {waited[0] * 1000:.0f} to {waited[-1] * 1000:.0f} ms")
    assert_told_to_come_again(result, "no place became free in time")
    assert waited[0] >= 0.5
    assert result.answered


def test_no_instance_gets_more_than_its_share(tmp_path: Path, instances: Instances) -> None:
    limits = {"in_flight_per_endpoint": 4, "queue": 1000, "queue_per_endpoint": 20}
    with pointsman(tmp_path, instances, limits) as proxy:
        result = load(tmp_path, proxy, clients=(4 + 20) * len(NAMES))
        most = [instances.most(name) for name in NAMES]
    show("72 clients, 4 places and 20 to wait for each of 3 instances", result, instances)
    assert not result.failed
    assert most == [4] * len(NAMES)


async def test_connections_beyond_the_limit_are_refused(tmp_path: Path, instances: Instances) -> None:
    inside, outside = 30, 100
    with pointsman(tmp_path, instances, {"connections": inside}) as proxy:
        with Load(tmp_path, proxy.url, clients=inside) as load:
            visitors = [Visitor(proxy.port) for _ in range(outside)]
            answers = [await visitor.visit() for visitor in visitors]
            await asyncio.sleep(1)  # of traffic
            result = load.finish()
        for visitor in visitors:
            visitor.leave()
        until(lambda: not proxy.clients(), "all have left")
        again = [Visitor(proxy.port) for _ in range(inside)]
        later = Counter([(await visitor.visit()).status for visitor in again])
        for visitor in again:
            visitor.leave()
    statuses = Counter(answer.status for answer in answers)
    print(f"\n{inside} connections may be: {outside} more got {dict(statuses)}, {inside} later ones {dict(later)}")
    print(f"those inside: {result.sent} requests, {len(result.failed)} failed")
    assert statuses == {503: outside}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert all(answer.headers["connection"] == "close" for answer in answers)
    assert not result.failed
    assert later == {200: inside}


async def test_connections_of_one_client_beyond_its_limit_are_refused(tmp_path: Path, instances: Instances) -> None:
    each, greedy = 5, 50
    with pointsman(tmp_path, instances, {"connections_per_client": each}) as proxy:
        with Load(tmp_path, proxy.url, clients=each, source="127.0.0.2") as load:
            visitors = [Visitor(proxy.port, "127.0.0.3") for _ in range(greedy)]
            answers = Counter([(await visitor.visit()).status for visitor in visitors])
            visitors[0].leave()
            until(lambda: proxy.clients() == 2 * each - 1, "one has left, and those refused")
            newcomer = Visitor(proxy.port, "127.0.0.3")
            let_in = (await newcomer.visit()).status
            await asyncio.sleep(1)  # of traffic
            result = load.finish()
        for visitor in [*visitors, newcomer]:
            visitor.leave()
    print(f"\n{each} connections a client: {greedy} of one got {dict(answers)}, one more when one had left {let_in}")
    print(f"another client: {result.sent} requests, {len(result.failed)} failed")
    assert answers == {200: each, 503: greedy - each}
    assert let_in == 200
    assert not result.failed
