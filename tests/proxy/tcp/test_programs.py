"""Redis and PostgreSQL behind raw connections, with their own clients."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.proxy.running import until
from tests.proxy.tcp.talking import PATIENCE, at, metric, port_of, through
from tests.servers.debian import DebianProgram, debian_program
from tests.servers.ports import free_port, free_ports
from tests.servers.postgres import postgres
from tests.servers.redis import cli, redis
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.proxy.running import Running
    from tests.servers.process import ServerProcess

PROBE = {"probe": {"tcp": True, "interval": "50ms", "fall": 2, "rise": 1, "initial": "fail"}}


@pytest.fixture
def redis_server(pytestconfig: pytest.Config) -> DebianProgram:
    return had_or_skipped(pytestconfig, "redis-server", lambda: debian_program("redis-server"))


@contextlib.asynccontextmanager
async def two_redis(
    program: DebianProgram, folder: Path, **service: Any
) -> AsyncIterator[tuple[Running, dict[str, ServerProcess], contextlib.ExitStack]]:
    """Run pointsman before two servers; yield these by their addresses, and what is closed before all ends."""
    servers = {f"127.0.0.1:{port}": redis(program, folder, port) for port in free_ports(2)}
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            stack.callback(server.kill)
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers.values()))
        async with through(folder, {}, {"db": at(*servers, **service)}) as proxy:
            await until(lambda: len(proxy.application.services["db"].pool.candidates) == 2)
            with contextlib.ExitStack() as of_clients:
                yield proxy, servers, of_clients


async def blocked(proxy: Running, stack: contextlib.ExitStack) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and have an instance wait for something that never comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(proxy))
    stack.callback(writer.close)
    writer.write(b"PING\r\nBLPOP nothing 0\r\n")
    assert await asyncio.wait_for(reader.readexactly(7), PATIENCE) == b"+PONG\r\n"
    return reader, writer


async def test_redis_is_spoken_through_us_and_what_passes_is_in_the_metrics(
    redis_server: DebianProgram, tmp_path: Path
) -> None:
    async with two_redis(redis_server, tmp_path, health=PROBE) as (proxy, servers, stack):
        text = "x" * 1_000_000
        said = await asyncio.to_thread(cli, redis_server, port_of(proxy), (), f"SET a {text}\nSTRLEN a\nGET a\n")
        assert said == f"OK\n1000000\n{text}\n"
        raw = proxy.application.services["db"].traffic.raw
        assert raw is not None
        await until(lambda: not raw.open)
        before = await metric(proxy, "pointsman_tcp_bytes_total")
        for _ in range(4):
            await blocked(proxy, stack)
        opened = await metric(proxy, "pointsman_tcp_connections_open")
        assert opened == {'service="db"': 4}
        of_endpoints = await metric(proxy, "pointsman_endpoint_tcp_connections_open")
        assert list(of_endpoints.values()) == [2, 2]  # round robin
        assert all(any(address in labels for labels in of_endpoints) for address in servers)
        after = await metric(proxy, "pointsman_tcp_bytes_total")
        passed = [
            after[f'direction="{way}",service="db"'] - before[f'direction="{way}",service="db"']
            for way in ("in", "out")
        ]
        assert passed == [4 * len(b"PING\r\nBLPOP nothing 0\r\n"), 4 * len(b"+PONG\r\n")]
        stack.close()
        await until(lambda: not raw.open)
        assert await metric(proxy, "pointsman_tcp_connections_total") == {'service="db"': 5}
        assert await metric(proxy, "pointsman_tcp_connection_duration_seconds_count") == {'service="db"': 5}
        assert not any((await metric(proxy, "pointsman_tcp_failures_total")).values())


async def test_an_instance_that_is_killed_is_left_out_until_it_is_back(
    redis_server: DebianProgram, tmp_path: Path
) -> None:
    async with two_redis(redis_server, tmp_path, health=PROBE) as (proxy, servers, stack):
        service = proxy.application.services["db"]
        raw = service.traffic.raw
        assert raw is not None
        first, second = await blocked(proxy, stack), await blocked(proxy, stack)
        by_address = {endpoint.instance.authority: endpoint for endpoint in service.pool.endpoints}
        address, server = next(iter(servers.items()))
        of_killed = service.connections[by_address[address]].raw
        assert of_killed is not None
        assert of_killed.open == 1
        server.kill()
        over = [asyncio.ensure_future(reader.read()) for reader, _ in (first, second)]
        done, still = await asyncio.wait(over, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(still)) == (1, 1)  # the one whose instance is gone is told so, the other one goes on
        gone = over.index(done.pop())
        with contextlib.suppress(OSError):
            assert await over[gone] == b""
        (first, second)[gone][1].close()
        await until(lambda: of_killed.open == 0)
        for _ in range(6):  # whether it is known already or not, nobody notices
            assert await asyncio.to_thread(cli, redis_server, port_of(proxy), ("PING",)) == "PONG\n"
        await until(lambda: len(service.pool.candidates) == 1)
        healthy = await metric(proxy, "pointsman_endpoint_healthy")
        assert {labels: value for labels, value in healthy.items() if address in labels}.popitem()[1] == 0
        await until(lambda: raw.open == 1)
        await asyncio.to_thread(server.start)
        await until(lambda: len(service.pool.candidates) == 2)
        for _ in range(2):
            await blocked(proxy, stack)
        counted = [service.connections[endpoint].raw for endpoint in by_address.values()]
        assert sorted(one.open for one in counted if one is not None) == [1, 2]
        still.pop().cancel()


async def test_without_probes_connections_that_fail_go_to_another_one_and_eject(
    redis_server: DebianProgram, tmp_path: Path
) -> None:
    health = {"passive": {"consecutive_local_failures": 2, "base_ejection_time": "1h", "max_ejection_percent": "100%"}}
    async with two_redis(redis_server, tmp_path, health=health) as (proxy, servers, _):
        service = proxy.application.services["db"]
        address, server = next(iter(servers.items()))
        server.kill()
        for _ in range(6):
            assert await asyncio.to_thread(cli, redis_server, port_of(proxy), ("PING",)) == "PONG\n"
        [left] = service.pool.candidates
        assert left.instance.authority != address
        assert service.traffic.retries == 2
        assert sum((await metric(proxy, "pointsman_tcp_failures_total")).values()) == 0
        failed = await metric(proxy, "pointsman_endpoint_failures_total")
        assert [count for labels, count in failed.items() if address in labels and '"connect"' in labels] == [2]


async def test_postgres_is_spoken_through_us(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    programs = had_or_skipped(pytestconfig, "PostgreSQL", postgres)
    port = free_port()
    server = had_or_skipped(pytestconfig, "PostgreSQL", lambda: programs.server(tmp_path, port))
    with contextlib.ExitStack() as stack:
        stack.callback(server.kill)
        await asyncio.to_thread(server.start)
        async with through(tmp_path, {}, {"db": at(f"127.0.0.1:{port}", health=PROBE)}) as proxy:
            await until(lambda: proxy.application.services["db"].pool.candidates)
            rows = "".join(f"{number}\t{'x' * 100}\n" for number in range(20_000))
            script = (
                f"CREATE TABLE t (n int, text text);\nCOPY t FROM stdin;\n{rows}\\.\nSELECT count(*), sum(n) FROM t;\n"
            )
            said = await asyncio.to_thread(programs.psql, port_of(proxy), stdin=script)
            assert said == "20000|199990000\n"
            copied = await asyncio.to_thread(
                programs.psql, port_of(proxy), "-c", "COPY (SELECT * FROM t ORDER BY n) TO STDOUT"
            )
            assert copied == rows
            raw = proxy.application.services["db"].traffic.raw
            assert raw is not None
            await until(lambda: not raw.open)
            assert (raw.begun, any(raw.failures.values())) == (2, False)
