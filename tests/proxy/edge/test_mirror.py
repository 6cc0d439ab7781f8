"""Copies of requests: what their service gets, and that nobody else ever notices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from proxy.edge.mirror import Kept, Mirror
from proxy.http.bodies import LengthBody
from proxy.http.copies import Copies
from tests.proxy.edge.ruling import ORIGIN, VIA, Through, fields, through
from tests.proxy.http.scripted import OK, OK_SENT, Peer, turns, until
from tests.proxy.http.test_upgrades import SWITCHING, WEBSOCKET

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from proxy.http.heads import RequestHead
    from proxy.service import Service

GET = b"GET /a?b=c HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\n\r\n"
SENT = b"GET /a?b=c HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\n%bX-Forwarded-Host: shop\r\n" + ORIGIN + VIA
MARK = b"X-Pointsman-Mirror: true\r\n"


def mirrored(
    shadow: dict[str, Any] | None = None,
    route: dict[str, Any] | None = None,
    *,
    more: dict[str, Any] | None = None,
    **mirror: Any,
) -> AbstractAsyncContextManager[Through]:
    """Run a pointsman whose route copies the requests for web to the service shadow."""
    routes = [{"service": "web", **(route or {}), "mirror": {"service": "shadow", **mirror}}]
    return through(others={"shadow": shadow or {}}, routes=routes, **(more or {}))


def shadow_of(world: Through) -> Service:
    return world.application.services["shadow"]


async def served(client: Peer, instance: Peer, request: bytes = GET) -> None:
    """Have a request served by the service that it is for."""
    await client.send(request)
    await instance.through()
    await instance.send(OK)
    await client.gets(OK_SENT)


async def test_the_copy_is_the_request_with_a_mark_and_its_answer_goes_nowhere() -> None:
    async with mirrored() as world:
        client, instance = await world.asking(GET)
        shadow = await world.instances["shadow"].accept()
        await instance.gets(SENT % b"")
        await shadow.gets(SENT % MARK)
        await shadow.send(b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad")
        service = shadow_of(world)
        await until(lambda: service.copies.in_flight == 0)
        await instance.send(OK)
        await client.gets(OK_SENT)
        await served(client, instance)
        await shadow.gets(SENT % MARK)  # on the connection that was kept
        text = await world.metrics()
        assert 'pointsman_mirrored_total{service="shadow"} 2.0' in text
        assert 'pointsman_mirrored_in_flight{service="shadow"} 1.0' in text
        assert 'pointsman_requests_total{code="5xx",service="shadow"} 1.0' in text
        assert 'pointsman_requests_total{code="2xx",service="web"} 2.0' in text
        assert 'pointsman_mirrored_total{service="web"}' not in text


@pytest.mark.parametrize("pieces", [1, 3])
async def test_bodies_are_copied_however_they_come(pieces: int) -> None:
    for head, body in (
        (b"Content-Length: 9\r\n", b"abcdefghi"),
        (b"Transfer-Encoding: chunked\r\n", b"9\r\nabcdefghi\r\n0\r\nX-T: 1\r\n\r\n"),
    ):
        async with mirrored() as world:
            begun = body[: len(body) - pieces + 1]
            client, instance = await world.asking(b"POST / HTTP/1.1\r\nHost: shop\r\n" + head + b"\r\n" + begun)
            got = await instance.through()
            for at in range(len(begun), len(body)):
                await turns()
                await client.send(body[at : at + 1])
            shadow = await world.instances["shadow"].accept()
            copied = await shadow.through()
            assert copied.replace(MARK, b"") == got
            assert await shadow.exactly(len(body)) == body
            await instance.through(body[-4:])
            await instance.send(OK)
            await client.gets(OK_SENT)


async def test_a_longer_body_is_not_copied_and_counted() -> None:
    async with mirrored(max_body="8B") as world:
        long = b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nabcdefghi"
        chunks = b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
        client, instance = await world.asking(long)
        await instance.through(b"ghi")
        await instance.send(OK)
        await client.gets(OK_SENT)
        await client.send(chunks)
        await instance.through(b"abcde\r\n")
        await client.send(b"4\r\nfghi\r\n0\r\n\r\n")
        await instance.through(b"0\r\n\r\n")
        await instance.send(OK)
        await client.gets(OK_SENT)
        await served(client, instance)
        copies = shadow_of(world).copies
        assert (copies.dropped["body"], copies.sent) == (2, 1)
        assert 'pointsman_mirrored_dropped_total{reason="body",service="shadow"} 2.0' in await world.metrics()


async def test_a_frozen_mirror_shows_to_nobody_and_no_queue_grows() -> None:
    async with mirrored(in_flight=5, timeout="20s") as world:
        client, instance = await world.asking(GET)
        await instance.through()
        await instance.send(OK)
        await client.gets(OK_SENT)
        service = shadow_of(world)
        for _ in range(200):
            await served(client, instance)
            assert service.copies.in_flight <= 5
        [connections] = service.connections.values()
        await until(lambda: service.copies.sent == 5)
        assert (service.copies.in_flight, service.copies.dropped["in_flight"]) == (5, 196)
        assert service.traffic.in_flight == 5
        await until(lambda: connections.open == 5)
        service.sweep(time.monotonic() + 21)
        assert (service.copies.in_flight, service.copies.failed["timeout"], service.traffic.in_flight) == (0, 5, 0)
        await until(lambda: connections.open == 0)
        assert [endpoint.in_flight for endpoint in service.pool.endpoints] == [0]
        await served(client, instance)


async def fails(world: Through, client: Peer, how: str) -> None:
    """Have a copy fail in this way, and its request be answered all the same."""
    await client.send(GET)
    web = world.instances["web"]
    instance = web.peers[0] if web.peers else await web.accept()
    await instance.through()
    copy = await world.instances["shadow"].accept()
    await copy.through()
    if how == "reset":
        copy.reset()
    else:
        await copy.send(b"nonsense\r\n\r\n")
    await until(lambda: shadow_of(world).copies.failed[how])
    await instance.send(OK)
    await client.gets(OK_SENT)


async def test_what_a_mirror_fails_counts_for_it_alone() -> None:
    async with mirrored() as world:
        client = await world.client(b"")
        await fails(world, client, "reset")
        await fails(world, client, "malformed")
        web, shadow = world.application.services["web"], shadow_of(world)
        [ours], [theirs] = web.pool.endpoints, shadow.pool.endpoints
        assert (ours.suspect, theirs.suspect) == (False, True)
        assert (web.traffic.by_class[5], shadow.traffic.by_class[5]) == (0, 2)
        assert 'pointsman_mirrored_failed_total{reason="reset",service="shadow"} 1.0' in await world.metrics()
        await client.send(GET)
        copy = await world.instances["shadow"].accept()
        await copy.through()
        await copy.send(OK)
        await until(lambda: not theirs.suspect)


async def test_a_mirror_that_is_away_or_empty() -> None:
    async with mirrored() as world:
        world.instances["shadow"].close()
        client, instance = await world.asking(GET)
        await instance.through()
        await until(lambda: shadow_of(world).copies.failed["connect"] == 1)
        await instance.send(OK)
        await client.gets(OK_SENT)
    async with mirrored({"discovery": {"static": []}}) as world:
        client, instance = await world.asking(GET)
        await instance.through()
        await until(lambda: shadow_of(world).copies.dropped["unavailable"] == 1)
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert shadow_of(world).copies.in_flight == 0


async def test_a_mirror_that_is_full_gets_no_copies() -> None:
    async with mirrored({"limits": {"in_flight": 1}}) as world:
        client, instance = await world.asking(GET)
        await instance.through()
        await instance.send(OK)
        await client.gets(OK_SENT)
        await served(client, instance)
        copies = shadow_of(world).copies
        await until(lambda: copies.dropped["overload"] == 1)
        shadow = await world.instances["shadow"].accept()
        await shadow.through()
        await shadow.send(OK)
        await until(lambda: copies.in_flight == 0)
        await served(client, instance)
        await shadow.through()  # its place is free again


async def test_a_mirror_that_answers_slowly_or_without_end() -> None:
    async with mirrored() as world:
        client, instance = await world.asking(GET)
        await instance.through()
        shadow = await world.instances["shadow"].accept()
        await shadow.through()
        await shadow.send_slowly(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow")
        await instance.send(OK)
        await client.gets(OK_SENT)
        copies = shadow_of(world).copies
        assert copies.in_flight == 1
        await shadow.send(b"ly on")
        await until(lambda: copies.in_flight == 0)
        await served(client, instance)
        await shadow.through()
        await shadow.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        while copies.in_flight:
            shadow.send_what_fits(bytes(65536))
            await turns()
        await shadow.gone()
        assert sum(copies.failed.values()) == 0


async def test_upgrades_and_connect_are_not_copied() -> None:
    connect = b"CONNECT shop:1 HTTP/1.1\r\nHost: shop:1\r\n\r\n"
    listeners = [{"bind": "127.0.0.1:0", "allow_connect": True}]
    async with mirrored(more={"listeners": listeners}) as world:
        for request, response in ((WEBSOCKET, SWITCHING), (connect, b"HTTP/1.1 200 OK\r\n\r\n")):
            client, instance = await world.asking(request)
            await instance.through()
            await instance.send(response)
            await client.through()
        copies = shadow_of(world).copies
        assert (copies.sent, copies.in_flight, sum(copies.dropped.values())) == (0, 0, 0)


async def test_a_client_that_leaves_in_its_body_leaves_no_copy() -> None:
    async with mirrored() as world:
        client, instance = await world.asking(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nabc")
        await instance.through(b"abc")
        client.reset()
        await until(lambda: world.application.services["web"].traffic.abandoned == 1)
        copies = shadow_of(world).copies
        assert (copies.sent, copies.in_flight) == (0, 0)


async def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    async with mirrored() as world:
        client, instance = await world.asking(GET)
        await instance.through()
        await instance.send(OK)
        await client.gets(OK_SENT)
        shadow = await world.instances["shadow"].accept()
        await shadow.through()
        await shadow.send(OK)
        service = shadow_of(world)
        [connections] = service.connections.values()
        await until(lambda: connections.idle == 1)
        await client.send(GET)
        await shadow.through()  # and it goes, without a byte in answer
        shadow.close()
        shadow = await world.instances["shadow"].accept()
        await shadow.gets(SENT % MARK)
        await shadow.send(OK)
        await until(lambda: service.copies.in_flight == 0)
        assert (service.copies.sent, sum(service.copies.failed.values())) == (2, 0)
        await instance.through()


async def test_copies_end_when_we_do() -> None:
    async with mirrored() as world:
        _, instance = await world.asking(GET)
        await instance.through()
        shadow = await world.instances["shadow"].accept()
        await shadow.through()
        service = shadow_of(world)
        await world.application.stop()
        assert (service.copies.in_flight, service.traffic.in_flight, service.traffic.abandoned) == (0, 0, 1)
        await shadow.gone()


async def test_nobody_can_forge_the_mark_and_copies_are_not_copied() -> None:
    marked = GET.replace(b"Accept: */*", b"Accept: */*\r\nx-pointsman-mirror: true\r\nX_Pointsman_Mirror: true")
    async with mirrored() as world:
        _, instance = await world.asking(marked)
        await instance.gets(SENT % b"")
        shadow = await world.instances["shadow"].accept()
        assert fields(await shadow.through(), b"x-pointsman-mirror") == [b"true"]
    async with mirrored(more={"trusted_proxies": ["127.0.0.1"]}) as world:
        client, instance = await world.asking(marked)
        assert fields(await instance.through(), b"x-pointsman-mirror") == [b"true"]
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert shadow_of(world).copies.sent == 0


async def test_a_copy_gets_the_rules_of_its_own_service_and_the_routes_rewriting() -> None:
    shadow = {"request_headers": {"set": {"X-A": "{service}", "Host": "shadow.test"}}}
    route = {"path": "/a", "strip_prefix": True, "request_headers": {"set": {"X-R": "{service}", "Host": "web.test"}}}
    async with mirrored(shadow, route) as world:
        _, instance = await world.asking(GET)
        copy = await world.instances["shadow"].accept()
        for peer, name in ((instance, b"web"), (copy, b"shadow")):
            head = await peer.through()
            assert head.startswith(b"GET /?b=c HTTP/1.1\r\nHost: %b.test\r\n" % name)
            assert fields(head, b"x-r") == [name]
            assert fields(head, b"x-a") == [b"shadow"] * (name == b"shadow")


@pytest.mark.parametrize(("share", "copied"), [(0.0, 0), (0.1, 10), (1.0, 100)])
def test_a_share_is_drawn_by_chance(share: float, copied: int) -> None:
    draws = iter([number / 100 for number in range(100)])
    service = cast("Service", type("Shadow", (), {"copies": Copies(), "name": "shadow"})())
    mirror = Mirror(service, lambda: next(draws), share)
    request = cast("RequestHead", type("Request", (), {"switches": False, "forwarded": None, "length": 2})())
    bodies = [mirror.taken(request, b"a", b"", LengthBody(1)) for _ in range(100)]
    assert sum(isinstance(body, Kept) for body in bodies) == copied
