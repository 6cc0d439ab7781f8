"""The time for the whole of a request, whatever it is spent on; and whose time-outs they are."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from discovery.instance import Instance
from proxy.http.terms import NEVER, Timeouts
from proxy.routes import Route
from tests.proxy.http.scripted import FORWARDED, GET, GET_SENT, OK, OK_SENT, fill, proxying, until
from tests.proxy.http.test_retries import full_port, put

if TYPE_CHECKING:
    from proxy.http.terms import Terms

TIMES = Timeouts(body_idle=1000.0, response_head=1000.0, stream_idle=1000.0, request=60.0)
PUT = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\n"
TEXT = b"the request was not answered within 60 s"


async def test_a_body_that_drips_is_408() -> None:
    async with proxying(timeouts=TIMES, logged=True) as proxy:
        client, instance = await proxy.asking(PUT + b"some")
        await instance.through()
        await instance.gets(b"some")
        proxy.pass_time(59.0)
        await client.send(b"t")
        await instance.gets(b"t")
        proxy.pass_time(60.1)
        status, _, content = await client.response()
        assert (status, TEXT in content) == (408, True)
        assert await client.rest() == b""
        await instance.gone()
        [record] = proxy.records
        assert (record.downstream_end, record.upstream_end) == ("timeout", "aborted")
        assert proxy.endpoints[0].timeouts == 0


async def test_an_instance_that_does_not_take_the_body_is_504() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, _ = await proxy.asking(PUT.replace(b"9", b"99999999"))
        [downstream] = proxy.listener._clients
        await fill(client, b"x" * 50_000_000, lambda: downstream.held)
        proxy.pass_time(60.1)
        assert (await client.response())[0] == 504


async def test_an_instance_that_does_not_answer_is_504_and_the_connection_stays() -> None:
    async with proxying(timeouts=TIMES, logged=True) as proxy:
        client, instance = await proxy.asking(PUT + b"some text" + GET)
        await instance.through()
        await instance.gets(b"some text")
        proxy.pass_time(60.1)
        status, _, content = await client.response()
        assert (status, TEXT in content) == (504, True)
        await instance.gone()
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        proxy.pass_time(59.0)  # the next request has a time of its own
        await instance.send(OK)
        await client.gets(OK_SENT)
        first, second = proxy.records
        assert (first.downstream_end, first.upstream_end, second.status) == ("complete", "timeout", 200)


async def test_a_response_that_drips_is_broken_off() -> None:
    async with proxying(timeouts=TIMES, logged=True) as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        await client.through(b"some")
        proxy.pass_time(59.0)
        await instance.send(b" ")
        await client.gets(b" ")
        proxy.pass_time(60.1)
        await client.broken()
        await instance.gone()
        assert proxy.traffic.broken == 1
        [record] = proxy.records
        assert (record.status, record.downstream_end, record.upstream_end) == (200, "broken", "timeout")


async def test_a_connection_that_takes_too_long_to_make_is_504() -> None:
    port, waiting = full_port()
    async with proxying(instances=0, timeouts=replace(TIMES, connect=1000.0)) as proxy:
        put(proxy, Instance("slow", "127.0.0.1", port))
        client = await proxy.client()
        await client.send(GET)
        await until(lambda: proxy.traffic.in_flight)
        proxy.pass_time(59.0)
        assert proxy.traffic.in_flight == 1
        proxy.pass_time(60.1)
        status, _, content = await client.response()
        assert (status, TEXT in content) == (504, True)
        assert not proxy.service.connections[proxy.endpoints[0]]._connecting
    for peer in waiting:
        peer.close()


async def test_between_two_requests_no_time_runs() -> None:
    async with proxying(timeouts=replace(TIMES, keepalive=1000.0)) as proxy:
        client, instance = await proxy.served()
        [downstream] = proxy.listener._clients
        assert downstream.expires == NEVER
        proxy.listener.sweep(time.monotonic() + 60.1)
        await client.send(GET)
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_without_such_a_limit_nothing_expires() -> None:
    async with proxying(timeouts=replace(TIMES, request=NEVER)) as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        proxy.pass_time(999.0)
        await instance.send(OK)
        await client.gets(OK_SENT)


def two_levels(terms: Terms) -> list[Route[Terms]]:
    """Requests below /quick are in more of a hurry."""
    quick = Timeouts(body_idle=1.0, response_head=2.0, stream_idle=3.0, request=60.0)
    return [Route(replace(terms, timeouts=quick), path=b"/quick"), Route(terms)]


@pytest.mark.parametrize(("path", "seconds"), [(b"/quick", 2.0), (b"/", 1000.0)])
async def test_the_time_for_an_answer_is_the_route_s(path: bytes, seconds: float) -> None:
    async with proxying(timeouts=TIMES, routes=two_levels) as proxy:
        client, instance = await proxy.asking(GET.replace(b"/", path, 1))
        await instance.through()
        [downstream] = proxy.listener._clients
        assert downstream.deadline <= time.monotonic() + seconds
        proxy.pass_time(min(seconds, 50.0) - 0.5)
        assert proxy.traffic.in_flight == 1
        if path == b"/quick":
            proxy.pass_time(2.1)
            assert (await client.response())[0] == 504
        else:
            await instance.send(OK)
            await client.gets(OK_SENT)


async def test_the_time_for_a_body_and_for_a_response_are_the_route_s() -> None:
    async with proxying(timeouts=TIMES, routes=two_levels) as proxy:
        client, instance = await proxy.asking(PUT.replace(b"/", b"/quick", 1) + b"some")
        await instance.through(b"some")
        proxy.pass_time(1.1)
        assert (await client.response())[0] == 408
        client, instance = await proxy.asking(GET.replace(b"/", b"/quick", 1))
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        await client.through(b"some")
        proxy.pass_time(2.5)
        assert proxy.traffic.in_flight == 1
        proxy.pass_time(3.1)
        await client.broken()


async def test_a_route_s_times_do_not_stay_with_the_connection() -> None:
    async with proxying(timeouts=TIMES, routes=two_levels) as proxy:
        client, instance = await proxy.asking(GET.replace(b"/", b"/quick", 1))
        await instance.through()
        await instance.send(OK)
        await client.gets(OK_SENT)
        await client.send(GET)
        await instance.gets(b"GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Host: shop\r\n" + FORWARDED)
        proxy.pass_time(50.0)
        await instance.send(OK)
        await client.gets(OK_SENT)
