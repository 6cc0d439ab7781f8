"""A task that dies is noticed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.tasks import Tasks
from tests.proxy.running import running, until

if TYPE_CHECKING:
    import pytest


async def dies() -> None:
    raise ValueError("of this")


async def test_a_death_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[str, str]] = []
    tasks = Tasks(lambda name, error: told.append((name, str(error))))
    tasks.start(dies(), "the sweep")
    await until(lambda: told)
    assert told == [("the sweep", "of this")]
    assert "the sweep died: of this" in caplog.text


async def test_stop_waits_for_the_end_of_all() -> None:
    ended = False

    async def long() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended = True

    tasks = Tasks()
    tasks.start(long(), "long")
    await asyncio.sleep(0)
    await tasks.stop()
    assert ended


async def test_an_application_ends_when_a_part_of_it_dies() -> None:
    async with running({"services": {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}}) as pointsman:
        application = pointsman.application

        def broken(now: float) -> None:
            raise RuntimeError("a fault")

        application.listeners[0].sweep = broken  # type: ignore[method-assign]
        async with asyncio.timeout(10):
            await application.ended()
        assert application.died == "the sweep of deadlines: a fault"
