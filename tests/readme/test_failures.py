"""When something fails."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.proxy.running import until

if TYPE_CHECKING:
    from tests.readme.consoles import Console
    from tests.readme.staging import Staged

WEB, WEB_2 = "10.0.0.1:8000", "10.0.0.2:8000"


@pytest.mark.runs("Probes")
async def test_probes(stage: Staged) -> None:
    async with stage() as staged:
        one = staged.instances[WEB]
        one.healthy = False
        pool = staged.application.services["web"].pool
        await until(lambda: len(pool.candidates) == 1)
        assert set(await staged.answers(4)) == {WEB_2}
        one.healthy = True
        await until(lambda: len(pool.candidates) == 2)
        assert set(await staged.answers(4)) == {WEB, WEB_2}
        staged.instances[WEB_2].healthy = one.healthy = False
        await until(lambda: pool.panic)
        assert set(await staged.answers(4)) == {WEB, WEB_2}


@pytest.mark.runs("Ejection")
async def test_ejection(stage: Staged) -> None:
    async with stage() as staged:
        staged.instances[WEB].status = 500
        statuses = [(await staged.ask()).status for _ in range(10)]
        assert statuses.count(500) == 5
        assert set(await staged.answers(6)) == {WEB_2}
        _, told = await staged.pointsman.admin("/api/v1/events")
        [reason] = [event["reason"] for event in told["events"] if event["kind"] == "ejected"]
        assert "5" in reason


@pytest.mark.runs("Draining by hand")
async def test_draining_by_hand(stage: Staged, console: Console) -> None:
    async with stage() as staged:
        await console(staged)
        _, told = await staged.pointsman.admin("/api/v1/events")
        kinds = [event["kind"] for event in told["events"]]
        assert kinds.index("drained") < kinds.index("undrained")
        assert set(await staged.answers(4)) == {WEB, WEB_2}


@pytest.mark.runs("Retries")
async def test_retries(stage: Staged) -> None:
    async with stage() as staged:
        staged.instances[WEB].status = 503
        assert [(await staged.ask()).status for _ in range(4)] == [200] * 4
        assert staged.instances[WEB].asked
        assert 503 in {(await staged.ask(method="POST")).status for _ in range(2)}


@pytest.mark.runs("Hedging")
async def test_hedging(stage: Staged) -> None:
    async with stage() as staged:
        slow = staged.instances[WEB]
        slow.pause = 60.0
        assert await staged.answers(2) == [WEB_2] * 2
        assert slow.asked


@pytest.mark.runs("Limits and time-outs")
async def test_limits_and_time_outs(stage: Staged) -> None:
    async with stage() as staged:
        assert (await staged.ask(headers={"X": "x" * 17_000})).status == 431
        assert (await staged.ask(method="POST", headers={"Content-Length": "2000000"}, data=b"x")).status == 413
        for one in (WEB, WEB_2):
            staged.instances[one].pause = 60.0
        began = time.monotonic()
        statuses = sorted([answer.status for answer in await asyncio.gather(*(staged.ask() for _ in range(4)))])
        assert statuses == [503, 503, 504, 504]  # two too many, one at once and one after a while; two not answered
        assert time.monotonic() - began >= 0.5
