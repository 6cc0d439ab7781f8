"""The folder of last good sets: what is read at the start, and what is written meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from discovery import state, stored
from discovery.instance import Instance, Snapshot
from discovery.state import REFRESH, StateFolder
from discovery.stored import Owner, Stored, StoredError
from tests.discovery.watching import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OWNER = Owner("web", "consul", "web")
A, B = Instance("a", "10.0.0.1", 80), Instance("b", "10.0.0.2", 80)


def web(*instances: Instance) -> Snapshot:
    return Snapshot("web", instances, continuous=False)


class Clock:
    now = 1764000000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "GATHER", 0.02)
    monkeypatch.setattr(state, "AGAIN", 0.02)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path, clock: Clock) -> StateFolder:
    return StateFolder(tmp_path / "state", clock=clock)


@asynccontextmanager
async def writing(folder: StateFolder) -> AsyncIterator[None]:
    task = asyncio.create_task(folder.run())
    try:
        yield
    finally:
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_kept_is_there_for_the_next_process(folder: StateFolder, clock: Clock):
    file = folder.file(OWNER)
    assert await file.read() is None
    async with writing(folder):
        file.keep(web(A), age=3.0, is_changed=True)
        await eventually(lambda: folder.written == 1)
    found = await StateFolder(folder.path, clock=clock).file(OWNER).read()
    assert found == Stored(web(A), clock.now - 3.0)
    clock.now += 100.0
    assert file.age(found) == 103.0


async def test_the_newest_of_many_is_written(folder: StateFolder):
    file, other = folder.file(OWNER), folder.file(Owner("shop", "consul", "shop"))
    async with writing(folder):
        for number in range(1000):
            file.keep(web(A) if number % 2 else web(B), age=0.0, is_changed=True)
        other.keep(web(B), age=0.0, is_changed=True)
        await eventually(lambda: folder.written == 2)
    found = await file.read()
    assert found is not None
    assert found.snapshot == web(A)


async def test_a_set_that_stays_as_it_is_is_written_now_and_then_for_its_time(folder: StateFolder, clock: Clock):
    file = folder.file(OWNER)
    async with writing(folder):
        file.keep(web(A), age=0.0, is_changed=True)
        await eventually(lambda: folder.written == 1)
        clock.now += REFRESH - 1
        file.keep(web(A), age=0.0, is_changed=False)
        clock.now += 1
        file.keep(web(A), age=0.5, is_changed=False)
        await eventually(lambda: folder.written == 2)
    found = await file.read()
    assert found is not None
    assert found.time == clock.now - 0.5


async def test_what_waits_is_written_at_the_end(folder: StateFolder):
    file = folder.file(OWNER)
    file.keep(web(A), age=0.0, is_changed=True)
    await folder.close()
    assert await file.read() is not None


async def test_a_folder_that_cannot_be_written_is_told_of_once_and_tried_again(
    folder: StateFolder, caplog: pytest.LogCaptureFixture
):
    folder.path.write_text("in the way")
    file = folder.file(OWNER)
    async with writing(folder):
        file.keep(web(A), age=0.0, is_changed=True)
        await eventually(lambda: folder.failed >= 3)
        folder.path.unlink()
        await eventually(lambda: folder.written == 1)
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["WARNING"]
    assert "the state of service web cannot be written" in caplog.text
    assert await file.read() is not None


@pytest.mark.parametrize("age", [3600.0, 3601.0])
async def test_a_set_that_is_too_old_is_not_used(tmp_path: Path, clock: Clock, age: float):
    folder = StateFolder(tmp_path / "state", max_age=3600.0, clock=clock)
    file = folder.file(OWNER)
    file.keep(web(A), age=age, is_changed=True)
    await folder.close()
    if age > 3600.0:
        with pytest.raises(StoredError, match="it is 1h1s old, more than 1h"):
            await file.read()
    else:
        assert await file.read() is not None


async def test_a_clock_that_was_set_back_makes_no_set_younger_than_now(folder: StateFolder, clock: Clock):
    assert folder.file(OWNER).age(Stored(web(A), clock.now + 1000.0)) == 0.0


async def test_a_file_that_is_damaged_is_named(folder: StateFolder):
    file = folder.file(OWNER)
    stored.save(file.path, b"half of a fi")
    with pytest.raises(StoredError, match=r"web@consul-\w+\.state is not used: it is no file of a pointsman's state"):
        await file.read()


async def test_a_file_that_may_not_be_read_is_named(folder: StateFolder):
    file = folder.file(OWNER)
    folder.path.mkdir()
    file.path.symlink_to(folder.path / "elsewhere")
    with pytest.raises(StoredError, match="cannot be read"):
        await file.read()


async def test_a_file_system_that_hangs_is_not_waited_for(folder: StateFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state, "PATIENCE", 0.05)
    hangs = True

    def load(path: Path) -> None:
        while hangs:
            time.sleep(0.01)

    monkeypatch.setattr(stored, "load", load)
    with pytest.raises(StoredError, match="could not be read within"):
        await folder.file(OWNER).read()
    hangs = False


async def test_what_killed_processes_left_behind_is_removed(folder: StateFolder, clock: Clock):
    folder.path.mkdir()
    old, new, foreign = (folder.path / name for name in (".a.state.1.tmp", ".b.state.2.tmp", ".c.tmp"))
    for path in (old, new, foreign):
        path.write_text("")
    os.utime(old, (clock.now - 7200.0, clock.now - 7200.0))
    os.utime(foreign, (clock.now - 7200.0, clock.now - 7200.0))
    os.utime(new, (clock.now, clock.now))
    async with writing(folder):
        await eventually(lambda: not old.exists())
    assert new.exists()
    assert foreign.exists()
