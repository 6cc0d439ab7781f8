"""PROXY headers from those in front of us, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from config.trusted import TrustedProxies, parse_trusted_proxies
from config.units import Bind
from proxy.http.forwarding import Forwarding
from proxy.http.terms import Timeouts
from proxy.listener import ListenerOptions
from proxy.proxy_protocol import SIGNATURE, Ends, header, own_header
from tests.proxy.http.scripted import GET, OK, OK_SENT, Proxy, proxying, until
from tests.servers.debian import debian_program
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOCAL = TrustedProxies(parse_trusted_proxies(["127.0.0.0/8"]).networks, unix=True)
FAR = Ends(("192.0.2.7", 5555), ("203.0.113.1", 80))
FAR_6 = Ends(("2001:db8::7", 5555), ("2001:db8::1", 80))


@contextlib.asynccontextmanager
async def behind_a_proxy(trusted: TrustedProxies = LOCAL, patience: float = 5.0, **more: Any) -> AsyncIterator[Proxy]:
    settings = {key: more.pop(key) for key in ("bind", "logged") if key in more}
    options = ListenerOptions(proxies=trusted, timeouts=Timeouts(request_head=patience), **more)
    async with proxying(options=options, **settings) as proxy:
        yield proxy


async def told(proxy: Proxy, first: bytes) -> bytes:
    """Return the head that the instance gets of a request behind this."""
    client = await proxy.client()
    await client.send(first + GET)
    instance = await proxy.instance.accept()
    head = await instance.through()
    await instance.send(OK)
    await client.gets(OK_SENT)
    client.close()
    instance.close()
    return head


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("ends", [FAR, FAR_6], ids=["TCP4", "TCP6"])
async def test_the_header_s_address_is_the_client_s(version: Any, ends: Ends) -> None:
    async with behind_a_proxy(logged=True) as proxy:
        head = await told(proxy, header(version, ends))
        assert f"X-Forwarded-For: {ends.source[0]}\r\n".encode() in head
        assert [record.client for record in proxy.records] == [ends.source[0]]
        assert proxy.listener.proxied is not None
        assert proxy.listener.proxied.results == {"taken": 1}


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_what_a_proxy_asks_for_itself_comes_from_its_own_address(version: Any) -> None:
    async with behind_a_proxy() as proxy:
        assert b"X-Forwarded-For: 127.0.0.1\r\n" in await told(proxy, own_header(version))


async def test_a_header_that_comes_byte_by_byte_is_read() -> None:
    async with behind_a_proxy() as proxy:
        client = await proxy.client()
        await client.send_slowly(header("v2", FAR)[:14])
        await client.send_slowly(header("v2", FAR)[14:] + GET)
        instance = await proxy.instance.accept()
        assert b"X-Forwarded-For: 192.0.2.7\r\n" in await instance.through()


@pytest.mark.parametrize(
    "sent",
    [
        GET,
        b"PROXY TCP4 nonsense\r\n",
        b"PROXX",
        b"\r\n\r\n\x00\r\nQUIX",
        SIGNATURE + b"\x31\x11\x00\x0c",
        b"PROXY " + b"x" * 200,
    ],
)
async def test_without_a_header_or_with_a_malformed_one_a_connection_is_closed(sent: bytes) -> None:
    async with behind_a_proxy() as proxy:
        client = await proxy.client()
        await client.send(sent)
        await client.gone()
        assert proxy.listener.proxied is not None
        assert proxy.listener.proxied.results == {"malformed": 1}
        assert proxy.listener.accepted == 0


async def test_a_header_that_does_not_come_in_time_ends_the_connection() -> None:
    async with behind_a_proxy(patience=0.05) as proxy:
        client = await proxy.client()
        await client.send(b"PROXY TCP4 192.0.2")
        await client.gone()
        assert proxy.listener.proxied is not None
        assert (proxy.listener.proxied.results, len(proxy.listener.proxied)) == ({"missing": 1}, 0)


async def test_draining_ends_connections_whose_header_has_not_come() -> None:
    async with behind_a_proxy() as proxy:
        client = await proxy.client()
        await client.send(b"PROXY ")
        await until(lambda: proxy.listener.clients == 1)
        proxy.listener.drain()
        await client.gone()
        await until(lambda: proxy.listener.clients == 0)


async def test_from_others_no_header_is_taken() -> None:
    async with behind_a_proxy(parse_trusted_proxies(["10.0.0.0/8", "unix"])) as proxy:
        assert b"X-Forwarded-For: 127.0.0.1\r\n" in await told(proxy, b"")
        client = await proxy.client()
        await client.send(header("v1", FAR) + GET)
        status, _, _ = await client.response()
        assert status == 400


async def test_a_unix_socket_s_clients_can_send_it(tmp_path: Path) -> None:
    async with behind_a_proxy(bind=Bind(path=str(tmp_path / "web.sock"))) as proxy:
        assert b"X-Forwarded-For: 192.0.2.7\r\n" in await told(proxy, header("v2", FAR))


async def test_trusted_proxies_are_looked_for_at_the_header_s_address() -> None:
    chain = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n")
    for trusted, expected in [("192.0.2.7", b"198.51.100.1, 192.0.2.7"), ("127.0.0.1", b"192.0.2.7")]:
        forwarding = Forwarding(parse_trusted_proxies([trusted]))
        async with behind_a_proxy(forwarding=forwarding) as proxy:
            client = await proxy.client()
            await client.send(header("v1", FAR) + chain)
            head = await (await proxy.instance.accept()).through()
            assert b"\r\nX-Forwarded-For: " + expected + b"\r\n" in head


async def test_limits_per_client_count_the_header_s_address() -> None:
    async with behind_a_proxy(connections_per_client=1) as proxy:
        first = await proxy.client()
        await first.send(header("v2", FAR))
        await until(lambda: proxy.listener.accepted == 1)
        second = await proxy.client()
        await second.send(header("v2", FAR) + GET)
        status, _, _ = await second.response()
        assert status == 503
        other = await proxy.client()
        await other.send(header("v2", FAR_6) + GET)
        assert await (await proxy.instance.accept()).through()


async def test_curl_sends_one(pytestconfig: pytest.Config) -> None:
    curl = had_or_skipped(pytestconfig, "curl", lambda: debian_program("curl"))
    async with behind_a_proxy() as proxy:
        url = f"http://127.0.0.1:{proxy.listener.ports[0]}/"
        asking = asyncio.create_task(asyncio.to_thread(curl.run, "-s", "--haproxy-protocol", url, timeout=10))
        instance = await proxy.instance.accept()
        assert b"X-Forwarded-For: 127.0.0.1\r\n" in await instance.through()
        await instance.send(OK)
        assert (await asking).returncode == 0
        assert proxy.listener.proxied is not None
        assert proxy.listener.proxied.results == {"taken": 1}
