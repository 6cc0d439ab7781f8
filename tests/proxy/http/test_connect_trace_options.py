"""The methods that are for proxies: CONNECT and TRACE, which are refused by default, and Max-Forwards."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

import pytest

from proxy.listener import ListenerOptions
from tests.proxy.http.scripted import FORWARDED, FORWARDED_1_0, GET, GET_SENT, OK, OK_SENT, Proxy, proxying, until

VIA = b"Via: 1.1 pointsman\r\n\r\n"
CONNECT = b"CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n"
CONNECT_SENT = (
    b"CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\nX-Forwarded-Host: db.example:5432\r\n" + FORWARDED
)
TRACE = b"TRACE /x HTTP/1.1\r\nHost: shop\r\nAuthorization: secret\r\ncookie: a=b\r\nX-Mine: 1\r\n"
ALLOWED = ListenerOptions(allow_connect=True, allow_trace=True)
ALLOW = b"\r\nAllow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n"


@pytest.mark.parametrize("request_", [CONNECT, TRACE + b"\r\n", TRACE + b"Max-Forwards: 0\r\n\r\n"])
async def test_they_are_refused_by_default(request_: bytes) -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        await client.send(request_ + GET)
        status, head, _ = await client.response()
        assert (status, ALLOW in head, b"\r\nConnection: close\r\n" in head) == (405, True, True)
        assert await client.rest() == b""
        assert proxy.traffic.requests == 0


# Answers to a CONNECT that open the tunnel, whatever they say of a body; and what reaches the client.
OPENED = [
    (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + VIA),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n" + VIA),
    (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + VIA),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 204 No Content\r\n" + VIA),
    (b"HTTP/1.1 299 Fine\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 299 Fine\r\n" + VIA),
    (b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nVia: 1.0 pointsman\r\n\r\n"),
    (
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n" + VIA,
    ),
]


@pytest.mark.parametrize(("answer", "reaches"), OPENED)
async def test_a_2xx_to_connect_opens_the_tunnel(answer: bytes, reaches: bytes) -> None:
    async with proxying(options=ALLOWED) as proxy:
        client, instance = await proxy.asking(CONNECT + b"early")
        await instance.gets(CONNECT_SENT)
        await instance.send(answer + b"hello")
        await client.gets(reaches + b"hello")
        await instance.gets(b"early")
        await client.send(b"\x00\xff\r\n\r\n")
        await instance.gets(b"\x00\xff\r\n\r\n")
        instance.close()
        assert await client.rest() == b""
        client.close()
        await until(lambda: not proxy.traffic.tunnels)
        assert proxy.traffic.by_class[2] == 1


@pytest.mark.parametrize("status", [b"407 Who are you", b"302 Found", b"403 No"])
async def test_any_other_answer_to_connect_is_an_ordinary_one(status: bytes) -> None:
    async with proxying(options=ALLOWED) as proxy:
        client, instance = await proxy.asking(CONNECT + GET)
        await instance.gets(CONNECT_SENT)
        await instance.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nno")
        await client.gets(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n" + VIA + b"no")
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_client_of_http_1_0_may_connect_too() -> None:
    async with proxying(options=ALLOWED) as proxy:
        client, instance = await proxy.asking(b"CONNECT db:5432 HTTP/1.0\r\n\r\n")
        await instance.gets(
            b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\nX-Forwarded-Host: db:5432\r\n" + FORWARDED_1_0
        )
        await instance.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await client.gets(b"HTTP/1.1 200 OK\r\n" + VIA)
        await client.send(b"x")
        await instance.gets(b"x")


BAD = {
    "no port": b"CONNECT db HTTP/1.1\r\nHost: db\r\n\r\n",
    "a path": b"CONNECT /db HTTP/1.1\r\nHost: db\r\n\r\n",
    "a URL": b"CONNECT http://db:5432 HTTP/1.1\r\nHost: db\r\n\r\n",
    "user information": b"CONNECT me@db:5432 HTTP/1.1\r\nHost: db\r\n\r\n",
    "a body": CONNECT[:-2] + b"Content-Length: 2\r\n\r\nhi",
    "chunks": CONNECT[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TRACE with a body": TRACE + b"Content-Length: 2\r\n\r\nhi",
    "Max-Forwards that is no number": TRACE + b"Max-Forwards: +1\r\n\r\n",
    "two of them": TRACE + b"Max-Forwards: 1\r\nMax-Forwards: 0\r\n\r\n",
}


@pytest.mark.parametrize("request_", BAD.values(), ids=BAD.keys())
async def test_what_is_malformed_is_refused(request_: bytes) -> None:
    async with proxying(options=ALLOWED) as proxy:
        client = await proxy.client()
        await client.send(request_)
        assert (await client.response())[0] == 400
        assert await client.rest() == b""


async def test_connect_is_never_sent_twice() -> None:
    async with proxying(instances=2, options=ALLOWED) as proxy:
        client = await proxy.client()
        await client.send(CONNECT)
        await until(lambda: sum(endpoint.requests for endpoint in proxy.endpoints))
        instance = await proxy.instances[[endpoint.requests for endpoint in proxy.endpoints].index(1)].accept()
        await instance.gets(CONNECT_SENT)
        instance.close()
        assert (await client.response())[0] == 502
        assert proxy.traffic.retries == 0


async def test_trace_is_passed_on_where_it_is_allowed() -> None:
    async with proxying(options=ALLOWED) as proxy:
        client, instance = await proxy.asking(TRACE + b"\r\n")
        sent = TRACE + b"X-Forwarded-Host: shop\r\n" + FORWARDED
        await instance.gets(sent)
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Type: message/http\r\nContent-Length: 2\r\n\r\nab")
        await client.gets(b"HTTP/1.1 200 OK\r\nContent-Type: message/http\r\nContent-Length: 2\r\n" + VIA + b"ab")


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
@pytest.mark.parametrize(
    ("told", "passed_on"), [(b"1", b"0"), (b"10", b"9"), (b"007", b"6"), (b"999999999", b"999999998")]
)
async def test_max_forwards_is_counted_down(method: bytes, told: bytes, passed_on: bytes) -> None:
    async with proxying(options=ALLOWED) as proxy:
        _, instance = await proxy.asking(GET.replace(b"GET", method)[:-2] + b"max-forwards: " + told + b"\r\n\r\n")
        await instance.gets(
            GET_SENT.replace(b"GET", method).replace(
                b"X-Forwarded-Host", b"Max-Forwards: " + passed_on + b"\r\nX-Forwarded-Host"
            )
        )


async def test_in_other_methods_max_forwards_means_nothing() -> None:
    async with proxying() as proxy:
        _, instance = await proxy.asking(GET[:-2] + b"max-forwards: +0\r\n\r\n")
        await instance.gets(GET_SENT.replace(b"X-Forwarded-Host", b"max-forwards: +0\r\nX-Forwarded-Host"))


async def answered_here(proxy: Proxy, request: bytes) -> tuple[list[bytes], bytes]:
    """Have a request answered that goes no further, and the next one passed on; return the answer's lines and body."""
    client, instance = await proxy.asking(request + GET)
    status, head, content = await client.response()
    assert status == 200
    await instance.gets(GET_SENT)
    await instance.send(OK)
    await client.gets(OK_SENT)
    assert proxy.traffic.requests == 1
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first == b"HTTP/1.1 200 OK"
    return lines, content


async def test_options_that_may_go_no_further_is_answered_here() -> None:
    async with proxying(logged=True) as proxy:
        lines, content = await answered_here(proxy, b"OPTIONS * HTTP/1.1\r\nHost: shop\r\nMax-Forwards: 0\r\n\r\n")
        assert content == b""
        assert parsedate_to_datetime(lines[0].removeprefix(b"Date: ").decode()).tzinfo is UTC
        assert lines[1:] == [b"Content-Length: 0", ALLOW.strip(), b"X-Request-Id: made"]
        first, second = proxy.records
        assert (first.status, first.downstream_end, first.upstream_end) == (200, "complete", "none")
        assert (first.request_id, second.upstream_end) == ("made", "complete")


async def test_options_with_a_body_that_may_go_no_further_is_answered_here() -> None:
    async with proxying() as proxy:
        body = b"OPTIONS /x HTTP/1.1\r\nHost: shop\r\nMax-Forwards: 0\r\nContent-Length: 2\r\n\r\nhi"
        lines, _ = await answered_here(proxy, body)
        assert b"Connection: close" not in lines


async def test_a_body_that_is_not_waited_for_ends_the_connection() -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        await client.send(b"OPTIONS /x HTTP/1.1\r\nHost: shop\r\nMax-Forwards: 0\r\nContent-Length: 9\r\n\r\nhi")
        status, head, _ = await client.response()
        assert (status, b"\r\nConnection: close\r\n" in head) == (200, True)
        assert await client.rest() == b""
        await client.send(b" there")
        client.close()
        await until(lambda: not proxy.listener.clients)


async def test_trace_that_may_go_no_further_shows_what_came_without_its_secrets() -> None:
    async with proxying(options=ALLOWED) as proxy:
        lines, content = await answered_here(proxy, TRACE + b"MAX-forwards: 0\r\nProxy-Authorization: b\r\n\r\n")
        assert content == b"TRACE /x HTTP/1.1\r\nHost: shop\r\nX-Mine: 1\r\nMAX-forwards: 0\r\n\r\n"
        length = b"Content-Length: %d" % len(content)
        assert lines[1:] == [b"Content-Type: message/http", length, b"X-Request-Id: made"]
