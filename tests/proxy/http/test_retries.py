"""Another try, where the instance cannot have acted on the first one."""

from __future__ import annotations

import asyncio
import socket

import pytest

from discovery.instance import Instance, Snapshot
from proxy.http.retries import RetryPolicy
from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, Peer, Proxy, proxying, until

POST = b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi"
ENOUGH = 0.05  # seconds of a real connect time-out


async def test_refused_by_all_others_the_last_instance_serves() -> None:
    async with proxying(instances=15) as proxy:
        for refusing in proxy.instances[:-1]:
            refusing.close()
        client = await proxy.client()
        await client.send(POST)
        instance = await proxy.instances[-1].accept()
        assert (await instance.through()).startswith(b"POST / ")
        await instance.gets(b"hi")
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert proxy.traffic.retries == sum(endpoint.connect_failures for endpoint in proxy.endpoints)
        assert all(endpoint.connect_failures <= 1 for endpoint in proxy.endpoints)


async def test_refused_by_all_is_502() -> None:
    async with proxying(instances=3) as proxy:
        for instance in proxy.instances:
            instance.close()
        client = await proxy.client()
        await client.send(GET)
        status, _, content = await client.response()
        assert (status, b"connection failed: " in content) == (502, True)
        assert [endpoint.connect_failures for endpoint in proxy.endpoints] == [1, 1, 1]
        assert proxy.traffic.retries == 2


def full_port() -> tuple[int, list[Peer]]:
    """A port whose connections are neither refused nor made: its backlog is full."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    address = listening.getsockname()
    waiting = [Peer(listening)]
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(address)
        waiting.append(Peer(sock))
    return address[1], waiting


def put(proxy: Proxy, *instances: Instance) -> None:
    """Have these instances in the pool."""
    proxy.service.follow(Snapshot("shop", instances))
    proxy.endpoints += proxy.service.pool.endpoints


async def test_no_connection_in_time_is_504() -> None:
    port, waiting = full_port()
    async with proxying(instances=0, timeouts=Timeouts(connect=ENOUGH)) as proxy:
        put(proxy, Instance("slow", "127.0.0.1", port))
        client = await proxy.client()
        await client.send(GET + POST)
        for _ in range(2):
            status, _, content = await client.response()
            assert (status, b"no connection within 0.05 s" in content) == (504, True)
    for peer in waiting:
        peer.close()


async def test_a_name_that_is_none_is_a_connection_that_fails() -> None:
    async with proxying(instances=0) as proxy:
        put(proxy, Instance("a", "no..name", 80), Instance("b", "x" * 70 + ".example", 80))
        client = await proxy.client()
        await client.send(GET)
        assert (await client.response())[0] == 502


async def test_a_client_that_leaves_while_connecting_leaves_nothing_behind() -> None:
    port, waiting = full_port()
    async with proxying(instances=0) as proxy:
        put(proxy, Instance("slow", "127.0.0.1", port))
        client = await proxy.client()
        await client.send(GET)
        await until(lambda: proxy.traffic.in_flight)
        client.close()
        await until(lambda: proxy.traffic.abandoned)
        assert not proxy.service.connections[proxy.endpoints[0]]._connecting
    for peer in waiting:
        peer.close()


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PUT"])
async def test_a_request_written_to_a_connection_that_was_closed_meanwhile_is_tried_again(method: bytes) -> None:
    async with proxying() as proxy:
        client, idle = await proxy.served()
        await client.send(GET.replace(b"GET", method))
        await idle.through()
        idle.close()  # without a byte in answer
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT.replace(b"GET", method))
        await instance.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        await client.gets(b"HTTP/1.1 204 No Content\r\nVia: 1.1 pointsman\r\n\r\n")
        assert proxy.traffic.retries == 1
        assert proxy.endpoints[0].broken == 0


LARGE_PUT = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537  # more than is kept
NOT_AGAIN = {
    "it may have acted": (GET.replace(b"GET", b"POST"), b""),
    "too much of its body was sent": (
        b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537,
        b"",
    ),
    "it began to answer": (GET, b"HTTP/1.1 2"),
    "it gave an interim response": (GET, b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize(("request_", "answer"), NOT_AGAIN.values(), ids=NOT_AGAIN.keys())
async def test_a_request_is_not_tried_again_when(request_: bytes, answer: bytes) -> None:
    async with proxying() as proxy:
        client, idle = await proxy.served()
        await client.send(request_)
        await idle.through()
        await idle.through(request_[-1:]) if request_.startswith(b"PUT") else None
        await idle.send(answer)
        if answer.endswith(b"\r\n\r\n"):
            await client.gets(answer)
        idle.finish()
        assert (await client.response())[0] == 502
        assert (proxy.traffic.retries, proxy.endpoints[0].broken) == (0, 1)


async def lose(proxy: Proxy, request: bytes, answer: bytes = b"") -> Peer:
    """Have the next instance that is asked close its new connection after this answer; return which it was."""
    accepts = [asyncio.ensure_future(instance.accept()) for instance in proxy.instances]
    [done], pending = await asyncio.wait(accepts, return_when=asyncio.FIRST_COMPLETED)
    for other in pending:
        other.cancel()
    peer = await done
    assert (await peer.through()).startswith(request[:4])
    await peer.send(answer)
    peer.close()
    return peer


async def test_a_new_connection_closed_without_an_answer_is_tried_on_another_instance() -> None:
    async with proxying(instances=2) as proxy:
        client = await proxy.client()
        await client.send(GET)
        lost = await lose(proxy, GET)
        [other] = [instance for instance in proxy.instances if lost not in instance.peers]
        instance = await other.accept()
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert sorted(endpoint.broken for endpoint in proxy.endpoints) == [0, 1]
        assert proxy.traffic.retries == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
    ],
)
async def test_a_response_that_breaks_off_is_not_begun_again_by_another_instance(answer: bytes) -> None:
    async with proxying(instances=2) as proxy:
        client = await proxy.client()
        await client.send(GET)
        await lose(proxy, GET, answer)
        assert (await client.broken()).count(b"HTTP/1.1 ") == 1
        assert proxy.traffic.retries == 0


async def test_what_may_not_be_sent_twice_is_not() -> None:
    async with proxying(instances=2) as proxy:
        client = await proxy.client()
        await client.send(POST)
        await lose(proxy, POST)
        assert (await client.response())[0] == 502
        assert proxy.traffic.retries == 0


async def test_a_request_that_kills_whoever_reads_it_is_not_sent_to_everybody() -> None:
    async with proxying(instances=5) as proxy:
        client = await proxy.client()
        await client.send(GET)
        for _ in range(3):
            await lose(proxy, GET)
        assert (await client.response())[0] == 502
        assert sum(endpoint.broken for endpoint in proxy.endpoints) == 3


async def test_the_only_instance_is_asked_again_as_often_as_is_allowed() -> None:
    async with proxying(retries=RetryPolicy(attempts=2, backoff=0.001)) as proxy:
        client = await proxy.client()
        await client.send(GET)
        for _ in range(3):
            instance = await proxy.instance.accept()
            await instance.gets(GET_SENT)
            instance.close()
        status, _, content = await client.response()
        assert (status, b"the instance closed the connection early" in content) == (502, True)
        assert proxy.traffic.retries == 2


@pytest.mark.parametrize("request_", [POST, GET.replace(b"GET", b"PATCH"), POST.replace(b"POST", b"PUT"), GET])
async def test_a_connection_closed_before_the_request_is_never_the_client_s_trouble(request_: bytes) -> None:
    async with proxying() as proxy:
        client, idle = await proxy.served()
        # Both are there when the loop looks again, and it may see the request first.
        client.send_what_fits(request_)
        idle.close()
        instance = await proxy.instance.accept()
        assert (await instance.through()).startswith(request_[:5])
        await instance.send(OK)
        await client.gets(OK_SENT)
