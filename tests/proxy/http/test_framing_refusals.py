"""Messages that can be understood in more than one way, or in none: refused, with the connection they came on."""

from __future__ import annotations

import json

import pytest

from proxy.http.heads import HeadLimits
from proxy.routes import Route
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, proxying

LIMITS = HeadLimits(request_line=1000, headers=4000, header_count=20)
HOST = b"Host: shop\r\n"


def get(fields: bytes, version: bytes = b"1.1") -> bytes:
    return b"GET / HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n"


def post(framing: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST / HTTP/" + version + b"\r\n" + HOST + framing + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n", body)


def target(value: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + value + b" HTTP/1.1\r\n" + HOST + b"\r\n"


BAD_REQUESTS = {
    # How long the body is.
    "two different lengths": (post(b"Content-Length: 1\r\nContent-Length: 2\r\n", b"xx"), 400),
    "the same length twice": (post(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"x"), 400),
    "a list of lengths": (post(b"Content-Length: 1, 1\r\n", b"x"), 400),
    "a length with a sign": (post(b"Content-Length: +1\r\n", b"x"), 400),
    "a negative length": (post(b"Content-Length: -1\r\n", b"x"), 400),
    "a hexadecimal length": (post(b"Content-Length: 0x1\r\n", b"x"), 400),
    "a length with an underscore": (post(b"Content-Length: 1_0\r\n", b"x"), 400),
    "a length with a blank in it": (post(b"Content-Length: 1 0\r\n", b"x"), 400),
    "a length of other digits": (post("Content-Length: \N{ARABIC-INDIC DIGIT ONE}\r\n".encode(), b"x"), 400),
    "a length that overflows": (post(b"Content-Length: 18446744073709551617\r\n", b"x"), 400),
    "an empty length": (post(b"Content-Length:\r\n"), 400),
    "length and coding": (post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "coding and length": (post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"), 400),
    "coding and a length of 0": (post(b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", b"0\r\n\r\n"), 400),
    "another coding": (post(b"Transfer-Encoding: gzip\r\n"), 400),
    "another coding before": (post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), 400),
    "another coding behind": (post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"), 400),
    "identity": (post(b"Transfer-Encoding: identity\r\n"), 400),
    "chunked twice in a field": (post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), 400),
    "chunked in two fields": (post(b"Transfer-Encoding: chunked\r\n" * 2, b"0\r\n\r\n"), 400),
    "an empty coding": (post(b"Transfer-Encoding:\r\n"), 400),
    "a coding with a parameter": (post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"), 400),
    "a coding in quotes": (post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"), 400),
    "a coding with a vertical tab": (post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), 400),
    "a coding that is misspelt": (post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), 400),
    "a coding in HTTP/1.0": (post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"1.0"), 400),
    # How fields are written.
    "a blank before the colon": (get(b"X : y\r\n"), 400),
    "a tab before the colon": (get(b"X\t: y\r\n"), 400),
    "a blank before a coding's colon": (post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), 400),
    "a folded field": (get(b"X: y\r\n z\r\n"), 400),
    "a folded field, by a tab": (get(b"X: y\r\n\tz\r\n"), 400),
    "a folded first field": (b"GET / HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n", 400),
    "no colon": (get(b"X\r\n"), 400),
    "no name": (get(b": y\r\n"), 400),
    "a blank in a name": (get(b"X Y: z\r\n"), 400),
    "a bracket in a name": (get(b"X(: y\r\n"), 400),
    "a letter beyond ASCII in a name": (get(b"X\xe9: y\r\n"), 400),
    "NUL in a value": (get(b"X: a\x00b\r\n"), 400),
    "NUL in a name": (get(b"X\x00: a\r\n"), 400),
    "a control character in a value": (get(b"X: a\x01b\r\n"), 400),
    "DEL in a value": (get(b"X: a\x7fb\r\n"), 400),
    "a bare carriage return in a value": (get(b"X: a\rb\r\n"), 400),
    "a carriage return too many": (get(b"X: a\r\r\n"), 400),
    "a bare line feed in a value": (get(b"X: a\nY: b\r\n"), 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: shop\n\n", 400),
    "a bare line feed behind the request line": (b"GET / HTTP/1.1\nHost: shop\r\n\r\n", 400),
    "a bare line feed at the end": (b"GET / HTTP/1.1\r\nHost: shop\n\r\n", 400),
    # The request line.
    "a carriage return before": (b"\r" + GET, 400),
    "a line feed before": (b"\n" + GET, 400),
    "a blank before": (b" " + GET, 400),
    "two blanks": (target(b" /"), 400),
    "tabs": (b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a blank in the target": (target(b"/a b"), 400),
    "a blank behind": (b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", 400),
    "no version": (b"GET /\r\n" + HOST + b"\r\n", 400),
    "no target": (b"GET HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an unknown method": (target(b"/", b"BREW"), 501),
    "a method in lower case": (target(b"/", b"get"), 501),
    "a version in lower case": (b"GET / http/1.1\r\n" + HOST + b"\r\n", 400),
    "HTTP/1.2": (get(b"", b"1.2"), 505),
    "HTTP/2.0": (get(b"", b"2.0"), 505),
    "HTTP/2 as it begins": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "another protocol": (b"DESCRIBE / RTSP/1.0\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a fragment": (target(b"/a#b"), 400),
    "a relative target": (target(b"a"), 400),
    "a query alone": (target(b"?a"), 400),
    "everything, for GET": (target(b"*"), 400),
    "another scheme": (target(b"ftp://shop/"), 400),
    "user information": (target(b"http://me@shop/"), 400),
    "no host in an absolute target": (target(b"http:///a"), 400),
    "a bad host in an absolute target": (target(b"http://a[b/"), 400),
    "NUL in the target": (target(b"/\x00"), 400),
    "a control character in the target": (target(b"/\x0c"), 400),
    "a letter beyond ASCII in the target": (target("/é".encode()), 400),
    "CONNECT": (target(b"shop:443", b"CONNECT"), 405),
    "CONNECT to a path": (target(b"/", b"CONNECT"), 405),
    "TRACE": (target(b"/", b"TRACE"), 405),
    # Host.
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "no Host beside an absolute target": (b"GET http://shop/ HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (get(b"Host: bank\r\n"), 400),
    "the same Host twice": (get(HOST), 400),
    "an empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "a port alone": (b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
    "a blank in Host": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "a path in Host": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "user information in Host": (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    "a port that is none": (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    "two Hosts, HTTP/1.0": (get(HOST, b"1.0"), 400),
    # What else is too much.
    "an unknown expectation": (get(b"Expect: 200-ok\r\n"), 417),
    "a long request line": (target(b"/" + b"x" * 1000), 414),
    "an endless request line": (b"GET /" + b"x" * 1100, 414),
    "large fields": (get(b"X: %b\r\n" % (b"x" * 5000)), 431),
    "fields that are just too large, all on one line": (get(b"X: %b\r\n" % (b"x" * 4000)), 431),
    "endless fields": (b"GET / HTTP/1.1\r\n" + b"X: %b\r\n" % (b"x" * 90) * 60, 431),
    "many fields": (get(b"X: y\r\n" * 20), 431),
    # Chunks, in the piece that the head came with.
    "a chunk without a size": (chunked(b"\r\n"), 400),
    "a malformed chunk size": (chunked(b"5x\r\nabcde\r\n0\r\n\r\n"), 400),
    "a chunk longer than its size": (chunked(b"2\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk with a bare line feed": (chunked(b"2\nab\r\n0\r\n\r\n"), 400),
    "a malformed trailer": (chunked(b"0\r\nX : y\r\n\r\n"), 400),
}


@pytest.mark.parametrize(("request_", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
async def test_a_bad_request_is_refused_and_reaches_nobody(request_: bytes, status: int) -> None:
    async with proxying(limits=LIMITS) as proxy:
        client = await proxy.client()
        await client.send(request_)
        got, head, content = await client.response()
        assert (got, b"\r\nConnection: close\r\n" in head) == (status, True)
        assert json.loads(content)["error"]
        assert await client.rest() == b""
        assert proxy.listener.refused == 1
        assert sum(endpoint.requests for endpoint in proxy.endpoints) == 0


@pytest.mark.parametrize(("request_", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
async def test_a_bad_request_behind_a_good_one_is_refused_too(request_: bytes, status: int) -> None:
    # By now the reader remembers most of its lines, and the bad ones arrive in small pieces.
    async with proxying(limits=LIMITS) as proxy:
        client, _ = await proxy.served()
        for at in range(0, len(request_), 97):
            await client.send(request_[at : at + 97])
        assert (await client.response())[0] == status
        assert await client.rest() == b""
        assert proxy.idle <= 1


LATE_BAD_CHUNKS = [b"x\r\n", b"5x\r\n", b"2\r\nabc\r\n", b"2\nab", b"0\r\nX : y\r\n\r\n", b"%b;" % (b"a" * 300)]


@pytest.mark.parametrize("chunks", LATE_BAD_CHUNKS)
async def test_bad_chunks_behind_good_ones_are_refused_and_the_instance_s_connection_ends(chunks: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(chunked(b"2\r\nab\r\n"))
        await instance.through(b"2\r\nab\r\n")
        await client.send(chunks)
        assert (await client.response())[0] == 400
        await instance.gone()
        assert await client.rest() == b""


def answering(fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"HTTP/" + version + b" 200 OK\r\n" + fields + b"\r\n" + body


BAD_RESPONSES = {
    "two lengths": answering(b"Content-Length: 1\r\nContent-Length: 2\r\n", b"ab"),
    "the same length twice": answering(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"a"),
    "a list of lengths": answering(b"Content-Length: 1, 1\r\n", b"a"),
    "a length with a sign": answering(b"Content-Length: +1\r\n", b"a"),
    "an empty length": answering(b"Content-Length:\r\n"),
    "length and coding": answering(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "another coding": answering(b"Transfer-Encoding: gzip\r\n"),
    "another coding before": answering(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "chunked in two fields": answering(b"Transfer-Encoding: chunked\r\n" * 2, b"0\r\n\r\n"),
    "a coding in HTTP/1.0": answering(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"1.0"),
    "a blank before the colon": answering(b"X : y\r\nContent-Length: 0\r\n"),
    "a folded field": answering(b"X: y\r\n z\r\nContent-Length: 0\r\n"),
    "no colon": answering(b"X\r\nContent-Length: 0\r\n"),
    "NUL in a value": answering(b"X: \x00\r\nContent-Length: 0\r\n"),
    "a bare carriage return": answering(b"X: a\rb\r\nContent-Length: 0\r\n"),
    "a bare line feed": answering(b"X: a\nY: b\r\nContent-Length: 0\r\n"),
    "bare line feeds throughout": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "NUL in the reason": b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
    "a line feed in the status line": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status 0": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "status 99": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "two blanks": b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no HTTP at all": b"220 mail.example.com ESMTP\r\n\r\n",
    "an empty line before": b"\r\n" + answering(b"Content-Length: 0\r\n"),
    "switching protocols unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "switching without saying to what": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "large fields": answering(b"X: %b\r\n" % (b"x" * 5000)),
    "a head without an end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000,
    "many fields": answering(b"X: y\r\n" * 22),
    "a malformed first chunk": answering(b"Transfer-Encoding: chunked\r\n", b"x\r\n"),
}


@pytest.mark.parametrize("response", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
async def test_a_bad_response_is_answered_for_with_502(response: bytes) -> None:
    async with proxying(limits=LIMITS) as proxy:
        client, instance = await proxy.asking()
        await instance.gets(GET_SENT)
        await instance.send(response)
        status, _, content = await client.response()
        assert status == 502
        assert json.loads(content)["service"] == "shop"
        await instance.gone()
        # Nothing is wrong with the client, who goes on.
        await client.send(GET)
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_bad_chunk_behind_a_good_one_breaks_the_response() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send(answering(b"Transfer-Encoding: chunked\r\n", b"2\r\nok\r\n"))
        await client.through(b"ok\r\n")
        await instance.send(b"2\r\nabc\r\n")
        assert b"0\r\n\r\n" not in await client.broken()
        assert proxy.traffic.broken == 1


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
        await client.send(post(b"Content-Length: 5\r\n", b"ab"))
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
        await client.send(post(b"Content-Length: 5\r\n", b"ab"))
        assert (await client.response())[0] == 503
        assert await client.rest() == b""
