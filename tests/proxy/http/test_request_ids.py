"""What names a request on its way: X-Request-Id, which we may make, and the fields of tracing, which we leave alone."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Literal

import pytest

from proxy.listener import ListenerOptions, new_id
from tests.proxy.http.scripted import GET, proxying

Mode = Literal["keep", "make", "none"]


async def ids(sent: bytes, mode: Mode) -> list[bytes]:
    """Return the lines that name the request when it reaches the instance."""
    async with proxying(options=ListenerOptions(request_id=mode)) as proxy:
        _, instance = await proxy.asking(GET[:-2] + sent + b"\r\n")
        head = await instance.through()
        return [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-request-id")]


LONGEST = bytes(range(ord("!"), ord("!") + 64)) * 2
MADE = [b"X-Request-Id: made"]
LONG = [b"X-Request-Id: " + LONGEST]
KEPT = [b"X-Request-Id: a"]
CASES: dict[str, tuple[bytes, list[bytes], list[bytes]]] = {  # what is sent, and what comes of it with keep and none
    "none": (b"", MADE, []),
    "a good one": (b"x-request-ID:a\r\n", KEPT, KEPT),
    "the longest": (b"X-Request-Id: " + LONGEST + b"\r\n", LONG, LONG),
    "too long": (b"X-Request-Id: " + LONGEST + b"x\r\n", MADE, []),
    "an empty one": (b"X-Request-Id:\r\n", MADE, []),
    "with a blank in it": (b"X-Request-Id: a b\r\n", MADE, []),
    "not of ASCII": (b"X-Request-Id: \xc3\xa9\r\n", MADE, []),
    "a good and a bad one": (b"X-Request-Id: a\r\nX-Request-Id: a b\r\n", MADE, []),
    "with an underscore": (b"X_Request_Id: a\r\n", MADE, []),
    "named by Connection": (b"Connection: X-Request-Id\r\nX-Request-Id: a\r\n", KEPT, KEPT),
}


@pytest.mark.parametrize(("sent", "keep", "none"), CASES.values(), ids=CASES.keys())
async def test_what_becomes_of_a_client_s(sent: bytes, keep: list[bytes], none: list[bytes]) -> None:
    assert await ids(sent, "keep") == keep
    assert await ids(sent, "make") == MADE
    assert await ids(sent, "none") == none


@pytest.mark.parametrize(
    ("mode", "name"),
    [("keep", b"X-Request-Id: mine"), ("make", b"X-Request-Id: made"), ("none", b"X-Request-Id: mine")],
)
async def test_our_own_answers_bear_it(mode: Mode, name: bytes) -> None:
    options = ListenerOptions(request_id=mode)
    async with proxying(options=options, routes=lambda terms: []) as proxy:
        client = await proxy.client()
        await client.send(GET[:-2] + b"X-Request-Id: mine\r\n\r\n")
        status, head, _ = await client.response()
        assert (status, name in head.split(b"\r\n")) == (404, True)
    async with proxying(instances=0, options=options) as proxy:
        client = await proxy.client()
        await client.send(GET[:-2] + b"X-Request-Id: mine\r\n\r\n")
        status, head, _ = await client.response()
        assert (status, name in head.split(b"\r\n")) == (503, True)


async def test_an_answer_to_what_cannot_be_read_bears_none() -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        await client.send(b"GET / HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n")
        status, head, _ = await client.response()
        assert (status, b"X-Request-Id" in head) == (400, False)


def test_those_made_are_all_different_and_one_follows_the_other() -> None:
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in made)
    assert all(after > before for before, after in pairwise(made))


def test_a_forked_process_makes_others() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, b"".join(new_id() for _ in range(100)))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    assert len({theirs[at : at + 32] for at in range(0, 3200, 32)} - {new_id() for _ in range(100)}) == 100


async def test_each_request_of_a_connection_has_its_own() -> None:
    async with proxying() as proxy:
        proxy.listener.make_id = new_id
        client, instance = await proxy.asking()
        seen = set()
        for _ in range(3):
            head = await instance.through()
            [line] = [line for line in head.split(b"\r\n") if line.startswith(b"X-Request-Id: ")]
            seen.add(line)
            await instance.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            await client.through()
            await client.send(GET)
        assert len(seen) == 3


@pytest.mark.parametrize("mode", ["keep", "make", "none"])
async def test_the_fields_of_tracing_stay_as_they_came(mode: Mode) -> None:
    tracing = (
        b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
        b"TraceState: vendor=opaque, other=1\r\ntracestate:x=y\r\nbaggage: userId=alice ,  k=v;p=1\r\n"
    )
    async with proxying(options=ListenerOptions(request_id=mode)) as proxy:
        _, instance = await proxy.asking(GET[:-2] + tracing + b"\r\n")
        await instance.gets(GET[:-2] + tracing + b"X-Forwarded-Host: shop\r\n")
