"""A service that says whether a request may pass."""

from __future__ import annotations

import pytest

from proxy.http.terms import Timeouts
from tests.proxy.edge.guarding import asking
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, turns, until

GO = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-User: ann\r\n\r\n"
ASKED = (
    b"GET /check HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%bX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
    b"X-Forwarded-Host: shop\r\nX-Forwarded-Method: %b\r\nX-Forwarded-Uri: %b\r\n"
    b"X-Request-Id: made\r\nVia: 1.1 pointsman\r\n\r\n"
)


def asked(proxy, fields=b"", method=b"GET", uri=b"/") -> bytes:
    return ASKED % (proxy.instance.port, fields, method, uri)


async def test_a_2xx_lets_it_pass_and_what_is_copied_takes_the_place_of_the_clients() -> None:
    async with asking() as proxy:
        forged = b"x-user: eve\r\nX_User: eve\r\nX-User: eve\r\nCookie: a=b\r\n"
        client, peer = await proxy.asking(
            b"POST /x?y HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n" + forged + b"\r\nhi"
        )
        await peer.gets(asked(proxy, forged, b"POST", b"/x?y"))
        await peer.send(GO)
        head = await peer.through()  # on the same connection
        assert head.startswith(
            b"POST /x?y HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\nCookie: a=b\r\nX-User: ann\r\n"
        )
        assert b"eve" not in head
        await peer.gets(b"hi")
        await peer.send(OK)
        await client.gets(OK_SENT)
        assert proxy.traffic.by_class[2] == 2


async def test_any_other_answer_is_the_clients_and_the_connection_goes_on() -> None:
    async with asking(logged=True) as proxy:
        client, peer = await proxy.asking(GET + GET)
        await peer.through()
        await peer.send(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\nContent-Type: text/x\r\nSet-Cookie: a=1\r\n"
            b"Set-Cookie: b=2\r\nWWW-Authenticate: Bearer\r\nLocation: /login\r\n\r\nno!"
        )
        status, head, content = await client.response()
        assert (status, content) == (401, b"no!")
        for field in (b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"WWW-Authenticate: Bearer", b"Location: /login"):
            assert field in head
        assert b"Content-Type: text/x" in head
        await peer.gets(asked(proxy))  # the request that waited behind it
        await peer.send(GO)
        await peer.through()
        await peer.send(OK)
        await client.gets(OK_SENT)
        assert [(record.status, record.error) for record in proxy.records] == [
            (401, "the service auth answered 401"),
            (200, ""),
        ]


async def test_what_is_asked_leaves_out_conditions_and_what_is_not_wanted() -> None:
    async with asking(headers=["Cookie", "If-Match"]) as proxy:
        _, peer = await proxy.asking(
            GET[:-2] + b"Cookie: a=b\r\nAccept: x\r\nIf-Match: *\r\nX-Forwarded-Uri: /forged\r\n\r\n"
        )
        await peer.gets(asked(proxy, b"Cookie: a=b\r\n"))


@pytest.mark.parametrize("body", [b"x" * 65536, b"x" * 65537])
async def test_a_body_is_handed_on_up_to_64_kib(body) -> None:
    async with asking() as proxy:
        client, peer = await proxy.asking()
        await peer.through()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        status, _, content = await client.response()
        assert (status, content) == (403, body if len(body) == 65536 else b"")


@pytest.mark.parametrize("fail_open", [False, True])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n", b""])
async def test_a_failure_is_closed_unless_it_is_to_be_open(fail_open, answer) -> None:
    async with asking(fail_open=fail_open) as proxy:
        client, peer = await proxy.asking(GET[:-2] + b"X-User: eve\r\n\r\n")
        await peer.through()
        if answer:
            await peer.send(answer)
        else:
            proxy.pass_time(11)
        if fail_open:
            other = peer if answer.startswith(b"HTTP") else await proxy.instance.accept()
            await other.gets(GET_SENT)
            await other.send(OK)
            await client.gets(OK_SENT)
        else:
            status, _, content = await client.response()
            assert status == (500 if answer.startswith(b"HTTP") else 503)
            assert status == 500 or b'"service": "auth"' in content


async def test_another_endpoint_is_asked_when_one_breaks_off() -> None:
    async with asking(instances=2) as proxy:
        client = await proxy.client()
        await client.send(GET)
        first = await proxy.instances[0].accept()
        await first.through()
        first.reset()
        second = await proxy.instances[1].accept()
        await second.through()
        await second.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        assert (await client.response())[0] == 403
        assert proxy.endpoints[0].broken == 1


async def test_nobody_to_ask() -> None:
    async with asking(instances=0) as proxy:
        client = await proxy.client()
        await client.send(GET + GET)
        for _ in range(2):
            status, head, _ = await client.response()
            assert (status, b"Retry-After: 1" in head) == (503, True)


async def test_the_body_is_not_read_meanwhile_and_all_of_it_arrives() -> None:
    async with asking() as proxy:
        body = b"x" * 1_000_000
        client = await proxy.client()
        head = b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % len(body)
        await client.send(head + body[:5])
        peer = await proxy.instance.accept()
        await peer.gets(asked(proxy, method=b"POST"))
        [connection] = proxy.listener._clients
        await until(lambda: connection.paused)
        sent = 5 + client.send_what_fits(body[5:])
        await turns()
        assert connection.paused
        await peer.send(GO)
        await peer.through()
        got = 0
        while got < len(body):
            sent += client.send_what_fits(body[sent:])
            step = min(len(body) - got, 20_000, sent - got)
            assert await peer.exactly(step) == b"x" * step
            got += step
        await peer.send(OK)
        await client.gets(OK_SENT)


async def test_a_refused_body_ends_the_connection() -> None:
    async with asking() as proxy:
        client, peer = await proxy.asking(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nabc")
        await peer.through()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        assert b"Connection: close" in (await client.response())[1]
        assert await client.rest() == b""


async def test_a_client_that_leaves_takes_the_question_back() -> None:
    async with asking(logged=True) as proxy:
        client, peer = await proxy.asking()
        await peer.through()
        client.close()
        await peer.gone()
        await until(lambda: proxy.records)
        [record] = proxy.records
        assert (record.status, record.downstream_end, record.upstream_end) == (0, "left", "none")
        assert proxy.traffic.abandoned == 1


async def test_the_whole_of_a_request_has_a_time() -> None:
    async with asking(timeouts=Timeouts(request=5.0)) as proxy:
        client, peer = await proxy.asking()
        await peer.through()
        proxy.pass_time(6)
        assert (await client.response())[0] == 504
        await peer.gone()


async def test_what_waits_has_its_times_from_the_head_on_and_the_log_too() -> None:
    async with asking(timeouts=Timeouts(request=500.0), logged=True) as proxy:
        client, peer = await proxy.asking()
        await peer.through()
        [connection] = proxy.listener._clients
        expires = connection.expires
        await peer.send(GO)
        await peer.through()
        assert connection.expires == expires
        await peer.send(OK)
        await client.gets(OK_SENT)
        [record] = proxy.records
        assert 0 < record.own <= record.duration


async def test_a_malformed_chunk_meanwhile() -> None:
    async with asking() as proxy:
        client, peer = await proxy.asking(
            b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
        )
        await peer.through()
        await peer.send(GO)
        await peer.through(b"2\r\nhi\r\n")
        await client.send(b"zz\r\n")
        assert (await client.response())[0] == 400
