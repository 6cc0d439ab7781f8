"""What there was of a request's body is sent once more, and read no faster than somebody takes it."""

from __future__ import annotations

import asyncio

import pytest

from proxy.http.retries import RetryPolicy
from tests.proxy.http.scripted import FORWARDED, OK, OK_SENT, fill, proxying, until
from tests.proxy.http.test_repeating import BAD, ON_STATUS, asked, under_way

PUT = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\n"
PUT_SENT = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\nX-Forwarded-Host: shop\r\n" + FORWARDED
CHUNKED = b"PUT / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_SENT = (
    b"PUT / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Host: shop\r\nTransfer-Encoding: chunked\r\n" + FORWARDED
)  # fmt: skip


@pytest.mark.parametrize("request_", [PUT + b"0123456789", CHUNKED + b"a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"])
@pytest.mark.parametrize("reused", [False, True])
async def test_a_body_is_sent_again_from_its_beginning(request_: bytes, reused: bool) -> None:
    async with proxying() as proxy:
        if reused:
            client, instance = await proxy.served()
            await client.send(request_)
        else:
            client, instance = await proxy.asking(request_)
        head, body = (PUT_SENT, b"0123456789") if request_.startswith(PUT) else (CHUNKED_SENT, request_[len(CHUNKED) :])
        await instance.gets(head + body)
        instance.close()
        instance = await proxy.instance.accept()
        await instance.gets(head + body)
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert (proxy.traffic.retries, proxy.endpoints[0].broken) == (1, 0 if reused else 1)


@pytest.mark.parametrize("chunked", [False, True])
async def test_what_there_was_of_a_body_is_sent_again_and_the_rest_follows(chunked: bool) -> None:
    async with proxying(instances=2) as proxy:
        client = await proxy.client()
        await client.send(CHUNKED + b"4\r\n0123\r\n" if chunked else PUT + b"0123")
        _, instance = await asked(proxy)
        await instance.gets(CHUNKED_SENT + b"4\r\n0123\r\n" if chunked else PUT_SENT + b"0123")
        instance.close()
        _, instance = await asked(proxy)
        await instance.gets(CHUNKED_SENT + b"4\r\n0123\r\n" if chunked else PUT_SENT + b"0123")
        await client.send(b"6\r\n456789\r\n0\r\n\r\n" if chunked else b"456789")
        await instance.gets(b"6\r\n456789\r\n0\r\n\r\n" if chunked else b"456789")
        await instance.send(OK)
        await client.gets(OK_SENT)


@pytest.mark.parametrize(("buffer", "again"), [(9, False), (10, True), (0, False)])
async def test_more_than_is_kept_is_not_sent_again(buffer: int, again: bool) -> None:
    async with proxying(instances=2, retries=RetryPolicy(buffer=buffer)) as proxy:
        client = await proxy.client()
        await client.send(PUT + b"01234")
        _, instance = await asked(proxy)
        await instance.gets(PUT_SENT + b"01234")
        await client.send(b"56789")
        await instance.gets(b"56789")
        instance.close()
        if again:
            _, instance = await asked(proxy)
            await instance.gets(PUT_SENT + b"0123456789")
            await instance.send(OK)
            await client.gets(OK_SENT)
        else:
            assert (await client.response())[0] == 502


async def test_a_body_that_is_not_kept_does_not_hinder_what_was_not_sent_yet() -> None:
    """Nobody has had a byte of it while no connection could be made."""
    async with proxying(instances=2, retries=RetryPolicy(buffer=0)) as proxy:
        proxy.instances[0].close()
        for _ in range(2):
            client = await proxy.client()
            await client.send(PUT + b"0123456789")
            instance = proxy.instances[1].peers[0] if proxy.instances[1].peers else await proxy.instances[1].accept()
            await instance.gets(PUT_SENT + b"0123456789")
            await instance.send(OK)
            await client.gets(OK_SENT)


async def test_while_it_pauses_no_more_of_the_body_is_read() -> None:
    async with proxying(retries=RetryPolicy(backoff=1000.0, buffer=1_000_000)) as proxy:
        size = 30_000_000
        client, instance = await proxy.asking(PUT.replace(b"10", b"%d" % size) + b"0123")
        await instance.through()
        await instance.gets(b"0123")
        [downstream] = proxy.listener._clients
        instance.close()
        await until(lambda: proxy.endpoints[0].broken)
        assert downstream.paused
        sent = await fill(client, b"x" * size, lambda: downstream.paused)
        assert sent < size
        assert under_way(proxy)._pending == b"0123"
        client.reset()
        await until(downstream.is_gone)
        proxy.pass_time(0.0)
        assert proxy.traffic.abandoned == 1


async def test_a_client_held_back_by_an_instance_that_then_breaks_is_read_for_the_next_one() -> None:
    size = 30_000_000
    async with proxying(instances=2, retries=RetryPolicy(buffer=size)) as proxy:
        client = await proxy.client()
        await client.send(PUT.replace(b"10", b"%d" % size))
        _, instance = await asked(proxy)
        await instance.through()
        [downstream] = proxy.listener._clients
        sent = await fill(client, b"x" * size, lambda: downstream.held)
        instance.reset()
        _, instance = await asked(proxy)
        await instance.through()
        _, received = await asyncio.gather(client.send(b"x" * (size - sent)), instance.exactly(size))
        assert received == b"x" * size
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_an_answer_before_the_request_was_whole_may_be_tried_again() -> None:
    async with proxying(instances=2, retries=ON_STATUS) as proxy:
        client = await proxy.client()
        await client.send(PUT[:-2] + b"Expect: 100-continue\r\n\r\n")
        _, instance = await asked(proxy)
        await instance.through()
        await instance.send(BAD)
        _, instance = await asked(proxy)
        assert b"\r\nExpect: 100-continue\r\n" in await instance.through()
        await instance.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await client.gets(b"HTTP/1.1 100 Continue\r\n\r\n")
        await client.send(b"0123456789")
        await instance.gets(b"0123456789")
        await instance.send(OK)
        await client.gets(OK_SENT)
