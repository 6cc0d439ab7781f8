"""A supervisor, its control process and its workers: whoever dies is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import socket
import time
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.workers import supervisor as supervisor_module
from proxy.workers.channel import pair, send_now
from proxy.workers.supervisor import Supervisor, _Child
from tests.proxy.running import until
from tests.proxy.workers.supervising import LONG, descriptors, is_over, stopped, supervised

if TYPE_CHECKING:
    from collections.abc import Iterator


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


class TestTheBeginning:
    async def test_workers_are_there_once_control_says_so(self) -> None:
        async with supervised(begins=False) as running:
            there = await running.said("control", "is there", restarts=0)
            running.do("control", "keep", 1)
            await running.said("control", "keeps")
            assert not running.all("worker-1", "is there")
            running.do("control", "begin")
            workers = await running.workers()
            assert len({running.pid, there["pid"], *workers}) == 4
            running.do("control", "tell", 2, "hello")
            await running.said("worker-2", "heard", text="hello")
            running.do("worker-1", "tell", "and to you")
            await running.said("control", "heard", number=1, text="and to you")

    async def test_processes_have_names(self) -> None:
        async with supervised() as running:
            workers = await running.workers()
            control = running.all("control", "is there")[0]["pid"]
            assert [title(pid) for pid in (control, *workers)] == ["pointsman-ctrl", "pointsman-w1", "pointsman-w2"]

    async def test_a_control_process_that_fails_before_it_ends_all_with_its_status(self) -> None:
        async with supervised(fails=3) as running:
            assert await running.status() == 3
            assert running.log == ""  # it has said why

    async def test_one_that_is_killed_before_it_ends_all_with_1(self) -> None:
        async with supervised(begins=False, dies=[0]) as running:
            assert await running.status() == 1
            assert re.search(r"ERROR:.*the control process \(process \d+\) was ended by SIGKILL\n", running.log)

    async def test_one_that_is_asked_to_end_before_it_does(self) -> None:
        async with supervised(begins=False) as running:
            await running.said("control", "is there")
            running.process.terminate()
            assert await running.status() == 5
            assert not running.all("worker-1", "is there")

    async def test_processes_that_cannot_be_forked_are_later(self) -> None:
        async with supervised(forks_fail=3) as running:
            await running.workers()
            assert running.log.count("the control process cannot be started: Resource temporarily unavailable") == 3


class TestAWorkerThatDies:
    async def test_is_replaced(self) -> None:
        async with supervised() as running:
            first, other = await running.workers()
            os.kill(first, signal.SIGKILL)
            ended = await running.said("control", "ended", number=1, worker=first)
            assert (ended["why"], ended["pause"]) == ("was ended by SIGKILL", 0.0)
            second, same = await asyncio.gather(
                running.said("worker-1", "is there", times=2), running.said("control", "started", number=2)
            )
            assert same["worker"] == other
            assert second["pid"] != first
            await running.said("control", "started", number=1, worker=second["pid"])
            running.do("control", "tell", 1, "hello")
            assert (await running.said("worker-1", "heard", text="hello"))["pid"] == second["pid"]
            assert f"worker 1 (process {first}) was ended by SIGKILL; another one is started now\n" in running.log

    async def test_again_and_again_is_replaced_after_longer_pauses(self) -> None:
        async with supervised() as running:
            for times in range(1, 5):
                there = await running.said("worker-1", "is there", times=times)
                os.kill(there["pid"], signal.SIGKILL)
                await running.said("control", "ended", number=1, times=times)
            assert [event["pause"] for event in running.all("control", "ended")] == [0.0, 0.1, 0.2, 0.4]
            await running.said("worker-1", "is there", times=5)
            assert len(running.all("worker-2", "is there")) == 1

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["end", 0], "ended with status 0"),
            (["end", 7], "ended with status 7"),
            (["die_of_a_fault"], "ended with status 1"),
            (["leave", 4], "ended with status 4"),
            (["leave", None], "ended with status 0"),
            (["leave", "words"], "ended with status 1"),
        ],
    )
    async def test_says_how(self, words: list[object], why: str) -> None:
        async with supervised() as running:
            await running.workers()
            running.do("worker-2", *words)
            assert (await running.said("control", "ended", number=2))["why"] == why
            await running.said("worker-2", "is there", times=2)
            await until(lambda: why in running.log)
            assert ("worker 2 met a fault in pointsman" in running.log) == (words == ["die_of_a_fault"])

    async def test_is_killed_when_it_does_not_do_what_it_is_told(self) -> None:
        async with supervised() as running:
            first, _ = await running.workers()
            os.kill(first, signal.SIGSTOP)
            running.do("control", "kill", 1, first)
            await running.said("control", "ended", number=1, worker=first, why="was ended by SIGKILL")
            second = await running.said("worker-1", "is there", times=2)
            await running.said("control", "started", number=1, worker=second["pid"])
            running.do("control", "kill", 1, first)  # who is not there any more
            running.do("control", "tell", 1, "still there?")
            assert (await running.said("worker-1", "heard", text="still there?"))["pid"] == second["pid"]
            assert f"worker 1 (process {first}) is ended: the test wants it\n" in running.log

    async def test_may_be_dead_already_when_it_is_to_be_killed(self) -> None:
        async with supervised() as running:
            first, _ = await running.workers()
            with stopped(running.pid):
                os.kill(first, signal.SIGKILL)
                running.do("control", "kill", 1, first)
                await until(lambda: is_over(first))
                # It is in the channel once something is that control does later.
                running.do("control", "keep", 0)
                await running.said("control", "keeps")
            await running.said("worker-1", "is there", times=2)


class TestAControlProcessThatDies:
    async def test_leaves_its_sockets_and_its_workers_to_another(self) -> None:
        async with supervised() as running:
            workers = await running.workers()
            running.do("control", "keep", 3, {"drained": ["web-1"]})
            first = await running.said("control", "keeps")
            # What it keeps is known once something that it says later is.
            running.do("control", "kill", 1, workers[0])
            await running.said("worker-1", "is there", times=2)
            workers = [running.all("worker-1", "is there")[1]["pid"], workers[1]]
            os.kill(first["pid"], signal.SIGKILL)
            second = await running.said("control", "is there", restarts=1)
            assert second["pid"] != first["pid"]
            assert (second["why"], second["state"]) == ("was ended by SIGKILL", {"drained": ["web-1"]})
            assert second["kept"] == first["addresses"]
            for number, pid in enumerate(workers, 1):
                event = await running.said("control", "started", number=number, worker=pid, pid=second["pid"])
                assert event["worker"] == pid
                running.do("control", "tell", number, "from another")
                assert (await running.said(f"worker-{number}", "heard", text="from another"))["pid"] == pid
                running.do(f"worker-{number}", "tell", "to another")
                await running.said("control", "heard", number=number, text="to another", pid=second["pid"])
            assert not running.all("worker-2", "is left alone")
            assert len(running.all("worker-2", "is there")) == 1

    async def test_has_clients_that_another_accepts(self) -> None:
        async with supervised(dies=[1, 2, 3]) as running:
            await running.workers()
            running.do("control", "keep", 1)
            first = await running.said("control", "keeps")
            running.do("control", "tell", 1, "kept?")
            await running.said("worker-1", "heard", text="kept?")
            running.do("control", "kill", 1, (await running.workers())[0])
            await running.said("worker-1", "is there", times=2)
            os.kill(first["pid"], signal.SIGKILL)
            await running.said("control", "is there", restarts=3)  # and that dies
            with socket.create_connection(tuple(first["addresses"][0]), timeout=LONG) as client:
                await running.said("control", "is there", restarts=4)
                running.do("control", "accept")
                assert await asyncio.to_thread(client.recv, 100) == b"hello"

    async def test_is_told_what_workers_said_meanwhile(self) -> None:
        async with supervised(dies=[1, 2, 3]) as running:
            await running.workers()
            os.kill(running.all("control", "is there")[0]["pid"], signal.SIGKILL)
            await running.said("control", "is there", restarts=3)  # and that dies
            running.do("worker-1", "tell", "is anybody there?")
            fourth = await running.said("control", "is there", restarts=4)
            await running.said("control", "heard", number=1, text="is anybody there?", pid=fourth["pid"])

    async def test_has_a_worker_that_died_meanwhile_replaced(self) -> None:
        async with supervised(dies=[1, 2, 3]) as running:
            first, _ = await running.workers()
            os.kill(running.all("control", "is there")[0]["pid"], signal.SIGKILL)
            await running.said("control", "is there", restarts=3)
            os.kill(first, signal.SIGKILL)
            second = await running.said("worker-1", "is there", times=2)
            await running.said("control", "is there", restarts=4)
            await running.said("control", "started", number=1, worker=second["pid"])
            running.do("control", "tell", 1, "hello")
            await running.said("worker-1", "heard", text="hello", pid=second["pid"])

    async def test_that_ends_by_itself_and_unasked_is_replaced(self) -> None:
        async with supervised() as running:
            await running.workers()
            running.do("control", "end", 0)
            assert (await running.said("control", "is there", restarts=1))["why"] == "ended with status 0"

    async def test_is_told_a_signal_that_came_meanwhile(self) -> None:
        async with supervised(dies=[1, 2, 3]) as running:
            await running.workers()
            os.kill(running.all("control", "is there")[0]["pid"], signal.SIGKILL)
            await until(lambda: "another one is started in 0.4 s" in running.log, LONG)
            os.kill(running.pid, signal.SIGHUP)
            fourth = await running.said("control", "is there", restarts=4)
            await running.said("control", "asked", signal="SIGHUP", pid=fourth["pid"])

    async def test_what_it_kept_last_is_what_is_kept(self) -> None:
        async with supervised() as running:
            first, _ = await running.workers()
            before = len(descriptors(running.pid))
            for times in range(1, 21):
                running.do("control", "keep", 10)
                await running.said("control", "keeps", times=times)
            last = running.all("control", "keeps")[-1]
            running.do("control", "kill", 1, first)
            await running.said("worker-1", "is there", times=2)
            await until(lambda: len(descriptors(running.pid)) == before + 10)
            os.kill(last["pid"], signal.SIGKILL)
            assert (await running.said("control", "is there", restarts=1))["kept"] == last["addresses"]

    async def test_may_have_listened_on_more_sockets_than_select_knows(self) -> None:
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096:
            pytest.skip("the system allows fewer than 4096 files")
        async with supervised(files=4096) as running:
            first, _ = await running.workers()
            running.do("control", "keep", 1200)
            kept = await running.said("control", "keeps")
            running.do("control", "kill", 1, first)
            await running.said("worker-1", "is there", times=2)
            os.kill(kept["pid"], signal.SIGKILL)
            another = await running.said("control", "is there", restarts=1)
            assert another["kept"] == kept["addresses"]
            await running.said("control", "started", number=1, pid=another["pid"])
            running.do("control", "tell", 1, "hello")
            await running.said("worker-1", "heard", text="hello")

    async def test_that_keeps_more_than_there_are_descriptors_for_has_less_kept(self) -> None:
        async with supervised(files=64) as running:
            first, _ = await running.workers()
            running.do("control", "keep", 30)
            kept = await running.said("control", "keeps")
            for _ in range(2):  # twice as many, for a moment
                running.do("control", "keep", 30)
            await until(lambda: "a message of another process is lost: sockets came" in running.log, LONG)
            running.do("control", "kill", 1, first)
            await running.said("worker-1", "is there", times=2)
            os.kill(kept["pid"], signal.SIGKILL)
            assert len((await running.said("control", "is there", restarts=1))["kept"]) == 30


async def test_systemd_is_told_what_control_says() -> None:
    name = f"pointsman-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        systemd.settimeout(LONG)
        async with supervised({"NOTIFY_SOCKET": f"@{name}"}) as running:
            await running.workers()
            running.do("control", "notify", "READY=1\nSTATUS=ready")
            assert await asyncio.to_thread(systemd.recv, 1000) == b"READY=1\nSTATUS=ready"


async def test_a_message_that_makes_no_sense_is_lost_alone() -> None:
    async with supervised(begins=False) as running:
        await running.said("control", "is there")
        running.do("control", "damage")
        running.do("control", "begin")
        await running.workers()
        assert "a message of another process is lost: a message that makes no sense" in running.log


@pytest.fixture
def sleeper() -> Iterator[int]:
    pid = os.fork()
    if not pid:
        while True:
            time.sleep(60)
    yield pid
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_control_process_that_does_not_listen_is_ended(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "send_now", partial(send_now, within=0.05))
    one = Supervisor(1, lambda end, kept: 0, lambda number, end: 0)
    ours, theirs = pair()
    with ours, theirs:
        one._control = _Child(0, sleeper, ours)
        for _ in range(10_000):
            if not one._tell("a message"):
                break
    assert os.waitstatus_to_exitcode(os.waitpid(sleeper, 0)[1]) == -signal.SIGKILL


class TestPauses:
    def test_are_twice_as_long_each_time_and_never_very_long(self) -> None:
        child = _Child(1)
        assert [child.next_pause(1.0) for _ in range(9)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]

    def test_are_forgotten_after_ten_seconds_of_life(self) -> None:
        child = _Child(1)
        for _ in range(9):
            child.next_pause(1.0)
        child.since = 100.0
        assert child.next_pause(109.9) == 5.0
        assert child.next_pause(110.0) == 0.0
        assert child.next_pause(110.1) == 0.0
