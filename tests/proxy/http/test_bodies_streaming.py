"""Bodies of any length pass through, and a slow reader or writer never makes memory grow."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from proxy.http.downstream import Downstream
from proxy.http.exchange import Exchange
from tests.proxy.http.moving import in_chunks, unchunked
from tests.proxy.http.scripted import OK, OK_SENT, Proxy, fill, proxying, turns, until

if TYPE_CHECKING:
    from proxy.http.upstream import Upstream

MIB = 1024 * 1024
BOUND = 512 * 1024  # bytes that one direction of one exchange may hold in this process
PATTERN = bytes(range(251)) * 5000  # no period of a power of two, so that a piece lost or moved shows


END = b"X-End: yes\r\n"


def content(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


SIZES = [1, 16384, 16385, 65535, 65536, 65537, 262144, 3 * MIB + 1]


@pytest.mark.parametrize("size", SIZES)
async def test_a_request_s_body_of_known_length(size: int) -> None:
    body = content(size)
    async with proxying() as proxy:
        for _ in range(2):
            client = await proxy.client()
            request = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % size + body
            sending = asyncio.ensure_future(client.send(request))
            instance = proxy.instance.peers[0] if proxy.instance.peers else await proxy.instance.accept()
            await instance.through()
            assert digest(await instance.exactly(size)) == digest(body)
            await sending
            await instance.send(OK)
            await client.gets(OK_SENT)
        assert proxy.idle == 1


@pytest.mark.parametrize("size", SIZES)
async def test_a_response_s_body_of_known_length(size: int) -> None:
    body = content(size)
    async with proxying() as proxy:
        client = await proxy.client()
        for _ in range(2):
            await client.send(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            instance = proxy.instance.peers[0] if proxy.instance.peers else await proxy.instance.accept()
            await instance.through()
            sending = asyncio.ensure_future(
                instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body)
            )
            assert digest((await client.response())[2]) == digest(body)
            await sending
        assert proxy.idle == 1


@pytest.mark.parametrize("chunk_size", [1, 7, 65535, 65536, 200_000])
async def test_chunked_both_ways(chunk_size: int) -> None:
    body = content(min(chunk_size * 3000, MIB) + 3)
    async with proxying() as proxy:
        client = await proxy.client()
        head = b"PUT / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
        sending = asyncio.ensure_future(client.send(head + in_chunks(body, chunk_size, END)))
        instance = await proxy.instance.accept()
        await instance.through()
        assert digest(await unchunked(instance, END)) == digest(body)
        await sending
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        sending = asyncio.ensure_future(instance.send(head + in_chunks(body, chunk_size, END)))
        await client.through()
        assert digest(await unchunked(client, END)) == digest(body)
        await sending
        assert proxy.idle == 1


def digest(data: bytes) -> str:
    return f"{len(data)} bytes, {hashlib.sha256(data).hexdigest()}"


def reads(end: Downstream | Upstream) -> bool:
    """Tell whether pointsman reads what comes on this connection, or has the kernel read it."""
    splice = None if isinstance(end, Downstream) else end._splice
    return bool(end.transport.is_reading()) if splice is None else not splice.is_held


def buffered(proxy: Proxy) -> int:
    """How many bytes wait in this process, on both sides of the only exchange."""
    [downstream] = proxy.listener._clients
    exchange = downstream._exchange
    assert isinstance(exchange, Exchange)
    upstream = exchange.upstream
    assert upstream is not None
    waiting = downstream.transport.get_write_buffer_size() + upstream.transport.get_write_buffer_size()
    return waiting + len(downstream._ahead) + len(exchange._pending)


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_a_client_that_reads_slowly_holds_the_instance_back(framing: bytes) -> None:
    async with proxying() as proxy:
        client = await proxy.client(receives=32768)
        await client.send(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        instance = await proxy.instance.accept()
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        await client.through()
        piece = b"x" * 65536
        data = (b"%x\r\n%b\r\n" % (len(piece), piece) if b"chunked" in framing else piece) * 500
        [downstream] = proxy.listener._clients
        assert downstream._exchange is not None
        upstream = downstream._exchange.upstream
        assert upstream is not None
        sent = await fill(instance, data, lambda: not reads(upstream))
        assert sent < len(data)
        assert buffered(proxy) < BOUND
        # As soon as it reads, the instance may go on.
        while not reads(upstream):
            await client.exactly(4096)


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_an_instance_that_reads_slowly_holds_the_client_back(framing: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"PUT / HTTP/1.1\r\nHost: shop\r\n" + framing + b"\r\n")
        await instance.through()
        piece = b"x" * 65536
        data = (b"%x\r\n%b\r\n" % (len(piece), piece) if b"chunked" in framing else piece) * 500
        [downstream] = proxy.listener._clients
        sent = await fill(client, data, lambda: downstream.held and not reads(downstream))
        assert sent < len(data)
        assert buffered(proxy) < BOUND
        while not reads(downstream):
            await instance.exactly(4096)


async def test_while_connecting_no_body_is_read() -> None:
    async with proxying(instances=0) as proxy:
        from discovery.instance import Instance
        from tests.proxy.http.test_retries import full_port, put

        port, waiting = full_port()
        put(proxy, Instance("slow", "127.0.0.1", port))
        client = await proxy.client()
        await client.send(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100000000\r\n\r\n")
        await until(lambda: proxy.traffic.in_flight)
        [downstream] = proxy.listener._clients
        assert await fill(client, b"x" * 50 * MIB, lambda: not reads(downstream)) < 50 * MIB
        assert isinstance(downstream._exchange, Exchange)
        assert len(downstream._exchange._pending) < BOUND
        client.close()
        proxy.listener.abort()
        for peer in waiting:
            peer.close()


async def test_while_an_answer_is_awaited_little_is_read_ahead() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        [downstream] = proxy.listener._clients
        requests = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n" * 1_000_000
        assert await fill(client, requests, lambda: not reads(downstream)) < len(requests)
        assert buffered(proxy) < BOUND
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert (await instance.through()).startswith(b"GET / ")


async def test_an_answer_before_the_body_is_whole_is_passed_on_and_the_body_let_go() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100000000\r\n\r\nabc")
        await instance.through()
        await instance.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        instance.close()
        head = await client.through()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nConnection: close\r\n" in head
        await client.gets(b"no")
        # What it still sends is read and dropped for a while: a reset would take the answer away from it.
        await client.send(b"x" * MIB)
        assert await client.rest() == b""
        assert proxy.idle == 0


async def test_an_answer_of_an_instance_that_reads_no_further_is_not_lost() -> None:
    # It closes with unread data, so that the next write to it fails before its answer was read.
    async with proxying() as proxy:
        client = await proxy.client()
        for _ in range(20):
            client = await proxy.client()
            await client.send(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100000000\r\n\r\nabc")
            instance = await proxy.instance.accept()
            await instance.through()
            client.send_what_fits(b"x" * 65536)
            instance.send_what_fits(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            instance.close()
            client.send_what_fits(b"x" * 65536)
            assert (await client.through()).startswith(b"HTTP/1.1 413 ")
            await client.gets(b"no")


async def test_a_conversation_both_ways_at_once() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n")
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.through()
        for _ in range(3):
            await client.send(b"2\r\nhi\r\n")
            await instance.gets(b"2\r\nhi\r\n")
            await instance.send(b"3\r\nyou\r\n")
            await client.gets(b"3\r\nyou\r\n")
        await client.send(b"0\r\n\r\n")
        await instance.gets(b"0\r\n\r\n")
        await instance.send(b"0\r\n\r\n")
        await client.gets(b"0\r\n\r\n")
        await turns()
        assert proxy.idle == 1
