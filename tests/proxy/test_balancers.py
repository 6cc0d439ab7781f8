"""Policies that look at a request, or at how soon endpoints answer, on a whole pointsman."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.proxy.running import instance, running

if TYPE_CHECKING:
    from tests.proxy.running import Running


async def slow(stack: AsyncExitStack, name: str, seconds: float) -> str:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(seconds)
        return web.Response(text=name)

    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", answer)])
    server = await stack.enter_async_context(TestServer(app))
    return f"127.0.0.1:{server.port}"


async def balanced(stack: AsyncExitStack, addresses: list[str], balancer: Any, **more: Any) -> Running:
    services = {"web": {"discovery": {"static": addresses}, "balancer": balancer}}
    return await stack.enter_async_context(running({"services": services, **more}))


@pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ({"header": "X-User"}, lambda user: {"headers": {"X-User": user}}),
        ({"cookie": "sid"}, lambda user: {"headers": {"Cookie": f"a=b; sid={user}"}}),
        ({"query": "user"}, lambda user: {"path": f"/?user={user}"}),
        ("path", lambda user: {"path": f"/{user}?{id(object())}"}),
    ],
)
async def test_the_same_key_goes_to_the_same_instance(policy: str, key: Any, asked: Any) -> None:
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(instance(name)) for name in "abcd"]
        pointsman = await balanced(stack, addresses, {"type": policy, "key": key})
        seen: dict[str, set[str]] = {}
        for _ in range(3):
            for user in map(str, range(24)):
                seen.setdefault(user, set()).add((await pointsman.get(**asked(user)))[1])
        assert all(len(answers) == 1 for answers in seen.values())
        assert len(set().union(*seen.values())) > 1


async def test_the_client_is_the_one_that_trusted_proxies_tell_of() -> None:
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(instance(name)) for name in "abcd"]
        pointsman = await balanced(stack, addresses, "ring_hash", trusted_proxies=["127.0.0.1"])
        answers = {
            client: {(await pointsman.get(headers={"X-Forwarded-For": client}))[1] for _ in range(3)}
            for client in (f"10.0.0.{number}" for number in range(24))
        }
        assert all(len(names) == 1 for names in answers.values())
        assert len(set().union(*answers.values())) > 1


async def test_peak_ewma_learns_who_answers_soon() -> None:
    async with AsyncExitStack() as stack:
        addresses = [
            await slow(stack, "slow", 0.1),
            await stack.enter_async_context(instance("quick")),
            await stack.enter_async_context(instance("quick too")),
        ]
        pointsman = await balanced(stack, addresses, {"type": "peak_ewma", "decay": 10})
        counts = Counter([(await pointsman.get())[1] for _ in range(60)])
        assert counts["slow"] <= 3
        latencies = [one.latency for one in pointsman.application.services["web"].pool.endpoints]
        assert all(latency is not None for latency in latencies)


async def test_peak_ewma_takes_a_refusal_for_slow() -> None:
    async with AsyncExitStack() as stack:
        addresses = ["127.0.0.1:1", await stack.enter_async_context(instance("works"))]
        pointsman = await balanced(stack, addresses, "peak_ewma")
        assert {(await pointsman.get())[1] for _ in range(20)} == {"works"}
        failures = {
            one.instance.authority: one.connect_failures for one in pointsman.application.services["web"].pool.endpoints
        }
        assert failures["127.0.0.1:1"] <= 2


async def test_least_request_goes_round_an_instance_that_is_held_up() -> None:
    async with AsyncExitStack() as stack:
        addresses = [
            await slow(stack, "held up", 0.3),
            await stack.enter_async_context(instance("free")),
            await stack.enter_async_context(instance("free too")),
        ]
        pointsman = await balanced(stack, addresses, "least_request")

        async def client() -> list[str]:
            return [(await pointsman.get())[1] for _ in range(15)]

        counts = Counter(name for names in await asyncio.gather(*(client() for _ in range(6))) for name in names)
        assert counts["held up"] < counts.total() / 4
        pool = pointsman.application.services["web"].pool
        assert pool.load.in_flight == 0
