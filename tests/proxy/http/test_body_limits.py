"""Bodies larger than allowed: refused as soon as it is known, and no further."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.routes import Route
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, proxying, until

if TYPE_CHECKING:
    from proxy.http.terms import Terms

CHUNKED = b"PUT / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"


def put(length: int, *, expect: bool = False, path: bytes = b"/") -> bytes:
    more = b"Expect: 100-continue\r\n" if expect else b""
    return b"PUT %b HTTP/1.1\r\nHost: shop\r\n%bContent-Length: %d\r\n\r\n" % (path, more, length)


@pytest.mark.parametrize("expect", [False, True])
async def test_a_length_that_is_too_large_is_refused_before_anybody_is_asked(expect: bool) -> None:
    async with proxying(body=10, logged=True) as proxy:
        client = await proxy.client()
        await client.send(put(11, expect=expect) + (b"" if expect else b"0123456789a"))
        status, head, content = await client.response()
        assert (status, b"\r\nConnection: close\r\n" in head) == (413, True)
        assert b"\r\nX-Request-Id: made\r\n" in head
        assert json.loads(content) == {"error": "a body of more than 10 bytes"}
        assert await client.rest() == b""
        assert (proxy.traffic.requests, proxy.listener.refused) == (0, 1)
        [record] = proxy.records
        assert (record.status, record.downstream_end, record.upstream_end) == (413, "refused", "none")
        assert record.request is not None


@pytest.mark.parametrize("request_", [put(10) + b"0123456789", CHUNKED + b"4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"])
async def test_a_body_of_just_that_size_is_fine(request_: bytes) -> None:
    async with proxying(body=10) as proxy:
        client, instance = await proxy.asking(request_ + GET)
        await instance.through()
        await instance.through(b"0\r\n\r\n" if b"chunked" in request_ else b"9")
        await instance.send(OK)
        await client.gets(OK_SENT)
        await instance.gets(GET_SENT)


@pytest.mark.parametrize("chunks", [b"b\r\n", b"4\r\n0123\r\n7\r\n", b"ffffffffffffff\r\n"])
async def test_chunks_that_are_there_with_the_head_are_refused_before_anybody_is_asked(chunks: bytes) -> None:
    async with proxying(body=10, logged=True) as proxy:
        client = await proxy.client()
        await client.send(CHUNKED + chunks)
        status, head, content = await client.response()
        assert (status, b"\r\nConnection: close\r\n" in head) == (413, True)
        assert b"\r\nX-Request-Id: made\r\n" in head
        assert json.loads(content) == {"error": "a body of more than 10 bytes"}
        assert await client.rest() == b""
        assert proxy.traffic.requests == 0
        [record] = proxy.records
        assert (record.status, record.downstream_end) == (413, "refused")
        assert record.request is not None


@pytest.mark.parametrize("expect", [False, True])
async def test_chunks_that_become_too_large_are_refused_midway(expect: bool) -> None:
    async with proxying(body=10, logged=True) as proxy:
        head = CHUNKED[:-2] + b"Expect: 100-continue\r\n\r\n" if expect else CHUNKED
        client, instance = await proxy.asking(head)
        await instance.through()
        if expect:
            await instance.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await client.gets(b"HTTP/1.1 100 Continue\r\n\r\n")
        await client.send(b"4\r\n0123\r\n")
        await instance.gets(b"4\r\n0123\r\n")
        await client.send(b"7\r\n0123456")
        status, answer, content = await client.response()
        assert (status, b"\r\nConnection: close\r\n" in answer) == (413, True)
        assert json.loads(content) == {"error": "a body of more than 10 bytes", "service": "shop"}
        assert await client.rest() == b""
        await instance.gone()  # and never saw an end of the body
        [record] = proxy.records
        assert (record.status, record.downstream_end, record.upstream_end) == (413, "refused", "aborted")
        assert (record.received, proxy.endpoints[0].suspect) == (4, False)


async def test_chunks_that_become_too_large_after_the_answer_has_begun_break_it_off() -> None:
    async with proxying(body=10) as proxy:
        client, instance = await proxy.asking(CHUNKED + b"4\r\n0123\r\n")
        await instance.through(b"0123\r\n")
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        await client.through(b"some")
        await client.send(b"7\r\n")
        await client.broken()
        await until(lambda: proxy.traffic.broken == 1)


async def test_the_limit_is_the_route_s() -> None:
    def routes(terms: Terms) -> list[Route[Terms]]:
        return [Route(replace(terms, body=100), path=b"/large"), Route(terms)]

    async with proxying(body=10, routes=routes) as proxy:
        client, instance = await proxy.asking(put(11, path=b"/large") + b"0123456789a" + put(11))
        await instance.through(b"9a")
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert (await client.response())[0] == 413


async def test_without_a_route_there_is_no_limit_but_404() -> None:
    async with proxying(body=10, routes=lambda terms: []) as proxy:
        client = await proxy.client()
        await client.send(put(11) + b"0123456789a" + GET)
        for _ in range(2):
            assert (await client.response())[0] == 404
