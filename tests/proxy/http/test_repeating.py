"""A request that is sent once more: after what, to whom, how often, and with what of its body."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from compiled import loading
from proxy.http.connections import Connections
from proxy.http.exchange import Exchange
from proxy.http.retries import RetryBudget, RetryPolicy
from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, Peer, Proxy, proxying, until

TIMES = Timeouts(response_head=40.0, body_idle=30.0)
BAD = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
BAD_SENT = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nVia: 1.1 pointsman\r\n\r\nbusy"
ON_STATUS = RetryPolicy(statuses=frozenset([404, 503]), backoff=0.001)
ON_TIMEOUT = RetryPolicy(on_timeout=True, backoff=0.001)
LATE = RetryPolicy(backoff=1000.0)  # a second, the longest pause: no test waits for it


async def asked(proxy: Proxy) -> tuple[int, Peer]:
    """Take the next connection that any of the instances gets; return the instance's number too."""
    accepts = [asyncio.ensure_future(instance.accept()) for instance in proxy.instances]
    [done], pending = await asyncio.wait(accepts, return_when=asyncio.FIRST_COMPLETED)
    for other in pending:
        other.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return accepts.index(done), await done


def under_way(proxy: Proxy) -> Exchange:
    """The only exchange."""
    [exchange] = [client._exchange for client in proxy.listener._clients if isinstance(client._exchange, Exchange)]
    return exchange


# What an instance does with a request, by name; what may be tried again for it, and what its failure is answered with.
async def resets(proxy: Proxy, instance: Peer) -> None:
    instance.reset()


async def closes(proxy: Proxy, instance: Peer) -> None:
    instance.close()


async def answers_503(proxy: Proxy, instance: Peer) -> None:
    await instance.send(BAD)


async def says_nothing(proxy: Proxy, instance: Peer) -> None:
    proxy.pass_time(40.1)


FAILURES = [
    (resets, RetryPolicy(), 502),
    (closes, RetryPolicy(), 502),
    (answers_503, ON_STATUS, 503),
    (says_nothing, ON_TIMEOUT, 504),
]


@pytest.mark.parametrize(("fails", "policy", "_status"), FAILURES)
async def test_another_instance_is_asked(fails: Any, policy: RetryPolicy, _status: int) -> None:
    async with proxying(instances=2, retries=policy, timeouts=TIMES, logged=True) as proxy:
        client = await proxy.client()
        await client.send(GET)
        first, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await fails(proxy, instance)
        second, instance = await asked(proxy)
        assert first != second
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert proxy.traffic.retries == 1
        [record] = proxy.records
        assert (record.status, record.attempts, record.endpoint) == (200, 2, f"i{second}")
        assert (record.downstream_end, record.upstream_end) == ("complete", "complete")


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"LOCK"])
@pytest.mark.parametrize(("fails", "policy", "status"), FAILURES)
async def test_what_is_not_idempotent_is_never_sent_twice(
    fails: Any, policy: RetryPolicy, status: int, method: bytes
) -> None:
    async with proxying(instances=2, retries=policy, timeouts=TIMES) as proxy:
        client = await proxy.client()
        await client.send(GET.replace(b"GET", method))
        _, instance = await asked(proxy)
        await instance.through()
        await fails(proxy, instance)
        assert (await client.response())[0] == status
        assert (proxy.traffic.retries, sum(endpoint.requests for endpoint in proxy.endpoints)) == (0, 1)


@pytest.mark.parametrize(("fails", "policy", "status"), FAILURES)
async def test_the_only_instance_is_asked_again_and_has_the_last_word(
    fails: Any, policy: RetryPolicy, status: int
) -> None:
    policy = RetryPolicy(2, policy.on_reset, policy.on_timeout, policy.statuses, backoff=0.001)
    async with proxying(retries=policy, timeouts=TIMES) as proxy:
        client = await proxy.client()
        await client.send(GET)
        for _ in range(3):
            instance = await proxy.instance.accept()
            await instance.gets(GET_SENT)
            await fails(proxy, instance)
        if status == 503:
            await client.gets(BAD_SENT)
        else:
            assert (await client.response())[0] == status
        assert proxy.traffic.retries == 2


@pytest.mark.parametrize(
    ("fails", "policy", "status"),
    [
        (resets, RetryPolicy(on_reset=False), 502),
        (resets, RetryPolicy(attempts=0), 502),
        (answers_503, RetryPolicy(), 503),
        (answers_503, RetryPolicy(attempts=0, statuses=frozenset([503])), 503),
        (says_nothing, RetryPolicy(), 504),
        (says_nothing, RetryPolicy(attempts=0, on_timeout=True), 504),
    ],
)
async def test_nobody_else_is_asked_unless_the_policy_says_so(fails: Any, policy: RetryPolicy, status: int) -> None:
    async with proxying(instances=2, retries=policy, timeouts=TIMES) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await fails(proxy, instance)
        assert (await client.response())[0] == status
        assert (proxy.traffic.retries, proxy.service.budget._spent) == (0, 0)


async def test_a_status_of_4xx_may_be_one_to_try_again_too() -> None:
    async with proxying(instances=2, retries=ON_STATUS) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await instance.send(b"HTTP/1.1 404 Not Yet\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot")
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert [endpoint.server_errors for endpoint in proxy.endpoints] == [0, 0]


async def test_the_pause_is_only_for_an_instance_that_has_failed_the_request_before() -> None:
    async with proxying(instances=3, retries=RetryPolicy(attempts=5, backoff=1000.0)) as proxy:
        client = await proxy.client()
        await client.send(GET)
        failed = set()
        for _ in range(3):
            number, instance = await asked(proxy)
            await instance.gets(GET_SENT)
            instance.close()
            failed.add(number)
        assert failed == {0, 1, 2}
        await until(lambda: sum(endpoint.broken for endpoint in proxy.endpoints) == 3)
        exchange = under_way(proxy)
        assert exchange._timer is not None
        assert exchange.endpoint is None
        # Nothing ends it but the whole time of the request, its client, and the pause itself.
        proxy.pass_time(400.0)
        assert proxy.traffic.in_flight == 1
        exchange._find_late()
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_pause_ends_by_itself() -> None:
    async with proxying(retries=RetryPolicy(backoff=0.01)) as proxy:
        client, instance = await proxy.asking()
        await instance.gets(GET_SENT)
        instance.close()
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_client_that_leaves_during_the_pause_ends_it() -> None:
    async with proxying(retries=LATE) as proxy:
        client, instance = await proxy.asking()
        await instance.gets(GET_SENT)
        instance.close()
        await until(lambda: proxy.endpoints[0].broken)
        timer = under_way(proxy)._timer
        assert timer is not None
        client.close()
        await until(lambda: proxy.traffic.abandoned)
        assert timer.cancelled()
        assert proxy.endpoints[0].requests == 1


async def test_the_whole_time_of_the_request_runs_on_over_all_tries() -> None:
    times = Timeouts(response_head=40.0, request=60.0)
    async with proxying(retries=RetryPolicy(on_timeout=True, attempts=5, backoff=1000.0), timeouts=times) as proxy:
        client, instance = await proxy.asking()
        await instance.gets(GET_SENT)
        proxy.pass_time(40.1)
        await instance.gone()
        assert under_way(proxy)._timer is not None
        proxy.pass_time(60.1)
        status, _, content = await client.response()
        assert (status, b"was not answered within 60 s" in content) == (504, True)
        assert proxy.endpoints[0].requests == 1


async def test_each_try_has_the_whole_time_for_its_answer() -> None:
    async with proxying(instances=2, retries=ON_TIMEOUT, timeouts=TIMES) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        proxy.pass_time(40.1)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        proxy.pass_time(39.0)
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert sorted(endpoint.timeouts for endpoint in proxy.endpoints) == [0, 1]


async def test_once_an_answer_has_begun_nobody_else_is_asked() -> None:
    policy = RetryPolicy(on_timeout=True, statuses=frozenset([503]))
    async with proxying(instances=2, retries=policy, timeouts=TIMES) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        await client.through(b"some")
        proxy.pass_time(300.1)
        await client.broken()
        assert proxy.traffic.retries == 0


async def test_a_malformed_answer_is_not_asked_for_again() -> None:
    async with proxying(instances=2, retries=ON_STATUS) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await instance.send(b"nonsense\r\n\r\n")
        assert (await client.response())[0] == 502
        assert proxy.traffic.retries == 0


@pytest.mark.parametrize(("fails", "policy", "status"), FAILURES)
async def test_where_the_budget_is_spent_nobody_else_is_asked(fails: Any, policy: RetryPolicy, status: int) -> None:
    async with proxying(instances=2, retries=policy, timeouts=TIMES, budget=RetryBudget(0.0, 0.0)) as proxy:
        client = await proxy.client()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await fails(proxy, instance)
        assert (await client.response())[0] == status
        assert (proxy.traffic.retries, proxy.service.budget.exhausted) == (0, 1)


async def test_a_storm_of_failures_stays_within_the_budget() -> None:
    budget = RetryBudget(0.2, 0.0)
    async with proxying(instances=2, retries=RetryPolicy(attempts=5, backoff=0.0), budget=budget) as proxy:

        async def fail(number: int) -> None:
            while True:
                peer = await proxy.instances[number].accept()
                await peer.through()
                peer.close()

        failing = [asyncio.ensure_future(fail(number)) for number in range(2)]
        client = await proxy.client()
        for _ in range(100):
            await client.send(GET)
            assert (await client.response())[0] == 502
        for task in failing:
            task.cancel()
        await asyncio.gather(*failing, return_exceptions=True)
        assert (proxy.traffic.requests, proxy.traffic.retries) == (100, 20)
        assert sum(endpoint.requests for endpoint in proxy.endpoints) == 120


async def test_neither_failed_connections_nor_stale_ones_cost_anything_of_the_budget() -> None:
    async with proxying(instances=2, budget=RetryBudget(0.0, 0.0)) as proxy:
        proxy.instances[0].close()
        client = await proxy.client()
        instance: Peer | None = None
        for _ in range(4):
            await client.send(GET)
            if instance is not None:
                await instance.gets(GET_SENT)
                instance.close()
            instance = await proxy.instances[1].accept()
            await instance.gets(GET_SENT)
            await instance.send(OK)
            await client.gets(OK_SENT)
        assert proxy.endpoints[0].connect_failures
        assert proxy.traffic.retries >= 3
        assert (proxy.service.budget._spent, proxy.service.budget.exhausted) == (0, 0)


@pytest.mark.skipif(loading.outcome.compiled, reason="what compiled code calls cannot be replaced")
async def test_no_descriptors_are_our_fault_and_no_instance_s(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_left(self: Connections, exchange: object, speaks: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async with proxying(instances=3) as proxy:
        monkeypatch.setattr(Connections, "_open", none_left)
        client = await proxy.client()
        for _ in range(6):
            await client.send(GET)
            status, head, content = await client.response()
            assert (status, b"\r\nRetry-After: 1\r\n" in head) == (503, True)
            assert b"connection failed: Too many open files" in content
        assert [endpoint.connect_failures for endpoint in proxy.endpoints] == [0, 0, 0]
        assert (proxy.traffic.retries, proxy.service.pool.ejections) == (0, 0)
        monkeypatch.undo()
        await client.send(GET)
        _, instance = await asked(proxy)
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)
