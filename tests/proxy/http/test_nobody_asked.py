"""Requests that no instance is asked: no route matches them, or nobody is there."""

from __future__ import annotations

import json

from proxy.routes import Route
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, proxying

POST = b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nab"


async def test_what_no_route_matches_is_not_found() -> None:
    async with proxying(routes=lambda service: [Route(service, b"shop")]) as proxy:
        client = await proxy.client()
        nowhere = GET.replace(b"shop", b"bank")
        await client.send(nowhere + nowhere.replace(b"GET", b"HEAD") + nowhere + GET)
        status, _, content = await client.response()
        assert (status, json.loads(content)) == (404, {"error": "no route matches this host and path"})
        assert (await client.through()).startswith(b"HTTP/1.1 404 ")
        assert (await client.response())[0] == 404
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_body_that_nobody_wants_ends_the_connection() -> None:
    async with proxying(routes=lambda service: [Route(service, b"bank")]) as proxy:
        client = await proxy.client()
        await client.send(POST)
        assert (await client.response())[0] == 404
        assert await client.rest() == b""
        await client.send(b"cde")  # read and dropped: no reset takes the answer back


async def test_nobody_to_ask_is_503() -> None:
    async with proxying(instances=0) as proxy:
        client = await proxy.client()
        await client.send(GET + GET)
        for _ in range(2):
            status, head, content = await client.response()
            assert (status, b"\r\nRetry-After: 1\r\n" in head) == (503, True)
            assert json.loads(content) == {"error": "no instance is registered", "service": "shop"}
        await client.send(POST)
        assert (await client.response())[0] == 503
        assert await client.rest() == b""
