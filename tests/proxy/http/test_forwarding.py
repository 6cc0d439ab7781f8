"""What an instance is sent for a request, and a client for a response: to the byte."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.http.scripted import FORWARDED, GET, GET_SENT, OK, OK_SENT, proxying

VIA = b"Via: 1.1 pointsman\r\n\r\n"
HOST = b"Host: shop\r\n"
FOR_SHOP = b"X-Forwarded-Host: shop\r\n"
FORWARDED_1_0 = FORWARDED.replace(b"1.1 p", b"1.0 p")


async def test_it_runs_on_uvloop() -> None:
    assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")


# What the client sends, and what of it reaches the instance.
REQUESTS = {
    "plain": (GET, GET_SENT),
    "fields are passed on as they came": (
        b"GET /a?b=c%20d HTTP/1.1\r\nhOST: Shop:80\r\naccept:*/*\r\nX-Odd:  \x80\xff\t \r\n\r\n",
        b"GET /a?b=c%20d HTTP/1.1\r\nHost: Shop:80\r\naccept:*/*\r\nX-Odd:  \x80\xff\t \r\n"
        b"X-Forwarded-Host: Shop:80\r\n" + FORWARDED,
    ),
    "fields of this hop are dropped": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: keep-alive, X-Mine\r\nKeep-Alive: 5\r\nX-Mine: 1\r\n"
        b"TE: trailers\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nProxy-Authorization: secret\r\n\r\n",
        GET_SENT,
    ),
    "nobody removes what the proxy sets": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Connection: Host, Via, X-Forwarded-For, X-Forwarded-Host, Content-Length\r\n"
        b"Content-Length: 1\r\n\r\nx",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n" + FOR_SHOP + FORWARDED + b"x",
    ),
    "nobody says where he comes from": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: 1.2.3.4\r\nx-forwarded-proto: https\r\n"
        b"X-Forwarded-Host: bank\r\nX_Forwarded_For: 1.2.3.4\r\nX-Forwarded-Port: 1\r\n"
        b"Forwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX_Real-IP: 1.2.3.4\r\n"
        b"Content_Length: 5\r\nTransfer_Encoding: chunked\r\nProxy: http://evil\r\n\r\n",
        GET_SENT,
    ),
    "an absolute target": (
        b"GET http://Bank:81?x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /?x HTTP/1.1\r\nHost: Bank:81\r\nX-Forwarded-Host: Bank:81\r\n" + FORWARDED,
    ),
    "OPTIONS of everything": (
        b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + HOST + FOR_SHOP + FORWARDED,
    ),
    "OPTIONS of everything, absolute": (
        b"OPTIONS http://shop HTTP/1.1\r\n" + HOST + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + HOST + FOR_SHOP + FORWARDED,
    ),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", b"GET / HTTP/1.1\r\n" + HOST + FOR_SHOP + FORWARDED_1_0),
    "an empty line before": (b"\r\n\r\n" + GET, GET_SENT),
    "a Via of somebody before us stays": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Via: 1.0 cache\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Via: 1.0 cache\r\n" + FOR_SHOP + FORWARDED,
    ),
    "chunks are written anew": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: Chunked\r\n\r\n"
        b"3;a=b\r\nabc\r\n002\r\nde\r\n0\r\nX-Sum: 1\r\nHost: bank\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + FOR_SHOP + b"Transfer-Encoding: chunked\r\n" + FORWARDED
        + b"5\r\nabcde\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    "Expect with the body already there": (
        b"PUT / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n" + FOR_SHOP + FORWARDED + b"x",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "reaches"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_request_reaches_the_instance(sent: bytes, reaches: bytes) -> None:
    async with proxying() as proxy:
        _, instance = await proxy.asking(sent)
        await instance.gets(reaches)


@pytest.mark.parametrize(("sent", "reaches"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_request_that_arrives_byte_by_byte_is_the_same(sent: bytes, reaches: bytes) -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        await client.send_slowly(sent)
        instance = await proxy.instance.accept()
        head, _, body = reaches.partition(b"\r\n\r\n")
        # Whether the body was there with the head is now a matter of luck.
        assert (await instance.through()).replace(b"Expect: 100-continue\r\n", b"") == head + b"\r\n\r\n"
        if b"chunked" in head:
            assert (await instance.through(b"\r\n\r\n")).endswith(b"0\r\nX-Sum: 1\r\n\r\n")
        else:
            await instance.gets(body)


# What the instance sends, and what of it reaches a client of HTTP/1.1.
RESPONSES = {
    "plain": (OK, OK_SENT),
    "fields are passed on as they came": (
        b"HTTP/1.1 404 Gone fishing \xe9\r\nset-cookie:a\r\nSet-Cookie: b\r\nX-Odd:\t\xff \r\ncontent-length:0\r\n\r\n",
        b"HTTP/1.1 404 Gone fishing \xe9\r\nset-cookie:a\r\nSet-Cookie: b\r\nX-Odd:\t\xff \r\ncontent-length:0\r\n"
        + VIA,
    ),
    "fields of this hop are dropped": (
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nUpgrade: h2\r\n" + OK[17:],
        OK_SENT,
    ),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x\r\n!\r\n0\r\nX-Sum: 1\r\nTE: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + VIA + b"3\r\nok!\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    "chunked and empty": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + VIA + b"0\r\n\r\n",
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", OK_SENT.replace(b"200 OK", b"200 ")),
    "204": (b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", b"HTTP/1.1 204 No Content\r\n" + VIA),
    "304": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n" + VIA,
    ),
    "interim responses come first": (
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK,
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK_SENT,
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", OK_SENT),
}


@pytest.mark.parametrize(("sent", "reaches"), RESPONSES.values(), ids=RESPONSES.keys())
async def test_a_response_reaches_the_client(sent: bytes, reaches: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send(sent)
        await client.gets(reaches)
        # The connection goes on, whatever the instance did with its own.
        await client.send(b"GET /nobody HTTP/9.9\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 505 ")


@pytest.mark.parametrize(("sent", "reaches"), RESPONSES.values(), ids=RESPONSES.keys())
async def test_a_response_that_arrives_byte_by_byte_means_the_same(sent: bytes, reaches: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send_slowly(sent)
        if b"chunked" not in reaches:
            await client.gets(reaches)
            return
        head, _, body = reaches.partition(b"\r\n\r\n")
        await client.gets(head + b"\r\n\r\n")
        while (size := int(await client.through(b"\r\n"), 16)) > 0:
            await client.exactly(size + 2)
        await client.gets(body.partition(b"0\r\n")[2])


async def test_a_response_without_a_length_is_chunked_for_http_1_1() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\n\r\nsome ")
        await client.gets(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + VIA + b"5\r\nsome \r\n")
        await instance.send(b"more")
        await client.gets(b"4\r\nmore\r\n")
        instance.close()
        await client.gets(b"0\r\n\r\n")


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\nX: y\r\n\r\n", b"\r\nsome"])
async def test_a_response_without_a_length_ends_with_the_connection_for_http_1_0(framing: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\n" + framing)
        instance.finish()
        assert await client.rest() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + VIA + b"some"


async def test_a_client_of_http_1_0_hears_nothing_of_interim_responses() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"GET / HTTP/1.0\r\nHost: shop\r\n\r\n")
        await instance.through()
        await instance.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
        assert await client.rest() == OK_SENT.replace(b"Via", b"Connection: close\r\nVia")


async def test_a_client_of_http_1_0_without_a_host_gets_the_instance_s() -> None:
    async with proxying() as proxy:
        _, instance = await proxy.asking(b"GET / HTTP/1.0\r\n\r\n")
        head = await instance.through()
        assert b"\r\nHost: 127.0.0.1:%d\r\n" % proxy.instance.port in head
        assert b"X-Forwarded-Host" not in head  # it asked for none


@pytest.mark.parametrize("framing", [b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_a_response_to_head_has_no_body(framing: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"HEAD / HTTP/1.1\r\nHost: shop\r\n\r\n")
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        length = framing if framing.startswith(b"Content") else b""
        await client.gets(b"HTTP/1.1 200 OK\r\n" + length + VIA)
        assert proxy.idle == 1
        await client.send(GET)
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_client_waits_for_100_continue() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(
            b"PUT / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert b"\r\nExpect: 100-continue\r\n" in await instance.through()
        await instance.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await client.gets(b"HTTP/1.1 100 Continue\r\n\r\n")
        await client.send(b"abc")
        await instance.gets(b"abc")
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert proxy.idle == 1


async def test_a_final_answer_to_expect_ends_the_connection_on_both_sides() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(
            b"PUT / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        await instance.through()
        await instance.send(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        assert await client.rest() == b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n" + VIA
        await instance.gone()


async def test_every_method_that_llhttp_knows_is_carried() -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        instance = None
        for method in (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND", b"M-SEARCH", b"PURGE"):
            await client.send(GET.replace(b"GET", method))
            instance = instance or await proxy.instance.accept()
            await instance.gets(GET_SENT.replace(b"GET", method))
            await instance.send(OK)
            await client.gets(OK_SENT)
