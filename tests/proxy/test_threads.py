"""Threads that end when there is nothing to do for them."""

import asyncio
import threading
import time

import pytest

from proxy.threads import PassingThreads


def _passing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("passing")]


def _left_within(seconds: float, *names: str) -> bool:
    """Wait until these are all that there are."""
    end = time.monotonic() + seconds
    while _passing() != list(names) and time.monotonic() < end:
        time.sleep(0.01)
    return _passing() == list(names)


async def _in_a_loop() -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(PassingThreads())
    assert await asyncio.to_thread(lambda: threading.current_thread().name.startswith("passing"))
    assert await asyncio.to_thread(_only_this)  # the one before it has ended
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 / 0)


def _only_this() -> bool:
    return _left_within(10, threading.current_thread().name)


def test_a_thread_ends_with_the_last_that_it_was_given() -> None:
    asyncio.run(_in_a_loop())
    assert _left_within(10)


def test_no_more_run_at_a_time_than_in_a_pool_that_stays() -> None:
    threads = PassingThreads()
    go_on = threading.Event()
    futures = [threads.submit(go_on.wait, 10) for _ in range(100)]
    assert 1 <= len(_passing()) <= 36  # min(32, processors + 4)
    go_on.set()
    assert all(future.result(10) for future in futures)
    assert _left_within(10)
    assert threads.submit(lambda: 7).result(10) == 7
    threads.shutdown()


def test_what_is_left_is_done_before_the_end_and_nothing_is_taken_after() -> None:
    threads = PassingThreads()
    done = threads.submit(time.sleep, 0.05)
    threads.shutdown()
    assert done.done()
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(time.sleep, 0)


def test_one_that_was_called_off_is_not_waited_for() -> None:
    threads = PassingThreads()
    go_on = threading.Event()
    futures = [threads.submit(go_on.wait, 10) for _ in range(60)]
    assert futures[-1].cancel()
    go_on.set()
    assert all(future.result(10) for future in futures[:-1])
    assert _left_within(10)
    threads.shutdown()
