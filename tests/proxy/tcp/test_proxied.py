"""PROXY headers before raw connections, from proxies in front of us and to the instances."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from config.trusted import TrustedProxies, parse_trusted_proxies
from proxy.edge.access import Access
from proxy.http.terms import Timeouts
from proxy.listener import ListenerOptions
from proxy.proxy_protocol import Ends, Version, header, own_header
from tests.proxy.http.scripted import until
from tests.proxy.running import running
from tests.proxy.tcp.scripted import TcpProxy, tcp_proxying
from tests.proxy.tcp.talking import PATIENCE, Echo, at, echo, port_of, through
from tests.proxy.tcp.test_hello import REAL
from tests.proxy.test_instance_ways import FAR, FAR_6, proxy_header, tell_instances
from tests.proxy.test_tls import CA, client_context, issue
from tests.servers import beside
from tests.servers.debian import debian_program
from tests.servers.ports import free_port
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOCAL = parse_trusted_proxies(["127.0.0.0/8"])


@contextlib.asynccontextmanager
async def behind_a_proxy(**more: Any) -> AsyncIterator[TcpProxy]:
    settings = {key: more.pop(key) for key in ("names", "others", "logged") if key in more}
    options = ListenerOptions(proxies=LOCAL, timeouts=Timeouts(request_head=5.0), **more)
    async with tcp_proxying(options=options, **settings) as proxy:
        yield proxy


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("ends", [FAR, FAR_6], ids=["TCP4", "TCP6"])
async def test_the_header_says_who_the_client_is(version: Version, ends: Ends) -> None:
    async with behind_a_proxy(logged=True) as proxy:
        client = await proxy.client()
        await client.send(header(version, ends) + b"SELECT 1")
        instance = await proxy.instance.accept()
        await instance.gets(b"SELECT 1")
        assert proxy.inside().origin.address == ends.source[0]
        client.finish()
        instance.finish()
        await proxy.over()
        assert proxy.records[0].client == ends.source[0]


async def test_a_hello_may_follow_at_once_or_later_and_decides() -> None:
    async with behind_a_proxy(names=["db.example.com"], others=False) as proxy:
        for first in (header("v2", FAR) + REAL, header("v1", FAR) + REAL):
            client = await proxy.client()
            await client.send_slowly(first)
            await (await proxy.instance.accept()).gets(REAL)


async def test_the_server_may_still_have_the_first_word() -> None:
    async with behind_a_proxy() as proxy:
        client = await proxy.client()
        await client.send(own_header("v2"))
        instance = await proxy.instance.accept()
        await instance.send(b"220 ready\r\n")
        await client.gets(b"220 ready\r\n")
        assert proxy.inside().origin.address == "127.0.0.1"


async def test_without_a_header_nobody_is_connected() -> None:
    async with behind_a_proxy() as proxy:
        client = await proxy.client()
        await client.send(b"SELECT 1 FROM somewhere")
        await client.gone()
        assert (proxy.tcp.accepted, proxy.counts.begun) == (0, 0)
        assert proxy.tcp.proxied is not None
        assert proxy.tcp.proxied.results["malformed"] == 1


async def test_limits_and_lists_go_by_the_header_s_address() -> None:
    async with behind_a_proxy(connections_per_client=1) as proxy:
        proxy.tcp.access = Access(None, parse_trusted_proxies(["192.0.2.9"]))
        first = await proxy.client()
        await first.send(header("v1", FAR))
        await proxy.instance.accept()
        for refused in (FAR, Ends(("192.0.2.9", 1), FAR.destination)):
            client = await proxy.client()
            await client.send(header("v2", refused))
            await client.gone()
        other = await proxy.client()
        await other.send(header("v2", FAR_6))
        await proxy.instance.accept()
        assert (proxy.counts.begun, proxy.tcp.overflowed) == (2, 1)


async def test_who_is_not_on_the_list_is_closed_and_told_of_in_the_log() -> None:
    async with tcp_proxying(logged=True) as proxy:
        proxy.tcp.access = Access(parse_trusted_proxies(["10.0.0.0/8"]), TrustedProxies())
        await (await proxy.client()).gone()
        await until(lambda: proxy.records)
        assert proxy.records[0].downstream_end == "refused"
        assert proxy.records[0].error == "this client's address is not let in here"
        assert (proxy.counts.begun, proxy.tcp.overflowed) == (0, 0)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_instances_are_told_of_the_client(version: Version) -> None:
    async with tcp_proxying() as proxy:
        tell_instances(proxy, version)
        for _ in range(2):
            client = await proxy.client()
            instance = await proxy.instance.accept()
            expected = Ends(client.sock.getsockname(), client.sock.getpeername())
            assert await proxy_header(instance, version) == expected
            await instance.send(b"220 ready\r\n")
            await client.gets(b"220 ready\r\n")
            await client.send(b"QUIT\r\n")
            await instance.gets(b"QUIT\r\n")


async def test_what_a_header_said_is_passed_on_ahead_of_a_hello_that_stays_closed() -> None:
    async with behind_a_proxy(names=["db.example.com"], others=False) as proxy:
        tell_instances(proxy, "v2")
        client = await proxy.client()
        await client.send(header("v1", FAR) + REAL)
        instance = await proxy.instance.accept()
        assert await proxy_header(instance, "v2") == FAR
        await instance.gets(REAL)


async def test_a_header_then_tls_that_is_ended_here(tmp_path: Path) -> None:
    async with echo("db") as db:
        listener = {"tls": {"certificates": [issue(tmp_path, "db.test")]}, "proxy_protocol": ["127.0.0.1"]}
        log = {"path": str(tmp_path / "log"), "format": "{client} {host} {tls_version}"}
        async with through(tmp_path, listener, {"db": at(db.address)}, access_log=log) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(proxy))
            writer.write(header("v2", FAR))
            await writer.start_tls(client_context(minimum_version=ssl.TLSVersion.TLSv1_3), server_hostname="db.test")
            assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"db\n"
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            await until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text())
            assert (tmp_path / "log").read_text() == "192.0.2.7 db.test TLSv1.3\n"


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_haproxy_in_front_and_behind(pytestconfig: pytest.Config, tmp_path: Path, version: Version) -> None:
    """A header of ours to HAProxy, which passes it on to pointsman, which passes it on to HAProxy, which shows it."""
    program = had_or_skipped(pytestconfig, "haproxy", lambda: debian_program("haproxy"))
    front, behind = free_port(), free_port()
    shows = beside.haproxy(
        program, tmp_path, behind, "", bind=f"127.0.0.1:{behind} accept-proxy",
        rules="http-request return status 200 content-type text/plain lf-string %[src]:%[src_port]:%[dst]:%[dst_port]",
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        await asyncio.to_thread(shows.start)
        stack.callback(shows.kill)
        service = at(f"127.0.0.1:{behind}", proxy_protocol=version)
        async with through(tmp_path, {"proxy_protocol": ["127.0.0.1"]}, {"db": service}) as proxy:
            send = "send-proxy" if version == "v1" else "send-proxy-v2"
            passes = beside.haproxy(
                program, tmp_path, front, f"server us 127.0.0.1:{port_of(proxy)} {send}", mode="tcp",
                bind=f"127.0.0.1:{front} accept-proxy",
            )  # fmt: skip
            await asyncio.to_thread(passes.start)
            stack.callback(passes.kill)
            reader, writer = await asyncio.open_connection("127.0.0.1", front)
            writer.write(header(version, FAR) + b"GET / HTTP/1.0\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), PATIENCE)
            writer.close()
            assert answer.endswith(b"192.0.2.7:5555:203.0.113.1:80"), answer


async def test_haproxy_wants_a_header_and_then_tls_and_has_the_first_word(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    program = had_or_skipped(pytestconfig, "haproxy", lambda: debian_program("haproxy"))
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    CA.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    port = free_port()
    async with echo("db") as db:
        ends_tls = beside.haproxy(
            program, tmp_path, port, f"server db {db.address}", mode="tcp",
            bind=f"127.0.0.1:{port} accept-proxy ssl crt {tmp_path}/server.pem",
        )  # fmt: skip
        with contextlib.ExitStack() as stack:
            await asyncio.to_thread(ends_tls.start)
            stack.callback(ends_tls.kill)
            service = at(f"127.0.0.1:{port}", proxy_protocol="v2", tls={"ca": "ca.pem"})
            async with through(tmp_path, {}, {"db": service}) as proxy:
                for _ in range(5):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(proxy))
                    stack.callback(writer.close)
                    assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"db\n"
                    writer.write(b"hello\n")
                    assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"hello\n"


async def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    behind = Echo(b"db")
    socket = tmp_path / "us.sock"
    to_db = {"tcp": {"service": "db"}}
    config = {
        "listeners": [{"bind": "127.0.0.1:0", **to_db}, {"bind": f"unix:{socket}", "mode": "0600", **to_db}],
        "services": {"db": at(f"unix:{tmp_path}/db.sock")},
    }
    async with await asyncio.start_unix_server(behind.serve, tmp_path / "db.sock"), running(config) as proxy:
        assert socket.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(b"last words")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b"db\nlast words"
        writer.close()
        raw = proxy.application.services["db"].traffic.raw
        assert raw is not None
        await until(lambda: not raw.open)
        assert not any(raw.failures.values())
