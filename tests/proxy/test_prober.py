"""Probes against real little servers."""

from __future__ import annotations

import asyncio
import os
import random
import resource
from typing import Self

import pytest

from balancers.health import Thresholds
from balancers.pool import Pool
from balancers.random import Random
from discovery import check
from discovery.instance import Instance, Snapshot
from proxy.prober import ProbeOptions, Prober
from tests.proxy.running import instance, until


def options(path: str = "/healthz", *, interval: float = 0.01, timeout: float = 1.0, host: str = "") -> ProbeOptions:
    return ProbeOptions(
        path=path,
        host=host,
        port=0,
        expects=lambda status: status == 200,
        interval=interval,
        timeout=timeout,
        jitter=0.1,
    )


class Probed:
    """A pool of one endpoint that is probed."""

    def __init__(self, address: str, wanted: ProbeOptions, thresholds: Thresholds | None = None) -> None:
        host, _, port = address.rpartition(":")
        self.instance = Instance("a", host, int(port))
        self.events: list[tuple[str, str]] = []
        self.pool = Pool(
            Random,
            random.Random(1),
            thresholds=thresholds or Thresholds(rise=2, fall=3),
            record=lambda kind, endpoint, reason: self.events.append((kind, reason)),
        )
        self.prober = Prober(wanted, random.Random(1))

    async def __aenter__(self) -> Self:
        self.follow(self.instance)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.prober.stop()

    def follow(self, *instances: Instance) -> None:
        self.prober.follow(self.pool.update(Snapshot("web", instances), now=0.0), self.pool)

    @property
    def state(self) -> str:
        [endpoint] = self.pool.endpoints
        return endpoint.health.state


async def test_http_ejects_and_readmits() -> None:
    status = 200
    async with instance("a", health=lambda: status) as address, Probed(address, options()) as probed:
        status = 500
        await until(lambda: probed.state == "ejected")
        status = 200
        await until(lambda: probed.state == "healthy")
        assert [kind for kind, _ in probed.events] == ["joined", "ejected", "readmitted"]
        assert probed.events[1][1] == "3 probes in a row failed, the last one: HTTP 500: a is unwell"


async def test_tcp_ejects_one_that_does_not_listen() -> None:
    async with Probed("127.0.0.1:9", options(path="")) as probed:
        await until(lambda: probed.state == "ejected")
        assert probed.events[1][1] == "3 probes in a row failed, the last one: connection failed: Connection refused"


async def test_tcp_passes_one_that_listens() -> None:
    first = Thresholds(must_pass_first=True)
    async with instance("a") as address, Probed(address, options(path=""), first) as probed:
        assert probed.state == "waiting"
        await until(lambda: probed.state == "healthy")


@pytest.mark.parametrize("path", ["", "/healthz"], ids=["tcp", "http"])
async def test_one_that_does_not_answer_in_time_fails(path: str) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the probe goes away
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        async with Probed(f"127.0.0.1:{port}", options(path, timeout=0.05)) as probed:
            if path:
                await until(lambda: probed.state == "ejected")
                assert probed.events[1][1].endswith("no answer within 0.05 s")
            else:
                await until(lambda: len(probed.events) == 1)  # TCP is accepted by the kernel: it passes
                assert probed.state == "healthy"


async def test_rubbish_in_answer_fails() -> None:
    async def rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"\x00\xff nonsense\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(rubbish, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Probed(f"127.0.0.1:{port}", options()) as probed:
            await until(lambda: probed.state == "ejected")


async def test_the_probe_survives_updates_and_ends_when_its_instance_leaves() -> None:
    asked = 0

    def health() -> int:
        nonlocal asked
        asked += 1
        return 200

    async with instance("a", health=health) as address, Probed(address, options(interval=0.005)) as probed:
        before = {task.get_name() for task in asyncio.all_tasks() if "probe of" in task.get_name()}
        for weight in range(1, 20):
            probed.follow(Instance("a", probed.instance.address, probed.instance.port, weight=weight))
        assert {task.get_name() for task in asyncio.all_tasks() if "probe of" in task.get_name()} == before
        count = asked
        await until(lambda: asked > count + 3)
        probed.follow()
        await until(lambda: not any("probe of" in task.get_name() for task in asyncio.all_tasks()))


async def test_the_host_of_a_probe_can_be_set() -> None:
    seen: list[str] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(keep, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Probed(f"127.0.0.1:{port}", options(host="shop.test")):
            await until(lambda: seen)
    assert seen[0].startswith("GET /healthz HTTP/1.1\r\n")
    assert "Host: shop.test\r\n" in seen[0]
    assert "User-Agent: pointsman-probe\r\n" in seen[0]


async def test_want_of_descriptors_is_no_fault_of_the_instance() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with instance("a") as address, check.open_session() as session:
        host, _, port = address.rpartition(":")
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            by_tcp = await check.tcp(host, int(port), 1.0)
            by_http = await check.http(session, f"http://{address}/healthz", 1.0, lambda status: status == 200)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert by_tcp == by_http == check.Outcome(False, "connection failed: Too many open files", ours=True)


async def test_a_probe_that_could_not_be_made_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    async def impossible(*_: object) -> check.Outcome:
        tries.append(1)
        return check.Outcome(False, "connection failed: Too many open files", ours=True)

    monkeypatch.setattr(check, "tcp", impossible)
    async with Probed("127.0.0.1:9", options(path="")) as probed:
        await until(lambda: len(tries) > 5)
        assert probed.state == "healthy"
