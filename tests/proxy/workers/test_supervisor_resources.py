"""What a supervisor and its children have open, and what they do while nothing happens."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.proxy.running import until
from tests.proxy.workers.supervising import descriptors, sockets, supervised


class TestWhatIsOpen:
    async def test_is_each_one_s_own(self) -> None:
        async with supervised() as running:
            first, second = await running.workers()
            running.do("control", "keep", 5)
            control = (await running.said("control", "keeps"))["pid"]
            running.do("control", "kill", 1, first)  # so that one is forked that could have too much
            first = (await running.said("worker-1", "is there", times=2))["pid"]
            await running.said("control", "started", number=1, worker=first)
            own = [sockets(pid) for pid in (first, second)]
            assert not own[0] & own[1]
            assert not (own[0] | own[1]) & sockets(running.pid)
            assert not (own[0] | own[1]) & sockets(control)
            # What is kept, and control's ends of the channels to the workers.
            assert len(sockets(running.pid) & sockets(control)) == 5 + 2
            os.kill(control, signal.SIGKILL)
            control = (await running.said("control", "is there", restarts=1))["pid"]
            for number in (1, 2):
                await running.said("control", "started", number=number, pid=control)
            assert len(sockets(running.pid) & sockets(control)) == 5 + 2
            assert not (own[0] | own[1]) & sockets(control)

    async def test_is_no_more_after_twenty_restarts_of_all(self) -> None:
        async with supervised(longest_pause=0.05) as running:
            workers = await running.workers()
            control = running.all("control", "is there")[0]["pid"]
            running.do("control", "tell", 1, "hello")
            await running.said("worker-1", "heard", text="hello")
            before = [len(descriptors(pid)) for pid in (running.pid, *workers)]
            for times in range(2, 22):
                for pid in (control, *workers):
                    os.kill(pid, signal.SIGKILL)
                control = (await running.said("control", "is there", restarts=times - 1))["pid"]
                for number in (1, 2):
                    workers[number - 1] = (await running.said(f"worker-{number}", "is there", times=times))["pid"]
                for number in (1, 2):
                    await running.said("control", "started", number=number, worker=workers[number - 1], pid=control)
            running.do("control", "tell", 1, "hello")
            await running.said("worker-1", "heard", text="hello", times=2)
            await until(lambda: [len(descriptors(pid)) for pid in (running.pid, *workers)] == before)


async def test_nothing_is_done_where_there_is_nothing_to_do() -> None:
    """A supervisor that is woken all the time would be so some ten thousand times a second."""
    async with supervised(stubborn=[1, 2], last=600.0) as running:
        first, second = await running.workers()
        os.kill(first, signal.SIGKILL)  # so that it has been due
        await running.workers(times=1)
        first = (await running.said("worker-1", "is there", times=2))["pid"]
        running.do("control", "ending")
        running.do("control", "kill", 1, first)
        await running.said("control", "ended", number=1, pause=None)
        running.do("control", "hang_up")
        await asyncio.sleep(1.0)  # in which nothing happens
        running.do("control", "end", 0)
        await running.said("worker-2", "is left alone")
        await asyncio.sleep(0.5)
        os.kill(second, signal.SIGKILL)
        assert await running.status() == 0
        [ended] = running.all("supervisor", "ends")
        assert ended["waits"] < 50
