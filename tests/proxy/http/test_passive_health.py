"""An instance whose requests keep failing is given no more of them for a time, through the whole proxy."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from balancers.health import Thresholds
from proxy.http.retries import RetryPolicy
from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import GET, OK, OK_SENT, Peer, Proxy, proxying, turns, until
from tests.proxy.http.test_tunnels import tunnel
from tests.proxy.http.test_upgrades import SWITCHING, WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Behaviour = Callable[[Peer], Awaitable[None]]

TIMES = Timeouts(response_head=40.0)
ONCE = RetryPolicy(attempts=0)
ERROR = b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"


async def answers(peer: Peer) -> None:
    await peer.send(OK)


async def errs(peer: Peer) -> None:
    await peer.send(ERROR)


async def resets(peer: Peer) -> None:
    peer.reset()


async def closes(peer: Peer) -> None:
    peer.close()


async def breaks_off(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
    peer.close()


async def says_nonsense(peer: Peer) -> None:
    await peer.send(b"nonsense\r\n\r\n")


async def switches_unasked(peer: Peer) -> None:
    await peer.send(SWITCHING)


async def says_nothing(peer: Peer) -> None:
    pass


async def not_found(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


@contextlib.asynccontextmanager
async def serving(proxy: Proxy, behaviours: list[Behaviour | None]) -> AsyncIterator[None]:
    """Have each instance answer its requests in its way; None is not even listening."""

    async def serve(number: int, peer: Peer) -> None:
        with contextlib.suppress(OSError, ValueError, AssertionError):
            while await peer.through():
                behaviour = behaviours[number]
                assert behaviour is not None
                await behaviour(peer)

    async def accept(number: int, group: asyncio.TaskGroup) -> None:
        with contextlib.suppress(OSError):
            while True:
                group.create_task(serve(number, await proxy.instances[number].accept()))

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for number, behaviour in enumerate(behaviours):
                if behaviour is None:
                    proxy.instances[number].close()
                else:
                    group.create_task(accept(number, group))

    task = asyncio.ensure_future(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ask(proxy: Proxy, mute: int = -1) -> int:
    """Make one request on a connection of its own; return which instance got it. One that is mute is waited for."""
    before = [endpoint.requests for endpoint in proxy.endpoints]
    client = await proxy.client()
    await client.send(GET)
    await until(lambda: [endpoint.requests for endpoint in proxy.endpoints] != before)
    [number] = [n for n, endpoint in enumerate(proxy.endpoints) if endpoint.requests > before[n]]
    if number == mute:
        exchanges = [downstream._exchange for downstream in proxy.listener._clients]
        await until(lambda: any(exchange is not None and exchange.upstream is not None for exchange in exchanges))
        proxy.listener.sweep(time.monotonic() + 40.1)
    await until(lambda: not proxy.traffic.in_flight)
    client.close()
    return number


def counters(proxy: Proxy, number: int) -> dict[str, int]:
    endpoint = proxy.endpoints[number]
    names = ("server_errors", "broken", "timeouts", "malformed", "connect_failures")
    return {name: getattr(endpoint, name) for name in names if getattr(endpoint, name)}


FAILURES = {
    "5xx": (errs, "server_errors", "answered 500"),
    "resets": (resets, "broken", "the instance closed the connection early: "),
    "an early end": (closes, "broken", "the instance closed the connection early: end of stream"),
    "in the middle of a body": (breaks_off, "broken", "the instance closed the connection early: end of stream"),
    "time-outs": (says_nothing, "timeouts", "the instance did not answer in time"),
    "nonsense": (says_nonsense, "malformed", "the instance sent a malformed response: "),
    "a 101 that nobody asked for": (switches_unasked, "malformed", "the instance sent a malformed response: 101"),
}


@pytest.mark.parametrize(("behaviour", "counter", "reason"), FAILURES.values(), ids=FAILURES.keys())
async def test_five_in_a_row_eject_one_of_three(behaviour: Behaviour, counter: str, reason: str) -> None:
    async with (
        proxying(instances=3, thresholds=Thresholds(), retries=ONCE, timeouts=TIMES) as proxy,
        serving(proxy, [answers, behaviour, answers]),
    ):
        mute = 1 if behaviour is says_nothing else -1
        asked = [await ask(proxy, mute) for _ in range(15)]
        assert sorted(asked) == [0] * 5 + [1] * 5 + [2] * 5
        health = proxy.endpoints[1].health
        assert (health.state, health.cause) == ("ejected", "5xx" if counter == "server_errors" else "local")
        assert health.reason.startswith(f"5 requests in a row failed, the last one: {reason}")
        assert 29.0 < health.until - time.monotonic() <= 30.0
        assert {await ask(proxy) for _ in range(6)} == {0, 2}
        assert [counters(proxy, number) for number in range(3)] == [{}, {counter: 5}, {}]
        assert proxy.service.pool.ejections == 1
        proxy.service.sweep(time.monotonic() + 30.1)
        assert 1 in {await ask(proxy, mute) for _ in range(3)}


async def test_five_connections_in_a_row_that_cannot_be_made_eject_one_of_three() -> None:
    async with (
        proxying(instances=3, thresholds=Thresholds()) as proxy,
        serving(proxy, [answers, None, answers]),
    ):
        client = await proxy.client()
        for _ in range(30):
            await client.send(GET)
            await client.gets(OK_SENT)  # somebody else serves it
        assert counters(proxy, 1) == {"connect_failures": 5}
        health = proxy.endpoints[1].health
        assert (health.state, health.cause) == ("ejected", "local")
        assert health.reason.startswith("5 requests in a row failed, the last one: connection failed: ")
        assert proxy.endpoints[1].requests == 5


async def test_what_was_tried_again_elsewhere_counts_too() -> None:
    async with (
        proxying(instances=3, thresholds=Thresholds(), retries=RetryPolicy(attempts=1)) as proxy,
        serving(proxy, [answers, closes, answers]),
    ):
        client = await proxy.client()
        for _ in range(30):
            await client.send(GET)
            await client.gets(OK_SENT)
        assert counters(proxy, 1) == {"broken": 5}
        assert proxy.endpoints[1].health.state == "ejected"


@pytest.mark.parametrize("well", [answers, not_found])
async def test_a_good_answer_between_them_ends_the_row(well: Behaviour) -> None:
    behaviours: list[Behaviour | None] = [answers, errs, answers]
    async with (
        proxying(instances=3, thresholds=Thresholds(), retries=ONCE) as proxy,
        serving(proxy, behaviours),
    ):
        for _ in range(2):
            behaviours[1] = errs
            for _ in range(12):
                await ask(proxy)
            behaviours[1] = well
            for _ in range(3):
                await ask(proxy)
        assert counters(proxy, 1) == {"server_errors": 8}
        assert not proxy.endpoints[1].suspect
        assert proxy.service.pool.ejections == 0


async def test_a_tunnel_between_them_ends_the_row_too() -> None:
    async with proxying(thresholds=Thresholds(), retries=ONCE) as proxy:
        for _ in range(2):
            client, instance = await proxy.asking()
            for number in range(4):
                await instance.through()
                await instance.send(ERROR)
                await client.response()
                await client.send(GET if number < 3 else WEBSOCKET)
            await instance.through()
            await instance.send(SWITCHING)
            await client.through()
            assert not proxy.endpoints[0].suspect
            client.close()
            instance.close()
            await until(lambda: not proxy.listener.clients)


async def test_what_its_clients_do_is_not_held_against_an_instance() -> None:
    async with proxying(thresholds=Thresholds(), timeouts=TIMES, body=10) as proxy:
        put = b"PUT / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _ in range(5):
            client, instance = await proxy.asking()
            await instance.through()
            client.reset()
            await instance.gone()
            client, instance = await proxy.asking(put)
            await instance.through()
            await client.send(b"b\r\n")
            assert (await client.response())[0] == 413
            client, instance = await proxy.asking(put)
            await instance.through()
            await client.send(b"nonsense\r\n")
            assert (await client.response())[0] == 400
            client, instance = await proxy.asking(put)
            await instance.through()
            proxy.listener.sweep(time.monotonic() + 30.1)
            assert (await client.response())[0] == 408
            client, instance = await tunnel(proxy)
            client.reset()
            await instance.gone()
            await turns()
        assert (counters(proxy, 0), proxy.endpoints[0].suspect) == ({}, False)


async def test_an_outage_of_all_leaves_somebody() -> None:
    async with (
        proxying(instances=3, thresholds=Thresholds(), retries=ONCE) as proxy,
        serving(proxy, [errs, errs, errs]),
    ):
        for _ in range(40):
            await ask(proxy)
        assert [endpoint.health.state for endpoint in proxy.endpoints].count("ejected") == 1
        assert proxy.service.pool.pick() is not None
