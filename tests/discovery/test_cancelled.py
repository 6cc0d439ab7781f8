"""Tasks that were asked to end, and met a fault on their way out."""

from __future__ import annotations

import asyncio

import pytest

from discovery.cancelled import end_if_cancelled

FAULT = ValueError("closing failed")


async def _again_and_again(turns: list[int]) -> None:
    while True:
        turns.append(len(turns))
        try:
            try:
                await asyncio.sleep(60)
            finally:
                raise FAULT
        except ValueError as error:
            end_if_cancelled(error)


async def test_a_task_that_was_cancelled_ends_and_tells_of_the_fault():
    turns: list[int] = []
    task = asyncio.create_task(_again_and_again(turns))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as ended:
        await task
    assert ended.value.__cause__ is FAULT
    assert turns == [0]


async def test_a_time_limit_that_has_passed_is_one():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await _again_and_again([])


async def test_any_other_goes_on():
    end_if_cancelled(FAULT)
