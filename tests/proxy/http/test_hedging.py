"""A second copy of a request that is not answered: who wins, and what becomes of the other one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.http.exchange import Exchange
from proxy.http.places import PlaceLimits
from proxy.http.retries import RetryBudget, RetryPolicy
from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import FORWARDED, GET, GET_SENT, OK, OK_SENT, Peer, Proxy, proxying, turns, until
from tests.proxy.http.test_repeating import answers_503, asked, closes, resets, under_way
from tests.proxy.http.test_upgrades import SWITCHING, WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = Timeouts(response_head=40.0)
SOON = RetryPolicy(hedge_after=0.005, attempts=0)
OTHER = OK.replace(b"ok", b"no")
OTHER_SENT = OK_SENT.replace(b"ok", b"no")


async def hedged(proxy: Proxy, request: bytes = GET) -> tuple[Peer, int, Peer, Peer]:
    """Have a request hedged; return the client, the number of the instance asked first, and both connections."""
    client = await proxy.client()
    await client.send(request)
    number, first = await asked(proxy)
    second = await proxy.instances[1 - number].accept()
    for instance in (first, second):
        await instance.gets(GET_SENT)
    return client, number, first, second


def quiet(proxy: Proxy) -> bool:
    """Tell whether nobody asks anybody anything."""
    return all(endpoint.in_flight == 0 for endpoint in proxy.endpoints) and not proxy.traffic.in_flight


async def test_the_second_wins_when_it_answers_first() -> None:
    async with proxying(instances=2, retries=SOON, logged=True) as proxy:
        client, number, first, second = await hedged(proxy)
        assert [endpoint.in_flight for endpoint in proxy.endpoints] == [1, 1]
        await second.send(OK)
        await client.gets(OK_SENT)
        await first.gone()
        assert quiet(proxy)
        assert (proxy.traffic.retries, proxy.traffic.hedges, proxy.traffic.requests) == (1, 1, 1)
        assert [endpoint.requests for endpoint in proxy.endpoints] == [1, 1]
        assert proxy.idle == 1  # the winner's
        [record] = proxy.records
        assert (record.endpoint, record.attempts, record.status) == (f"i{1 - number}", 2, 200)


async def test_the_first_wins_when_it_answers_after_all() -> None:
    async with proxying(instances=2, retries=SOON) as proxy:
        client, _, first, second = await hedged(proxy)
        await first.send(OK)
        await client.gets(OK_SENT)
        await second.gone()
        assert quiet(proxy)
        assert proxy.idle == 1


@pytest.mark.parametrize("late", [0, 1])
async def test_the_whole_of_a_long_response_comes_from_the_winner(late: int) -> None:
    async with proxying(instances=2, retries=SOON) as proxy:
        client, _, *instances = await hedged(proxy)
        winner, loser = instances[1 - late], instances[late]
        await winner.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"w" * 10)
        await client.through()
        await loser.gone()
        sending = asyncio.ensure_future(winner.send(b"w" * 299_990))
        assert await client.exactly(300_000) == b"w" * 300_000
        await sending
        await until(lambda: quiet(proxy))
        assert proxy.idle == 1


async def test_a_winner_that_breaks_off_breaks_the_response_off() -> None:
    async with proxying(instances=2, retries=SOON, timeouts=TIMES) as proxy:
        client, number, _, second = await hedged(proxy)
        await second.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        await client.through(b"some")
        second.reset()
        await client.broken()
        assert [endpoint.broken for endpoint in proxy.endpoints] == [number, 1 - number]


async def test_an_answer_in_time_is_not_hedged() -> None:
    async with proxying(instances=2, retries=RetryPolicy(hedge_after=1000.0)) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        timer = under_way(proxy)._timer
        assert timer is not None
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert timer.cancelled()
        assert proxy.traffic.hedges == 0


async def fails_to_answer(proxy: Proxy, instance: Peer) -> None:
    await instance.send(b"nonsense\r\n\r\n")


async def breaks_in_its_head(proxy: Proxy, instance: Peer) -> None:
    await instance.send(b"HTTP/1.1 2")
    instance.close()


async def switches(proxy: Proxy, instance: Peer) -> None:
    await instance.send(SWITCHING)


FAILURES = [resets, closes, answers_503, fails_to_answer, breaks_in_its_head, switches]


@pytest.mark.parametrize("fails", FAILURES)
async def test_a_second_that_fails_is_known_to_its_endpoint_but_not_to_the_client(fails: Any) -> None:
    async with proxying(instances=2, retries=SOON, timeouts=TIMES) as proxy:
        client, number, first, second = await hedged(proxy)
        await fails(proxy, second)
        await until(lambda: proxy.endpoints[1 - number].in_flight == 0)
        assert proxy.endpoints[number].in_flight == 1
        assert [endpoint.failures for endpoint in proxy.endpoints] == [number, 1 - number]
        await first.send(OK)
        await client.gets(OK_SENT)
        assert quiet(proxy)


@pytest.mark.parametrize("fails", FAILURES)
async def test_a_first_that_fails_leaves_it_to_the_second(fails: Any) -> None:
    async with proxying(instances=2, retries=SOON, timeouts=TIMES, budget=RetryBudget(1.0, 0.0)) as proxy:
        client, number, first, second = await hedged(proxy)
        assert not proxy.service.budget.spend(proxy.traffic.requests)  # the second is on its way, and costs no more
        await fails(proxy, first)
        await until(lambda: proxy.endpoints[number].in_flight == 0)
        assert proxy.endpoints[1 - number].in_flight == 1
        proxy.pass_time(39.0)  # it has the whole time for its answer, and no more
        [downstream] = proxy.listener._clients
        assert downstream.deadline <= time.monotonic() + 40.0
        await second.send(OK)
        await client.gets(OK_SENT)
        assert quiet(proxy)


@pytest.mark.parametrize("fails", FAILURES)
async def test_when_both_fail_the_client_is_told(fails: Any) -> None:
    async with proxying(instances=2, retries=SOON, timeouts=TIMES) as proxy:
        client, number, first, second = await hedged(proxy)
        await fails(proxy, first)
        await until(lambda: proxy.endpoints[number].in_flight == 0)
        await fails(proxy, second)
        assert (await client.response())[0] == (503 if fails is answers_503 else 502)
        assert quiet(proxy)


async def test_when_both_have_failed_others_may_be_asked() -> None:
    policy = RetryPolicy(hedge_after=0.005, attempts=1)
    async with proxying(instances=3, retries=policy, timeouts=TIMES) as proxy:
        client = await proxy.client()
        await client.send(GET)
        numbers = []
        for _ in range(2):
            number, instance = await asked(proxy)
            await instance.gets(GET_SENT)
            numbers.append((number, instance))
        for number, instance in numbers:
            instance.close()
            await until(lambda number=number: proxy.endpoints[number].in_flight == 0)  # type: ignore[misc]
        last, instance = await asked(proxy)
        assert {last, *(number for number, _ in numbers)} == {0, 1, 2}
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


@pytest.mark.parametrize(("on_timeout", "again"), [(False, False), (True, True)])
async def test_the_time_for_an_answer_is_the_first_one_s(on_timeout: bool, again: bool) -> None:
    policy = RetryPolicy(hedge_after=0.005, attempts=0, on_timeout=on_timeout)
    async with proxying(instances=2, retries=policy, timeouts=TIMES) as proxy:
        client, number, first, second = await hedged(proxy)
        proxy.pass_time(40.1)
        await first.gone()
        if again:
            await second.send(OK)
            await client.gets(OK_SENT)
        else:
            assert (await client.response())[0] == 504
            await second.gone()
        assert [endpoint.timeouts for endpoint in proxy.endpoints] == [1 - number, number]
        assert quiet(proxy)


async def test_a_stale_connection_leaves_it_to_the_second_too() -> None:
    async with proxying(instances=2) as proxy:
        client = await proxy.client()
        await client.send(GET)
        number, first = await asked(proxy)
        await first.gets(GET_SENT)
        await first.send(OK)
        await client.gets(OK_SENT)
        # The turn goes round: one request at the other instance, the next on the kept connection.
        await client.send(GET)
        other = await proxy.instances[1 - number].accept()
        await other.gets(GET_SENT)
        await other.send(OK)
        await client.gets(OK_SENT)
        proxy.service.retries = SOON
        await client.send(GET)
        await first.gets(GET_SENT)
        await other.gets(GET_SENT)
        first.close()
        await until(lambda: proxy.endpoints[number].in_flight == 0)
        assert proxy.endpoints[number].broken == 0
        await other.send(OK)
        await client.gets(OK_SENT)
        assert quiet(proxy)


NEVER_HEDGED = {
    "not idempotent": GET.replace(b"GET", b"POST"),
    "to switch": WEBSOCKET,
    "its body is still being sent": b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nhalf",
    "more than is kept": b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000,
}


@pytest.mark.parametrize("request_", NEVER_HEDGED.values(), ids=NEVER_HEDGED.keys())
async def test_never_hedged(request_: bytes) -> None:
    async with proxying(instances=2, retries=RetryPolicy(hedge_after=0.0)) as proxy:
        client = await proxy.client()
        await client.send(request_)
        _, instance = await asked(proxy)
        await instance.through()
        await turns()
        exchange = under_way(proxy)
        assert (exchange._timer, exchange._hedge, proxy.traffic.hedges) == (None, None, 0)
        client.close()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_whole_is_sent_to_both(chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 4"
    body = b"4\r\nbody\r\n0\r\n\r\n" if chunked else b"body"
    async with proxying(instances=2, retries=SOON) as proxy:
        client = await proxy.client()
        await client.send(b"PUT / HTTP/1.1\r\nHost: shop\r\n" + framing + b"\r\n\r\n" + body)
        peers = [await instance.accept() for instance in proxy.instances]
        for peer in peers:
            head = await peer.through()
            assert framing in head
            assert head.endswith(FORWARDED)
            await peer.gets(body)
        await peers[0].send(OK)
        await client.gets(OK_SENT)


async def test_without_a_second_instance_nothing_is_spent() -> None:
    async with proxying(retries=SOON) as proxy:
        client, instance = await proxy.asking()
        await instance.gets(GET_SENT)
        await until(lambda: under_way(proxy)._timer is None)
        assert (proxy.traffic.hedges, proxy.service.budget._spent) == (0, 0)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_spent_budget_allows_no_second() -> None:
    async with proxying(instances=2, retries=SOON, budget=RetryBudget(0.0, 0.0)) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await until(lambda: proxy.service.budget.exhausted)
        assert proxy.traffic.hedges == 0
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_an_endpoint_that_is_full_is_not_asked_as_the_second() -> None:
    limits = PlaceLimits(in_flight_per_endpoint=1, queue=5)
    async with proxying(instances=2, retries=SOON, places=limits) as proxy:
        clients = [await proxy.client() for _ in range(2)]
        for client in clients:
            await client.send(GET)
        peers = [await instance.accept() for instance in proxy.instances]
        for peer in peers:
            await peer.gets(GET_SENT)
        exchanges = [one._exchange for one in proxy.listener._clients]
        await until(lambda: all(isinstance(exchange, Exchange) and exchange._timer is None for exchange in exchanges))
        assert (proxy.traffic.hedges, proxy.service.budget._spent) == (0, 0)
        for peer in peers:
            await peer.send(OK)
        for client in clients:
            await client.gets(OK_SENT)


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset, Peer.finish])
async def test_a_client_that_leaves_ends_both(leave: Callable[[Peer], None]) -> None:
    async with proxying(instances=2, retries=SOON) as proxy:
        client, _, first, second = await hedged(proxy)
        leave(client)
        for instance in (first, second):
            await instance.gone()
        assert quiet(proxy)
        assert proxy.traffic.abandoned == 1


async def test_a_second_that_cannot_be_connected_to_is_no_trouble() -> None:
    async with proxying(instances=2, retries=SOON) as proxy:
        client = await proxy.client()
        await client.send(GET)
        number, first = await asked(proxy)
        proxy.instances[1 - number].close()
        await first.gets(GET_SENT)
        await until(lambda: proxy.traffic.hedges and proxy.endpoints[1 - number].in_flight == 0)
        await first.send(OK)
        await client.gets(OK_SENT)
        assert quiet(proxy)
        assert [endpoint.failures for endpoint in proxy.endpoints] == [number, 1 - number]


@pytest.mark.parametrize("late", [0, 1])
async def test_a_second_has_a_place_of_its_own_until_one_of_the_two_ends(late: int) -> None:
    async with proxying(instances=2, retries=SOON, places=PlaceLimits(in_flight=3)) as proxy:
        places = proxy.service.places
        assert places is not None
        client, _, *instances = await hedged(proxy)
        assert places.taken == 2
        await instances[1 - late].send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        await instances[late].gone()
        assert places.taken == 1
        await instances[1 - late].send(b"k")
        await client.through(b"ok")
        await until(lambda: quiet(proxy))
        assert places.taken == 0


async def test_a_full_service_sends_no_second() -> None:
    async with proxying(instances=2, retries=SOON, places=PlaceLimits(in_flight=1)) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, first = await asked(proxy)
        await first.gets(GET_SENT)
        [exchange] = [one._exchange for one in proxy.listener._clients]
        await until(lambda: isinstance(exchange, Exchange) and exchange._timer is None)
        assert (proxy.traffic.hedges, proxy.service.budget._spent) == (0, 0)
        await first.send(OK)
        await client.gets(OK_SENT)


async def test_the_second_s_interim_responses_wait_until_it_has_won() -> None:
    async with proxying(instances=2, retries=SOON) as proxy:
        client, _, _, second = await hedged(proxy)
        await second.send(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
        await turns()
        await second.send(OK)
        await client.gets(OK_SENT)
