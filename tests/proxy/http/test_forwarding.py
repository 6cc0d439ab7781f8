"""What an instance is sent for a request, and a client for a response, where the one waits for the other.

What comes through of a message, to the byte, is told by the rows of tests/hostile.
"""

from __future__ import annotations

import asyncio

from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, proxying

VIA = b"Via: 1.1 pointsman\r\n\r\n"


async def test_it_runs_on_uvloop() -> None:
    assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")


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


async def test_a_client_of_http_1_0_without_a_host_gets_the_instance_s() -> None:
    async with proxying() as proxy:
        _, instance = await proxy.asking(b"GET / HTTP/1.0\r\n\r\n")
        head = await instance.through()
        assert b"\r\nHost: 127.0.0.1:%d\r\n" % proxy.instance.port in head
        assert b"X-Forwarded-Host" not in head  # it asked for none


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
