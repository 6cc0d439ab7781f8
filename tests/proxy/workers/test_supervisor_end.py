"""The control process orders the end of all; where there is none, or workers hang, it comes nevertheless."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.proxy.running import until
from tests.proxy.workers.supervising import LONG, is_over, stopped, supervised


class TestTheEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_is_control_s_to_order(self, number: signal.Signals) -> None:
        async with supervised() as running:
            await running.workers()
            os.killpg(running.pid, number)  # as a terminal does, and systemd
            assert await running.status() == 5
            assert [event["signal"] for event in running.all("control", "asked")] == [number.name]
            for who in ("worker-1", "worker-2"):
                assert running.all(who, "heard", text="end")
                assert len(running.all(who, "is there")) == 1
            assert {event["pause"] for event in running.all("control", "ended")} <= {None}
            assert running.log == ""

    async def test_is_asked_for_as_often_as_we_are(self) -> None:
        async with supervised(lingers=True) as running:
            await running.workers()
            os.kill(running.pid, signal.SIGHUP)
            await running.said("control", "asked", signal="SIGHUP")
            os.kill(running.pid, signal.SIGINT)
            await running.said("control", "asked", signal="SIGINT")
            os.kill(running.pid, signal.SIGINT)
            await running.said("control", "asked", signal="SIGINT", times=2)

    async def test_of_a_worker_that_hangs_is_hastened(self) -> None:
        async with supervised(stubborn=[2], last=0.3) as running:
            _, second = await running.workers()
            running.process.terminate()
            assert await running.status() == 5
            assert f"worker 2 (process {second}) did not end, and is killed\n" in running.log

    async def test_of_workers_that_hang_comes_when_asked_for_again(self) -> None:
        async with supervised(stubborn=[2], last=600.0) as running:
            await running.workers()
            running.process.terminate()
            await running.said("worker-2", "is left alone")
            running.process.terminate()
            assert await running.status() == 5

    async def test_comes_where_control_ends_as_asked_without_a_word(self) -> None:
        async with supervised(lingers=True) as running:
            await running.workers()
            running.process.terminate()
            await running.said("control", "asked", signal="SIGTERM")
            running.do("control", "end", 9)
            assert await running.status() == 9
            assert len(running.all("control", "is there")) == 1

    async def test_of_a_worker_that_dies_on_the_way_is_told(self) -> None:
        async with supervised() as running:
            first, _ = await running.workers()
            running.do("control", "ending")
            running.do("control", "kill", 1, first)
            ended = await running.said("control", "ended", number=1)
            assert (ended["why"], ended["pause"]) == ("was ended by SIGKILL", None)
            await until(lambda: f"WARNING:proxy.workers.supervisor:worker 1 (process {first}) was ended" in running.log)

    async def test_of_a_worker_is_known_to_be_meant_though_it_is_seen_first(self) -> None:
        async with supervised() as running:
            first, _ = await running.workers()
            with stopped(running.pid):
                running.do("control", "ending")
                running.do("control", "tell", 1, "end")
                await until(lambda: is_over(first))
            assert (await running.said("control", "ended", number=1))["pause"] is None

    async def test_goes_on_where_control_dies_in_the_middle_of_it(self) -> None:
        async with supervised() as running:
            await running.workers()
            running.do("control", "ending")
            running.do("control", "tell", 1, "we are ending")
            await running.said("worker-1", "heard", text="we are ending")
            os.kill(running.all("control", "is there")[0]["pid"], signal.SIGKILL)
            assert await running.status() == 1
            assert running.all("worker-1", "is left alone")
            assert running.all("worker-2", "is left alone")
            assert "the control process" in running.log
            assert "killed" not in running.log

    async def test_without_a_control_process_is_ordered_by_a_new_one(self) -> None:
        async with supervised(dies=[1, 2, 3, 4]) as running:
            await running.workers()
            os.kill(running.all("control", "is there")[0]["pid"], signal.SIGKILL)
            await until(lambda: "another one is started in 0.8 s" in running.log, LONG)
            running.process.terminate()
            fifth = await running.said("control", "is there", restarts=5)
            assert await running.status() == 5
            assert running.all("control", "asked", signal="SIGTERM", pid=fifth["pid"])
            for who in ("worker-1", "worker-2"):
                assert running.all(who, "heard", text="end")
                assert not running.all(who, "is left alone")

    async def test_asked_for_when_control_dies_of_it_is_ordered_by_a_new_one(self) -> None:
        async with supervised(lingers=True) as running:
            await running.workers()
            running.process.terminate()
            asked = await running.said("control", "asked", signal="SIGTERM")
            os.kill(asked["pid"], signal.SIGKILL)
            again = await running.said("control", "asked", signal="SIGTERM", times=2)
            assert again["pid"] != asked["pid"]
            running.do("control", "end", 0)
            assert await running.status() == 0

    async def test_with_control_processes_that_die_comes_without_them(self) -> None:
        async with supervised(dies=list(range(1, 100))) as running:
            await running.workers()
            os.kill(running.all("control", "is there")[0]["pid"], signal.SIGKILL)
            await until(lambda: "another one is started in 0.8 s" in running.log, LONG)
            running.process.terminate()
            assert await running.status() == 1
            assert running.all("worker-1", "is left alone")
            assert running.all("worker-2", "is left alone")
            assert "killed" not in running.log

    async def test_of_the_supervisor_is_that_of_all(self) -> None:
        async with supervised() as running:
            await running.workers()
            os.kill(running.pid, signal.SIGKILL)
            assert await running.status() == -signal.SIGKILL
            left = running.all("control", "is left alone")
            assert [event["why"] for event in left] == ["it has ended"]
            for who in ("worker-1", "worker-2"):
                [event] = running.all(who, "is left alone")
                assert running.events.index(event) > running.events.index(left[0])


class TestSignals:
    async def test_are_not_ignored_by_programs_that_children_run(self) -> None:
        async with supervised() as running:
            await running.workers()
            for who in ("control", "worker-1"):
                running.do(who, "run", ["cat", "/proc/self/status"])
                text = (await running.said(who, "output"))["text"]
                masks = {name: int(value, 16) for name, value in re.findall(r"(Sig\w+):\s+([0-9a-f]{16})", text)}
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                    assert not (masks["SigIgn"] | masks["SigBlk"]) & 1 << (number - 1)

    async def test_to_children_are_nobody_s(self) -> None:
        async with supervised() as running:
            first, _ = await running.workers()
            control = running.all("control", "is there")[0]["pid"]
            for pid in (first, control):
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    os.kill(pid, number)
            running.do("control", "tell", 1, "hello")
            assert (await running.said("worker-1", "heard", text="hello"))["pid"] == first
            assert not running.all("control", "asked")
