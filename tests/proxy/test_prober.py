"""Probes against real little servers."""

from __future__ import annotations

import asyncio
import os
import random
import re
import resource
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import pytest

from balancers.health import Thresholds
from balancers.pool import Pool
from balancers.random import Random
from discovery import check
from discovery.body_match import BodyMatch
from discovery.dialing import Dial
from discovery.instance import Instance, Snapshot
from proxy.probe_pace import Intervals
from proxy.prober import ProbeOptions, Prober
from tests.proxy.running import instance, running, until
from tests.servers.grpc_health import NOT_SERVING, SERVING, GrpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def options(
    path: str = "/healthz",
    *,
    interval: float = 0.01,
    timeout: float = 1.0,
    host: str = "",
    intervals: Intervals | None = None,
    **more: Any,
) -> ProbeOptions:
    return ProbeOptions(
        path=path,
        host=host,
        port=0,
        expects=lambda status: status == 200,
        timeout=timeout,
        intervals=intervals or Intervals(interval, interval, jitter=0.1),
        **more,
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

    def sweep(self, requests: int, now: float) -> None:
        self.prober.sweep(requests, 0, self.pool, now)

    @property
    def last_probe(self) -> str:
        [endpoint] = self.pool.endpoints
        return endpoint.health.last_probe

    @property
    def asleep_for(self) -> float:
        """The longest interval that an endpoint sleeps by."""
        return max((sleep.interval for sleep in self.prober._asleep.values()), default=0.0)

    @property
    def state(self) -> str:
        [endpoint] = self.pool.endpoints
        return endpoint.health.state


@asynccontextmanager
async def replying(
    first: bytes, rest: bytes, *, ends: bool = True, length: int = 0
) -> AsyncIterator[tuple[int, list[str]]]:
    """Answer with a body of two pieces; yield the port, and the heads of the requests as they come."""
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        said = b"Content-Length: %d\r\n" % (length or len(first + rest)) if ends else b""
        writer.write(b"HTTP/1.1 200 OK\r\n" + said + b"\r\n" + first)
        await writer.drain()
        writer.write(rest)
        if not ends:
            await reader.read()  # until the probe goes away
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], heads


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
    async with instance("a") as address:
        host, _, port = address.rpartition(":")
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            dial = Dial(host, int(port))
            by_tcp = await check.tcp(dial, 1.0)
            by_http = await check.http(dial, address, "/healthz", 1.0, lambda status: status == 200)
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


BODY = '{"status": "UP", "db": "down"}'


@pytest.mark.parametrize(
    ("wanted", "detail"),
    [
        (BodyMatch("UP"), "HTTP 200"),
        (BodyMatch("up"), f"HTTP 200, and its body lacks 'up': {BODY}"),
        (BodyMatch(matches=re.compile('"db": *"(?:up|down)"')), "HTTP 200"),
        (BodyMatch(matches=re.compile("^UP")), f"HTTP 200, and its body lacks /^UP/: {BODY}"),
    ],
    ids=["contains", "lacks", "matches", "does not match"],
)
async def test_what_a_body_must_hold(wanted: BodyMatch, detail: str) -> None:
    async with (
        replying(BODY.encode(), b"") as (port, heads),
        Probed(f"127.0.0.1:{port}", options(body=wanted)) as probed,
    ):
        await until(lambda: probed.last_probe)
        assert probed.last_probe == detail
    assert "\r\nAccept-Encoding: identity\r\n" in heads[0]


async def test_of_a_body_only_the_beginning_is_read() -> None:
    """The body never ends, and what comes late in it counts for nothing."""
    beginning = b"a" * (16 * 1024 - 2) + b"ok"
    for body, passes in ((beginning, True), (b"b" + beginning, False)):
        async with (
            replying(body, b"c" * 10, ends=False) as (port, _),
            Probed(f"127.0.0.1:{port}", options(body=BodyMatch("ok"), timeout=5.0)) as probed,
        ):
            await until(lambda: probed.last_probe)
            assert (probed.last_probe == "HTTP 200") is passes, probed.last_probe


async def test_a_body_that_breaks_off_fails() -> None:
    async with (
        replying(b"ok", b"", length=9) as (port, _),
        Probed(f"127.0.0.1:{port}", options(body=BodyMatch("ok"))) as probed,
    ):
        await until(lambda: probed.last_probe)
        assert probed.last_probe == "HTTP 200, and the connection was closed before the answer was whole"


async def test_the_method_and_the_headers_of_a_probe() -> None:
    async with replying(b"", b"") as (port, heads):
        wanted = options(method="OPTIONS", headers={"X-Api-Key": "k", "user-agent": "mine"})
        async with Probed(f"127.0.0.1:{port}", wanted):
            await until(lambda: heads)
    assert heads[0].startswith("OPTIONS /healthz HTTP/1.1\r\n")
    assert "\r\nX-Api-Key: k\r\n" in heads[0]
    assert heads[0].lower().count("user-agent:") == heads[0].count("user-agent: mine") == 1


async def test_grpc_on_a_whole_pointsman() -> None:
    with GrpcServer() as server:
        server.set("shop.v1.Orders", SERVING)
        probe = {"grpc": "shop.v1.Orders", "interval": "10ms", "rise": 2, "fall": 2, "initial": "fail"}
        service = {"discovery": {"static": [f"127.0.0.1:{server.port}"]}, "health": {"probe": probe}}
        async with running({"services": {"web": service}}) as pointsman:
            pool = pointsman.application.services["web"].pool
            await until(lambda: pool.endpoints)
            [endpoint] = pool.endpoints
            await until(lambda: endpoint.health.state == "healthy")
            server.set("shop.v1.Orders", NOT_SERVING)
            await until(lambda: endpoint.health.state == "ejected")
            assert endpoint.health.reason == "2 probes in a row failed, the last one: NOT_SERVING"
            server.set("shop.v1.Orders", SERVING)
            await until(lambda: endpoint.health.state == "healthy")


class Asked:
    """Counts the questions of a probe, and answers as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = self.at_once = self.most_at_once = 0
        self.passes = True
        monkeypatch.setattr(check, "tcp", self._tcp)

    async def _tcp(self, *_: object) -> check.Outcome:
        self.count += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        return check.Outcome(self.passes, "asked")


HOUR = 3600.0


async def test_requests_end_the_idle_time_of_the_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    intervals = Intervals(0.02, 0.02, idle=HOUR, idle_after=10.0)
    async with Probed("127.0.0.1:9", options("", intervals=intervals)) as probed:
        probed.sweep(requests=0, now=0.0)
        await until(lambda: asked.count > 2)
        probed.sweep(requests=0, now=10.0)
        await until(lambda: probed.asleep_for == HOUR)
        count = asked.count
        probed.sweep(requests=0, now=11.0)
        await asyncio.sleep(0)
        assert (asked.count, probed.asleep_for) == (count, HOUR)
        probed.sweep(requests=1, now=12.0)
        await until(lambda: asked.count > count + 2)
        assert asked.most_at_once == 1


async def test_one_that_requests_have_ejected_is_probed_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    intervals = Intervals(HOUR, 0.02)
    async with Probed("127.0.0.1:9", options("", intervals=intervals), Thresholds(rise=2, consecutive_5xx=1)) as probed:
        probed.follow(probed.instance, Instance("b", "127.0.0.1", 9))
        await until(lambda: asked.count == 2 and probed.asleep_for == HOUR)
        endpoint = probed.pool.endpoint("a")
        assert endpoint is not None
        probed.pool.failed(endpoint, "5xx", "answered 500", now=1.0)
        assert endpoint.health.state == "ejected"
        probed.sweep(requests=1, now=1.0)
        await until(lambda: endpoint.health.state == "healthy")
        assert asked.count == 4  # two that passed were enough, and nobody asked b again


async def test_one_that_fails_is_probed_at_its_own_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    asked.passes = False
    async with Probed("127.0.0.1:9", options("", intervals=Intervals(HOUR, 0.005))) as probed:
        await until(lambda: probed.state == "ejected")
        asked.passes = True
        await until(lambda: probed.state == "healthy")
        count = asked.count
        assert probed.asleep_for in (0.0, HOUR)
        await until(lambda: probed.asleep_for == HOUR)
        assert asked.count == count


async def test_whoever_leaves_in_its_sleep_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    Asked(monkeypatch)
    async with Probed("127.0.0.1:9", options("", intervals=Intervals(HOUR, HOUR))) as probed:
        await until(lambda: probed.asleep_for)
        probed.follow()
        await until(lambda: not any("probe of" in task.get_name() for task in asyncio.all_tasks()))
        assert not probed.prober._asleep


async def test_an_idle_service_is_probed_rarely_until_somebody_asks() -> None:
    asked = 0

    def health() -> int:
        nonlocal asked
        asked += 1
        return 200

    probe = {"http": "/healthz", "interval": "10ms", "idle_interval": "1h", "idle_after": "50ms"}
    async with instance("a", health=health) as a:
        service = {"discovery": {"static": [a]}, "health": {"probe": probe}}
        async with running({"services": {"web": service}}) as pointsman:
            prober = pointsman.application.services["web"].prober
            assert prober is not None
            await until(lambda: [sleep.interval for sleep in prober._asleep.values()] == [HOUR])
            count = asked
            assert await pointsman.get() == (200, "a")
            await until(lambda: asked > count)
