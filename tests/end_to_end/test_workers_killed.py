"""Workers and the control process are killed under load: others take their place, and nobody else notices."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.instance import content
from tests.servers.instances import Site
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.processes import Client, Processes, requests_of
from tests.servers.program import ask, until
from tests.servers.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("workers-1", "workers-2")
SIZE = 5_000_000  # bytes of a download
_UNTOLD = 0.5  # seconds for which at the most a worker has not told what it counted; 50 ms where a processor is free


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, *NAMES) as instances:
        yield instances


def pointsman(folder: Path, instances: Site, **more: Any) -> Pointsman:
    web = {"discovery": {"static": instances.addresses()}}
    return Pointsman(folder, {"web": web, "own": web}, **{"workers": 2, "drain_timeout": "5s", **more})


class Total(Watching):
    """Watches how many requests the metrics tell of while the block lasts: that never falls."""

    def __init__(self, proxy: Pointsman) -> None:
        super().__init__(0.02)
        self._proxy = proxy
        self.seen: list[int] = []

    def look(self) -> bool:
        with suppress(OSError):
            self.seen.append(requests_of(self._proxy, "web"))
        return True


def test_a_killed_worker_is_replaced_and_the_others_clients_do_not_notice(tmp_path: Path, instances: Site) -> None:
    with (
        pointsman(tmp_path, instances) as proxy,
        Load(tmp_path, f"{proxy.url}/headers") as load,
        Total(proxy) as total,
        Processes(proxy, proxy.port).client_of_each("own") as kept,
        Processes(proxy, proxy.port).client_of_each("own") as websocket,
        Processes(proxy, proxy.port).client_of_each("own") as download,
    ):
        processes = Processes(proxy, proxy.port)
        websocket[2].open_websocket("own")
        download[2].request("GET", f"/gate?key=1&size={SIZE}", headers={"Host": "own"})
        half = download[2].getresponse()
        second = processes.workers()[2]
        there = list(processes.connections().values()).count(1)
        killed = time.monotonic()
        first = processes.kill_worker(1)
        replaced = time.monotonic() - killed
        until(lambda: proxy.metric('pointsman_workers{state="serving"}') == 2, "both serve")
        served = time.monotonic() - killed
        assert websocket[2].echoed(b"still here") == b"still here"
        for port in instances.ports.values():
            ask(port, "/open?key=1", "POST")
        assert half.read() == content(1, 0, SIZE // 2) + content(1, SIZE // 2, SIZE // 2)
        assert kept[2].ask(host="own").status == 200
        with processes.client_of_each("own") as later:  # the kernel might give all of the load's to the other one
            assert later.keys() == {1, 2}
        assert processes.workers() == {1: first, 2: second}
        time.sleep(0.3)  # of traffic
        result = load.finish()
        lost = len(result.answered) - requests_of(proxy, "web")
        text = proxy.output()
        assert re.search(r"worker 1 \(process \d+\) was ended by SIGKILL; another one is started now", text), text
        (event,) = proxy.events("worker_ended")
        assert "was ended by SIGKILL" in event["reason"]
        assert proxy.metric('pointsman_worker_restarts_total{reason="signal"}') == 1
    print(
        f"\nreplaced after {replaced * 1000:.0f} ms, serves after {served * 1000:.0f} ms; of {len(result.answered):,} "
        f"requests {len(result.failed)} failed, with {there} connections to it; {lost} were not counted"
    )
    assert len(result.failed) <= there  # each client's connection breaks once
    assert total.seen == sorted(total.seen)
    assert 0 <= lost <= sum(killed - _UNTOLD < one.ended < killed + _UNTOLD for one in result.answered)


def test_who_waits_to_be_accepted_by_a_worker_that_dies_is_served_by_its_successor(
    tmp_path: Path, instances: Site
) -> None:
    with pointsman(tmp_path, instances) as proxy, ExitStack() as stack:
        processes = Processes(proxy, proxy.port)
        os.kill(processes.workers()[1], signal.SIGSTOP)
        clients = [stack.enter_context(closing(Client(proxy.port))) for _ in range(20)]
        until(lambda: list(processes.connections().values()).count(0) < 20, "the other worker accepts")
        time.sleep(0.2)  # all that it will
        waiting = [one for one in clients if not processes.connections()[one.near]]
        assert waiting
        for client in clients:
            client.request("GET", "/headers", headers={"Host": "x"})
        processes.kill_worker(1)
        assert [client.getresponse().status for client in clients] == [200] * 20
        accepted = processes.connections()
        assert {accepted[one.near] for one in waiting} == {1}


def test_a_worker_that_dies_again_and_again_is_started_later_each_time(tmp_path: Path, instances: Site) -> None:
    with pointsman(tmp_path, instances) as proxy:
        processes = Processes(proxy, proxy.port)
        for _ in range(4):
            processes.kill_worker(2)
        pauses = re.findall(r"worker 2 .* was ended by SIGKILL; another one is started (.*)", proxy.output())
        assert pauses == ["now", "in 0.1 s", "in 0.2 s", "in 0.4 s"]
        until(lambda: proxy.metric('pointsman_workers{state="serving"}') == 2, "both serve")
        assert proxy.metric('pointsman_worker_restarts_total{reason="signal"}') == 4
