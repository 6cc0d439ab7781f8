"""Rules for headers at work: what instances and clients are sent, byte for byte."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from config.header_rules import RequestHeaders
from proxy.edge.edge import Edge
from proxy.edge.header_rules import compiled
from proxy.http.retries import RetryPolicy
from proxy.listener import Listener
from proxy.routes import Route
from tests.proxy.edge.ruling import ORIGIN, VIA, Through, fields, through
from tests.proxy.http.scripted import OK, proxying
from tests.proxy.http.test_upgrades import SWITCHING, WEBSOCKET

if TYPE_CHECKING:
    from proxy.http.heads import RequestHead
    from tests.servers.debian import DebianProgram

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\nX-A: a\r\nX-B: b\r\n\r\n"
OURS = b'for=127.0.0.1;host="shop";proto=http'
HSTS = {"Strict-Transport-Security": "max-age=31536000"}
LISTENER = {"bind": "127.0.0.1:0"}


async def test_requests_get_the_listeners_rules_first_and_the_services_last() -> None:
    listener = {**LISTENER, "request_headers": {"set": {"X-A": "l", "X-L": "l"}, "add": {"X-All": "l"}}}
    route = {"service": "web", "request_headers": {"set": {"X-A": "r"}, "add": {"X-All": "r"}, "remove": ["X-L"]}}
    settings = {"request_headers": {"set": {"X-A": "{service}"}, "add": {"X-All": "{client}"}, "remove": ["X-B"]}}
    async with through(listeners=[listener], routes=[route], settings=settings) as world:
        asked, _ = await world.answered(GET, OK)
    assert asked == (
        b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Host: shop\r\nX-All: l\r\nX-All: r\r\nX-A: web\r\n"
        b"X-All: 127.0.0.1\r\n" + ORIGIN + VIA
    )


async def test_responses_get_the_services_rules_first_and_the_listeners_last() -> None:
    listener = {**LISTENER, "response_headers": {"set": {"X-A": "l"}, "add": {"X-All": "l"}}}
    route = {"service": "web", "response_headers": {"set": {"X-A": "r"}, "add": {"X-All": "r"}, "remove": ["X-S"]}}
    settings = {"response_headers": {"set": {"X-A": "s", "X-S": "s"}, "add": {"X-All": "{endpoint}"}}}
    response = b"HTTP/1.1 200 OK\r\nx-a: i\r\nServer: x\r\nContent-Length: 0\r\n\r\n"
    async with through(listeners=[listener], routes=[route], settings=settings) as world:
        port = world.instances["web"].port
        _, got = await world.answered(GET, response)
    assert got == (
        b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 0\r\nX-All: 127.0.0.1:%d\r\nX-All: r\r\nX-A: l\r\n"
        b"X-All: l\r\n%b" % (port, VIA)
    )


async def test_what_says_how_a_response_may_be_kept_is_never_touched() -> None:
    told = (
        b'Cache-Control: public, max-age=60\r\nContent-Encoding: gzip\r\nETag: W/"a"\r\nVary: Accept-Encoding\r\n'
        b"Content-Length: 0\r\n"
    )
    settings = {"response_headers": {"set": HSTS, "remove": ["Server"]}}
    async with through(settings=settings) as world:
        request = GET.replace(b"X-A: a", b"Accept-Encoding: gzip, br")
        asked, got = await world.answered(request, b"HTTP/1.1 200 OK\r\n" + told + b"\r\n")
        assert b"Accept-Encoding: gzip, br\r\n" in asked
        assert got.startswith(b"HTTP/1.1 200 OK\r\n" + told + b"Strict-Transport-Security")
    async with through(settings={"response_headers": {"set": {"Cache-Control": "no-store"}}}) as world:
        _, got = await world.answered(GET, b"HTTP/1.1 200 OK\r\n" + told + b"\r\n")
        assert fields(got, b"cache-control") == [b"no-store"]


async def test_chunks_and_the_connection_are_framed_as_ever() -> None:
    rules = {"set": {"X-A": "1"}, "remove": ["X-*", "Set-Cookie"]}
    async with through(
        settings={"response_headers": rules, "request_headers": {"remove": ["X-B", "Accept*"]}}
    ) as world:
        client, instance = await world.asking(
            b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        )
        asked = await instance.through()
        assert fields(asked, b"transfer-encoding") == [b"chunked"]
        assert fields(asked, b"expect") == [b"100-continue"]
        await client.send(b"3\r\nabc\r\n0\r\n\r\n")
        await instance.gets(b"3\r\nabc\r\n0\r\n\r\n")
        await instance.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Old: 1\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        await client.gets(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n" + VIA + b"2\r\nhi\r\n0\r\n\r\n"
        )


async def test_a_host_of_ones_own_and_the_clients_beside_it() -> None:
    async with through(settings={"request_headers": {"set": {"host": "internal:8080"}}}) as world:
        asked, _ = await world.answered(GET, OK)
        assert fields(asked, b"host") == [b"internal:8080"]
        assert fields(asked, b"x-forwarded-host") == [b"shop"]
        assert asked.startswith(b"GET /a HTTP/1.1\r\nHost: internal:8080\r\n")


@pytest.mark.parametrize(
    ("rules", "more", "expected"),
    [
        ({"set": {"X-Forwarded-Proto": "https"}}, {}, (b"127.0.0.1", b"https", b"shop", None)),
        ({"remove": ["X-Forwarded-*"]}, {}, (None, None, None, None)),
        ({"remove": ["X-Forwarded-For"]}, {"forwarded": "both"}, (None, b"http", b"shop", OURS)),
        (
            {"set": {"X-Forwarded-For": "{client}", "Forwarded": "for=x"}},
            {"forwarded": "both", "trusted_proxies": ["127.0.0.1"]},
            (b"192.0.2.7", b"http", b"shop", b"for=x"),
        ),
        ({"set": {"X-A": "1"}}, {"trusted_proxies": ["127.0.0.1"]}, (b"192.0.2.7, 127.0.0.1", b"http", b"shop", None)),
    ],
)
async def test_where_a_request_came_from_is_ours_to_say_unless_a_rule_says_it(
    rules: dict[str, Any], more: dict[str, Any], expected: tuple[bytes | None, ...]
) -> None:
    request = GET.replace(b"X-A: a", b"X-Forwarded-For: 192.0.2.7")
    async with through(settings={"request_headers": rules}, **more) as world:
        asked, _ = await world.answered(request, OK)
    names = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded")
    assert [fields(asked, name) for name in names] == [[value] if value else [] for value in expected]
    assert fields(asked, b"via") == [b"1.1 pointsman"]


async def test_via_and_the_request_id_of_responses() -> None:
    rules = {"remove": ["Via"], "set": {"X-Request-Id": "{request_id}"}}
    async with through(settings={"response_headers": rules}, request_id="keep") as world:
        response = OK.replace(b"\r\n\r\n", b"\r\nVia: 1.1 inner\r\n\r\n")
        _, got = await world.answered(GET.replace(b"X-A: a", b"X-Request-Id: mine"), response)
        assert got == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: mine\r\n\r\n"


async def test_sessions_and_balancers_see_the_request_as_its_client_sent_it() -> None:
    settings = {"request_headers": {"remove": ["Cookie"]}, "sticky": {"cookie": "s"}, "response_headers": {"set": HSTS}}
    async with through(settings=settings) as world:
        asked, got = await world.answered(GET, OK)
        [cookie] = fields(got, b"set-cookie")
        assert len(fields(got, b"strict-transport-security")) == 1
        client = await world.client(GET.replace(b"X-A: a", b"Cookie: " + cookie.partition(b";")[0]))
        instance = world.instances["web"].peers[0]
        asked = await instance.through()
        assert fields(asked, b"cookie") == []
        await instance.send(OK)
        assert fields(await client.through(), b"set-cookie") == []  # it is known by the cookie that it sent


async def test_a_request_that_is_sent_again_gets_them_once() -> None:
    settings = {"request_headers": {"add": {"X-A": "{service}"}}, "retries": {"on": ["reset"]}}
    async with through(settings=settings) as world:
        client, instance = await world.asking(GET)
        assert fields(await instance.through(), b"x-a") == [b"a", b"web"]
        instance.reset()
        instance = await world.instances["web"].accept()
        assert fields(await instance.through(), b"x-a") == [b"a", b"web"]
        await instance.send(OK)
        assert (await client.response())[0] == 200


async def test_a_request_that_is_hedged_gets_them_once() -> None:
    rules = compiled(RequestHeaders.model_validate({"add": {"X-A": "{service}"}}))
    routed = lambda terms: [Route(replace(terms, request_rules=rules, edge=Edge()))]  # noqa: E731
    async with proxying(instances=2, retries=RetryPolicy(hedge_after=0.005, attempts=0), routes=routed) as proxy:
        client = await proxy.client()
        await client.send(GET)
        for instance in proxy.instances:
            assert fields(await (await instance.accept()).through(), b"x-a") == [b"a", b"shop"]
        await proxy.instances[0].peers[0].send(OK)
        assert (await client.response())[0] == 200


async def test_tunnels_and_interim_responses() -> None:
    rules = {"set": HSTS, "remove": ["X-Inner"]}
    async with through(settings={"response_headers": rules, "request_headers": {"set": {"X-A": "1"}}}) as world:
        client, instance = await world.asking(WEBSOCKET)
        asked = await instance.through()
        assert fields(asked, b"x-a") == [b"1"]
        assert fields(asked, b"upgrade") == [b"websocket"]
        await instance.send(SWITCHING.replace(b"\r\n\r\n", b"\r\nX-Inner: 1\r\n\r\n"))
        got = await client.through()
        assert got.startswith(b"HTTP/1.1 101")
        assert fields(got, b"x-inner") == []
        assert len(fields(got, b"strict-transport-security")) == 1
        assert fields(got, b"upgrade") == [b"websocket"]
        await client.send(b"ping")
        await instance.gets(b"ping")

        client, instance = await world.asking(GET)
        await instance.through()
        await instance.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Inner: 1\r\n\r\n" + OK)
        assert await client.through() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert len(fields(await client.through(), b"strict-transport-security")) == 1


async def own_answers(world: Through) -> dict[str, bytes]:
    """Have pointsman answer by itself in all the ways there are."""
    asked = {
        "no route": b"GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "nobody": b"GET /nobody HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "malformed": b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "redirect": b"GET /away HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "answer": b"HEAD /closed HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "allowed": b"OPTIONS /nobody HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n",
    }
    return {
        what: (await (await world.client(request)).rest()).partition(b"\r\n\r\n")[0] for what, request in asked.items()
    }


async def test_our_own_answers_get_the_rules_of_the_listener_and_those_of_their_route() -> None:
    listener = {**LISTENER, "response_headers": {"set": {**HSTS, "X-Where": "{host}{path}"}, "remove": ["Date"]}}
    of_route = {"response_headers": {"set": {"X-Route": "r", "Content-Type": "text/x"}}}
    routes: list[dict[str, Any]] = [
        {"path": "/nobody", "service": "empty", **of_route},
        {"path": "/away", "redirect": {"path": "/b"}, **of_route},
        {"path": "/closed", "answer": {"status": 503, "body": "closed"}, **of_route},
    ]
    empty = {"discovery": {"static": []}, "response_headers": {"set": {"X-Service": "s"}}}
    async with through(others={"empty": empty}, listeners=[listener], routes=routes) as world:
        got = await own_answers(world)
    assert [head[9:12] for head in got.values()] == [b"404", b"503", b"400", b"302", b"503", b"200"]
    for what, head in got.items():
        assert len(fields(head, b"strict-transport-security")) == 1, what
        assert fields(head, b"date") == []
        assert fields(head, b"x-service") == []  # whose rules are for what its instances say
        assert len(fields(head, b"content-length")) == 1
        routed = what in ("nobody", "redirect", "answer")
        assert fields(head, b"x-route") == [b"r"] * routed, what
        assert fields(head, b"content-type").count(b"text/x") == routed
    assert fields(got["no route"], b"x-where") == [b"h/none"]
    assert fields(got["malformed"], b"x-where") == []  # nothing is known of it


async def test_a_split_gets_the_rules_of_the_service_that_was_chosen() -> None:
    def side(name: str) -> dict[str, Any]:
        return {"request_headers": {"set": {"X-Side": name}}, "response_headers": {"set": {"X-Side": name}}}

    routes = [{"split": "s", "request_headers": {"set": {"X-Side": "r", "X-R": "r"}}}]
    splits = {"s": {"services": {"web": 1, "canary": 0}}}
    async with through(side("web"), {"canary": side("canary")}, routes=routes, splits=splits) as world:
        for name in ("web", "canary"):
            world.application.splits["s"].reweigh({other: int(other == name) for other in world.instances})
            client, instance = await world.asking(GET, name)
            asked = await instance.through()
            assert (fields(asked, b"x-side"), fields(asked, b"x-r")) == ([name.encode()], [b"r"])
            await instance.send(OK)
            assert fields(await client.through(), b"x-side") == [name.encode()]


async def test_routes_without_rules_are_asked_for_nothing() -> None:
    async with through() as world:
        listener = world.application.listeners[0]
        assert isinstance(listener, Listener)
        terms = listener.router.find(cast("RequestHead", None))
        assert terms is not None
        assert (terms.edge, terms.adds, terms.request_rules, terms.response_rules) == (None, False, None, None)


async def test_a_client_of_http_1_0_that_names_no_host() -> None:
    async with through({"request_headers": {"set": {"X-A": "{host}."}}, "response_headers": {"set": HSTS}}) as world:
        client, instance = await world.asking(b"GET / HTTP/1.0\r\n\r\n")
        asked = await instance.through()
        assert (fields(asked, b"x-a"), fields(asked, b"x-forwarded-host")) == ([b"."], [])
        await instance.send(OK)
        assert await client.rest() == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nStrict-Transport-Security: max-age=31536000\r\n"
            b"Connection: close\r\n" + VIA + b"ok"
        )


async def test_with_curl(curl: DebianProgram) -> None:
    listener = {**LISTENER, "response_headers": {"set": HSTS, "remove": ["X-Powered-By"]}}
    async with through({"request_headers": {"set": {"X-A": "{host}."}}}, listeners=[listener]) as world:
        words = ("-sS", "-i", "-H", "X-A: forged", world.pointsman.url)
        running = asyncio.create_task(asyncio.to_thread(curl.run, *words, timeout=10))
        instance = await world.instances["web"].accept()
        asked = await instance.through()
        assert fields(asked, b"x-a") == [world.pointsman.url.removeprefix("http://").encode() + b"."]
        await instance.send(OK.replace(b"\r\n\r\n", b"\r\nX-Powered-By: php\r\nx-powered-by: more\r\n\r\n"))
        told = await running
        assert told.returncode == 0
        assert fields(told.stdout, b"strict-transport-security") == [b"max-age=31536000"]
        assert fields(told.stdout, b"x-powered-by") == []
