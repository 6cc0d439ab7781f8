"""Large bodies are handed on by the kernel, and that is all that anybody notices."""

from __future__ import annotations

import asyncio
import os
import resource
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from proxy.http import splice
from proxy.http.splice import LEAST, Splice
from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import GET, OK, OK_SENT, Proxy, fill, proxying, turns, until
from tests.proxy.http.test_bodies_streaming import content, digest

if TYPE_CHECKING:
    from tests.proxy.http.scripted import Peer

MIB = 1024 * 1024


def head(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size


def pipes() -> set[str]:
    """Return what tells the pipes of this process from each other."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return {link for link in found if link.startswith("pipe:")}


def ends(proxy: Proxy) -> list[tuple[str, str]]:
    return [(record.upstream_end, record.downstream_end) for record in proxy.records]


async def begun(proxy: Proxy, size: int, **options: int) -> tuple[Peer, Peer, Splice]:
    """Have a client ask, and an instance begin to answer, with so many bytes to come."""
    client = await proxy.client(**options)
    await client.send(GET)
    instance = await proxy.instance.accept()
    await instance.through()
    await instance.send(head(size))
    await client.through()
    await until(lambda: splice.under_way)
    [one] = splice.under_way
    return client, instance, one


@pytest.mark.parametrize("size", [LEAST, LEAST + 1, MIB, 5 * MIB + 7])
@pytest.mark.parametrize("together", [0, 1, 70_000], ids=lambda many: f"{many} with the head")
async def test_every_byte_arrives_and_the_connections_serve_again(size: int, together: int) -> None:
    body = content(size)
    async with proxying() as proxy:
        client, instance = await proxy.served()
        after: list[set[str]] = []
        for _ in range(3):
            await client.send(GET)
            await instance.through()
            await instance.send(head(size) + body[:together])
            await client.through()
            if size - together >= LEAST:
                await until(lambda: splice.under_way)
            sending = asyncio.ensure_future(instance.send(body[together:]))
            assert digest(await client.exactly(size)) == digest(body)
            await sending
            after.append(pipes())
        assert not splice.under_way
        assert after[2] <= after[1] <= after[0], "one more each time"
        await client.send(GET)
        await instance.through()
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert proxy.idle == 1


async def test_what_comes_in_small_pieces_goes_on_at_once() -> None:
    body = content(LEAST + 100)
    async with proxying() as proxy:
        client, instance, _ = await begun(proxy, len(body))
        for at in range(100):
            await instance.send(body[at : at + 1])
            await client.gets(body[at : at + 1])
        await instance.send(body[100:])
        await client.gets(body[100:])


async def test_the_end_of_a_large_piece_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the kernel would keep it back until the client has acknowledged what it has."""
    asked: list[int] = []

    def recorded(source: int, target: int, count: int, *, flags: int) -> int:
        asked.append(flags)
        return moving(source, target, count, flags=flags)

    moving = os.splice
    monkeypatch.setattr(os, "splice", recorded)
    async with proxying() as proxy:
        client, instance, _ = await begun(proxy, MIB)
        for piece in (content(100_001), content(MIB - 100_001)):
            sending = asyncio.ensure_future(instance.send(piece))
            assert await client.exactly(len(piece)) == piece
            await sending
    assert asked
    assert not any(flags & os.SPLICE_F_MORE for flags in asked)


async def test_smaller_bodies_and_those_without_a_length_are_copied() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(GET)
        await instance.through()
        await instance.send(head(LEAST - 1) + b"x")
        await client.through()
        await turns()
        assert not splice.under_way
        await instance.send(b"x" * (LEAST - 2))
        await client.exactly(LEAST - 1)
        await client.send(GET)
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n")
        await client.through()
        await turns()
        assert not splice.under_way


async def test_a_client_that_reads_slowly_holds_the_instance_back() -> None:
    body = content(64 * MIB)
    async with proxying() as proxy:
        client, instance, one = await begun(proxy, len(body), receives=32768)
        sent = await fill(instance, body, lambda: one.is_held)
        assert sent < len(body)
        [downstream] = proxy.listener._clients
        assert downstream.full
        sending = asyncio.ensure_future(instance.send(body[sent:]))
        received = [await client.exactly(65536) for _ in range(len(body) // 65536)]
        assert digest(b"".join(received)) == digest(body)
        await sending
        assert not downstream.full


async def test_an_instance_that_ends_too_soon_breaks_the_response_and_is_blamed() -> None:
    async with proxying(logged=True) as proxy:
        client, instance, _ = await begun(proxy, MIB)
        await instance.send(b"x" * 1000)
        await client.exactly(1000)
        instance.close()
        assert await client.broken() == b""
        await until(lambda: not splice.under_way)
        assert ends(proxy) == [("reset", "broken")]
        assert proxy.records[0].sent == 1000
        assert proxy.service.traffic.broken == 1


async def test_so_does_one_that_resets_the_connection() -> None:
    async with proxying(logged=True) as proxy:
        client, instance, _ = await begun(proxy, MIB)
        instance.reset()
        assert await client.broken() == b""
        assert ends(proxy) == [("reset", "broken")]
        assert not splice.under_way


@pytest.mark.parametrize("rudely", [True, False])
async def test_a_client_that_leaves_is_not_the_instance_s_fault(rudely: bool) -> None:
    async with proxying(logged=True) as proxy:
        before = pipes()
        client, instance, one = await begun(proxy, 64 * MIB, receives=32768)
        await fill(instance, content(32 * MIB), lambda: one.is_held)
        if rudely:
            client.reset()
        else:
            client.close()
        await until(lambda: not splice.under_way)
        with pytest.raises(OSError, match=r"reset|pipe"):
            await instance.send(content(64 * MIB))
        assert ends(proxy) == [("aborted", "left")]
        assert proxy.service.traffic.broken == 0
        instance.close()
        await until(lambda: pipes() <= before)  # one with something in it is not kept


@pytest.mark.parametrize(("slow", "how"), [("client", ("aborted", "timeout")), ("instance", ("timeout", "broken"))])
async def test_nothing_that_moves_for_too_long_ends_it(slow: str, how: tuple[str, str]) -> None:
    async with proxying(logged=True, timeouts=Timeouts(stream_idle=60.0)) as proxy:
        _, instance, one = await begun(proxy, 64 * MIB, receives=32768)
        if slow == "client":
            await fill(instance, content(32 * MIB), lambda: one.is_held)
        proxy.pass_time(59.0)
        assert splice.under_way
        proxy.pass_time(61.0)
        assert ends(proxy) == [how]
        assert not splice.under_way


async def test_the_access_log_counts_what_was_handed_on() -> None:
    body = content(2 * MIB)
    async with proxying(logged=True) as proxy:
        client, instance, _ = await begun(proxy, len(body))
        sending = asyncio.ensure_future(instance.send(body))
        await client.exactly(len(body))
        await sending
        await until(lambda: proxy.records)
        assert proxy.records[0].sent == len(body)


async def test_what_follows_too_long_a_body_is_given_to_nobody() -> None:
    body = content(MIB)
    async with proxying() as proxy:
        client, instance, _ = await begun(proxy, len(body))
        sending = asyncio.ensure_future(instance.send(body + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
        assert digest(await client.exactly(len(body))) == digest(body)
        await sending
        await client.send(GET)
        other = await proxy.instance.accept()
        await other.through()
        await other.send(OK)
        await client.gets(OK_SENT)


async def copied(proxy: Proxy, client: Peer, instance: Peer) -> None:
    """Have a large body arrive, with no splice more than there are."""
    body, before = content(2 * MIB), len(splice.under_way)
    await client.send(GET)
    await instance.through()
    sending = asyncio.ensure_future(instance.send(head(len(body)) + body))
    await client.through()
    assert len(splice.under_way) == before
    assert digest(await client.exactly(len(body))) == digest(body)
    await sending


async def test_no_more_than_so_many_at_a_time() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.served()
        splice.under_way.update(object() for _ in range(splice.MOST))  # type: ignore[misc]
        try:
            await copied(proxy, client, instance)
        finally:
            splice.under_way.clear()


async def test_without_descriptors_to_spare_bodies_are_copied() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.served()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(client.sock.fileno())
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 8, hard))  # more than three quarters are in use
        try:
            await copied(proxy, client, instance)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
