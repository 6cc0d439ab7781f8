"""Waiting for what others say."""

import asyncio
from functools import partial

import pytest

from proxy.workers.heard import Heard


async def test_it_is_looked_at_when_something_was_heard_and_not_before() -> None:
    heard = Heard()
    said: list[int] = []
    looks = 0

    def enough() -> bool:
        nonlocal looks
        looks += 1
        return len(said) >= 2

    waiting = asyncio.ensure_future(heard.until(enough, 30))
    await asyncio.sleep(0.05)
    assert looks == 1
    for number in range(2):
        said.append(number)
        heard.now()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert await waiting
    assert looks == 3


async def test_the_time_ends_for_what_does_not_come() -> None:
    assert not await Heard().until(lambda: False, 0.02)


async def test_what_holds_already_is_not_waited_for() -> None:
    assert await Heard().until(lambda: True, 0.0)


async def test_several_wait_each_for_their_own() -> None:
    heard = Heard()
    said: set[str] = set()
    waits = {name: asyncio.ensure_future(heard.until(partial(said.__contains__, name), 30)) for name in "ab"}
    await asyncio.sleep(0)
    said.add("b")
    heard.now()
    assert await waits["b"]
    assert not waits["a"].done()
    said.add("a")
    heard.now()
    assert await waits["a"]


async def test_something_else_may_end_the_wait() -> None:
    heard, event = Heard(), asyncio.Event()
    waiting = asyncio.ensure_future(heard.until(event.is_set, 30, event.wait()))
    await asyncio.sleep(0)
    event.set()
    assert await waiting


async def test_a_wait_that_is_called_off_leaves_nothing_behind() -> None:
    heard, event = Heard(), asyncio.Event()
    before = asyncio.all_tasks()
    waiting = asyncio.ensure_future(heard.until(lambda: False, 30, event.wait()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    heard.now()
