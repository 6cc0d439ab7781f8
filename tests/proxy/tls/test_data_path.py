"""The data path under TLS to the client: what holds without it holds with it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from typing import TYPE_CHECKING

import pytest

from proxy.http.exchange import Exchange
from proxy.listener import Listener
from tests.proxy.http.moving import in_chunks, unchunked
from tests.proxy.http.scripted import OK, fill, until
from tests.proxy.tls.speaking import behind_tls, greeted

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.http.downstream import Downstream
    from proxy.http.upstream import Upstream
    from tests.proxy.edge.ruling import Through

MIB = 1024 * 1024
BOUND = 512 * 1024  # bytes that one direction of one exchange may hold in this process, as without TLS
BODY = os.urandom(MIB)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /%d HTTP/1.1\r\nHost: shop.test\r\n\r\n"
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def digest(data: bytes) -> str:
    return f"{len(data)} bytes, {hashlib.sha256(data).hexdigest()}"


def listener_of(world: Through) -> Listener:
    listener = world.application.listeners[0]
    assert isinstance(listener, Listener)
    return listener


def ends_of(world: Through) -> tuple[Downstream, Upstream]:
    """Both ends of the only exchange."""
    [downstream] = listener_of(world)._clients
    assert downstream._exchange is not None
    assert downstream._exchange.upstream is not None
    return downstream, downstream._exchange.upstream


def buffered(world: Through) -> int:
    """How many bytes of the only exchange wait in this process, those that TLS has not written yet among them."""
    downstream, upstream = ends_of(world)
    waiting = downstream.transport.get_write_buffer_size() + upstream.transport.get_write_buffer_size()
    assert isinstance(downstream._exchange, Exchange)
    return waiting + len(downstream._ahead) + len(downstream._exchange._pending)


@VERSIONS
async def test_a_connection_is_kept(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with behind_tls(tmp_path) as world:
        client = await greeted(world, minimum_version=version, maximum_version=version)
        await client.send(GET % 0)
        instance = await world.instances["web"].accept()
        for number in range(30):
            assert (await instance.through()).startswith(b"GET /%d HTTP/1.1\r\n" % number)
            await instance.send(OK)
            assert (await client.response())[2] == b"ok"
            await client.send(GET % (number + 1))
        assert listener_of(world).accepted == 1
        handshakes = listener_of(world).handshakes
        assert handshakes is not None
        assert handshakes.results["full"] == 1


@pytest.mark.parametrize("cut", [1, 7, 100_000])
async def test_pipelined_requests_are_answered_in_order_however_records_cut_them(tmp_path: Path, cut: int) -> None:
    count, bodies = 12, b"POST /%d HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 3\r\n\r\nabc"
    requests = b"".join((bodies if number % 3 == 0 else GET) % number for number in range(count))
    async with behind_tls(tmp_path) as world:
        client = await greeted(world)

        async def send() -> None:
            for at in range(0, len(requests), cut):
                await client.send(requests[at : at + cut])

        async def answer() -> None:
            instance = await world.instances["web"].accept()
            for number in range(count):
                head = await instance.through()
                assert head.split(b" ", 2)[1] == b"/%d" % number
                if number % 3 == 0:
                    await instance.gets(b"abc")
                await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % number)

        async def receive() -> list[bytes]:
            return [(await client.response())[2] for _ in range(count)]

        _, _, received = await asyncio.gather(send(), answer(), receive())
        assert received == [b"%02d" % number for number in range(count)]


@VERSIONS
@pytest.mark.parametrize("chunk", [0, 1000, 65536])
async def test_a_mebibyte_passes_each_way(tmp_path: Path, chunk: int, version: ssl.TLSVersion) -> None:
    framing = CHUNKED if chunk else b"Content-Length: %d\r\n\r\n" % MIB
    sent = in_chunks(BODY, chunk) if chunk else BODY
    async with behind_tls(tmp_path) as world:
        client = await greeted(world, minimum_version=version, maximum_version=version)
        instance = None
        for _ in range(2):
            sending = asyncio.ensure_future(client.send(b"PUT / HTTP/1.1\r\nHost: shop.test\r\n" + framing + sent))
            instance = instance or await world.instances["web"].accept()
            await instance.through()
            assert digest(await (unchunked(instance) if chunk else instance.exactly(MIB))) == digest(BODY)
            await sending
            sending = asyncio.ensure_future(instance.send(b"HTTP/1.1 200 OK\r\n" + framing + sent))
            await client.through()
            assert digest(await (unchunked(client) if chunk else client.exactly(MIB))) == digest(BODY)
            await sending


async def test_an_upgrade_becomes_a_tunnel_and_ends_in_order(tmp_path: Path) -> None:
    async with behind_tls(tmp_path) as world:
        client = await greeted(world)
        await client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\nfirst")
        instance = await world.instances["web"].accept()
        await instance.through()
        await instance.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\nhello")
        assert b" 101 " in await client.through()
        await client.gets(b"hello")
        await instance.gets(b"first")
        for sender, receiver in ((client, instance), (instance, client)):
            sending = asyncio.ensure_future(sender.send(BODY))
            assert digest(await receiver.exactly(MIB)) == digest(BODY)
            await sending
        instance.finish()
        assert await client.rest() == b""  # with a close_notify
        await instance.gone()


@VERSIONS
async def test_a_client_that_reads_slowly_holds_the_instance_back(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with behind_tls(tmp_path) as world:
        client = await greeted(world, receives=32768, minimum_version=version, maximum_version=version)
        await client.send(GET % 0)
        instance = await world.instances["web"].accept()
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (32 * MIB))
        await client.through()
        _, upstream = ends_of(world)
        sent = await fill(instance, bytes(32 * MIB), lambda: not upstream.transport.is_reading())
        assert sent < 32 * MIB
        assert buffered(world) < BOUND
        while not upstream.transport.is_reading():
            await client.exactly(4096)


async def test_an_instance_that_reads_slowly_holds_the_client_back(tmp_path: Path) -> None:
    async with behind_tls(tmp_path) as world:
        client = await greeted(world)
        await client.send(b"PUT / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n" % (32 * MIB))
        instance = await world.instances["web"].accept()
        await instance.through()
        downstream, _ = ends_of(world)
        sent = await fill(client, bytes(32 * MIB), lambda: not downstream.transport.is_reading())
        assert sent < 32 * MIB
        assert buffered(world) < BOUND
        while not downstream.transport.is_reading():
            await instance.exactly(65536)


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_client_that_vanishes_in_the_middle_leaves_nothing_behind(tmp_path: Path, how: str) -> None:
    async with behind_tls(tmp_path) as world:
        listener = listener_of(world)
        client = await greeted(world)
        await client.send(GET % 0)
        instance = await world.instances["web"].accept()
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        await client.through(b"begun")
        getattr(client, how)()  # without a close_notify
        await until(lambda: listener.clients == 0)
        await instance.gone()
        traffic = world.application.services["web"].traffic
        await until(lambda: traffic.in_flight == 0)
        assert 'pointsman_requests_abandoned_total{service="web"} 1.0' in await world.metrics()
        again = await greeted(world)
        await again.send(GET % 1)
        other = await world.instances["web"].accept()
        await other.through()
        await other.send(OK)
        assert (await again.response())[2] == b"ok"
