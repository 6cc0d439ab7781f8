"""The writer: bounded, never waited for, and true to every line that it took."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from typing import TYPE_CHECKING, cast

import pytest

from proxy.access_log import writer as module
from proxy.access_log.destination import Destination
from proxy.access_log.writer import Writer
from proxy.tasks import Tasks
from tests.proxy.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE = b"x" * 99 + b"\n"
MANY = 1024 * 1024  # bytes


@contextlib.contextmanager
def writing(destination: Destination, limit: int = MANY, timeout: float = 10.0) -> Iterator[Writer]:
    writer = Writer(destination, limit)
    try:
        yield writer
    finally:
        writer.close(timeout)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe, so far without anybody who reads it."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def reader(pipe: Path) -> int:
    """Open a pipe for reading, without waiting for what comes."""
    return os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)


def read(fd: int) -> bytes:
    """Read what there is."""
    data = b""
    try:
        while piece := os.read(fd, 65536):
            data += piece
    except BlockingIOError:
        pass
    return data


class Scripted:
    """A destination that behaves as it is told: a number takes so many bytes, an error is raised."""

    path = "nowhere"

    def __init__(self, *script: int | Exception, renamed_at: int = -1) -> None:
        self.script = list(script)
        self.renamed_at = renamed_at  # the write before which there is a new file
        self.files = [b""]
        self.closed = False

    def follow(self) -> bool:
        self.renamed_at -= 1
        if self.renamed_at != -1:
            return False
        self.files.append(b"")
        return True

    def write(self, lines: bytes, start: int, patience: float) -> int:
        step = self.script.pop(0) if self.script else MANY
        if isinstance(step, Exception):
            raise step
        self.files[-1] += lines[start : start + step]
        return len(lines[start : start + step])

    def close(self) -> None:
        self.closed = True


def scripted(*script: int | Exception, renamed_at: int = -1) -> tuple[Scripted, Destination]:
    made = Scripted(*script, renamed_at=renamed_at)
    return made, cast("Destination", made)


async def test_lines_are_written_soon_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"before\n")
    with writing(Destination(str(path))) as writer:
        writer.put(b"1\n")
        await until(lambda: writer.written == 1)
        assert path.read_bytes() == b"before\n1\n"
        writer.put(b"2\n")
        writer.put(b"3\n")
        await until(lambda: writer.written == 3)
    assert path.read_bytes() == b"before\n1\n2\n3\n"
    assert (writer.written, writer.dropped, writer.failed) == (3, 0, 0)


@pytest.mark.parametrize(("limit", "much"), [(MANY, 64 * 1024), (4000, 2000)])
async def test_much_is_not_kept_until_the_interval_is_over(
    limit: int, much: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_INTERVAL", 3600.0)
    with writing(Destination(str(tmp_path / "access.log")), limit) as writer:
        for _ in range(2):
            lines = much // len(LINE) + 1
            before = writer.written
            for _ in range(lines):
                writer.put(LINE)
            await until(lambda: writer.written > before)  # noqa: B023 - looked at in this round only


def test_closing_writes_what_waits_and_ends_the_thread(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    writer = Writer(Destination(str(path)), 2 * MANY)
    for number in range(10_000):
        writer.put(b"%d\n" % number)
    writer.close(10)
    assert path.read_bytes().split() == [b"%d" % number for number in range(10_000)]
    assert not writer._thread.is_alive()
    writer.put(b"late\n")
    writer.close(10)
    assert (writer.written, writer.dropped) == (10_000, 1)


def test_what_waits_is_bounded_in_bytes(pipe: Path) -> None:
    writer = Writer(Destination(str(pipe)), 1000)
    for _ in range(15):
        writer.put(LINE)
    assert writer.dropped == 5
    fd = reader(pipe)
    writer.close(10)
    assert read(fd) == LINE * 10
    os.close(fd)
    assert (writer.written, writer.dropped) == (10, 5)


async def test_there_is_room_again_once_lines_are_written(tmp_path: Path) -> None:
    with writing(Destination(str(tmp_path / "access.log")), 1000) as writer:
        taken = 0
        for dropped in range(3):
            while writer.dropped == dropped:
                writer.put(LINE)
                taken += 1
            taken -= 1
            await until(lambda: writer.written == taken)  # noqa: B023 - looked at in this round only
    assert taken >= 30


@pytest.mark.timeout(30)  # would wait for ever
async def test_the_loop_is_not_held_up_by_a_pipe_that_nobody_reads(
    pipe: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fd = reader(pipe)
    writer = Writer(Destination(str(pipe)), MANY)
    for _ in range(10):
        for _ in range(MANY // len(LINE)):
            writer.put(LINE)
        await asyncio.sleep(0)
    assert writer.dropped > 7 * MANY // len(LINE)
    await until(lambda: writer.failed)
    writer.close(0.1)
    writer._thread.join(10)
    assert writer.written == read(fd).count(b"\n")
    assert writer.written + writer.dropped == 10 * (MANY // len(LINE))
    assert caplog.records[-1].getMessage().startswith("lines lost at the end of the access log: ")
    os.close(fd)


async def test_a_slow_reader_gets_every_line_as_soon_as_it_has_room(
    pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_INTERVAL", 60.0)
    fd = reader(pipe)
    got = b""
    with writing(Destination(str(pipe))) as writer:
        for number in range(5000):
            writer.put(b"%0100d\n" % number)

        def all_read() -> bool:
            nonlocal got
            got += read(fd)
            return len(got) >= 5000 * 101

        await until(all_read)
    assert [int(line) for line in got.split()] == list(range(5000))
    assert (writer.dropped, writer.failed) == (0, 0)
    os.close(fd)


async def test_a_pipe_whose_reader_comes_late_goes_and_comes_back(pipe: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, module.__name__), writing(Destination(str(pipe))) as writer:
        writer.put(b"1\n")
        await until(lambda: writer.failed >= 2)
        fd = reader(pipe)
        await until(lambda: writer.written == 1)
        assert read(fd) == b"1\n"
        os.close(fd)
        failed = writer.failed
        writer.put(b"2\n")
        await until(lambda: writer.failed >= failed + 2)
        fd = reader(pipe)
        await until(lambda: writer.written == 2)
        assert read(fd) == b"2\n"
        os.close(fd)
    assert [record.getMessage() for record in caplog.records] == [
        f"cannot write the access log to {pipe}: No such device or address; trying again",
        f"the access log to {pipe} is written again",
        f"cannot write the access log to {pipe}: Broken pipe; trying again",
        f"the access log to {pipe} is written again",
    ]


async def test_a_full_disk_is_counted_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "access.log"
    path.symlink_to("/dev/full")
    with writing(Destination(str(path))) as writer:
        writer.put(b"1\n")
        await until(lambda: writer.failed >= 3)
        writer.put(b"2\n")
        assert (writer.written, writer.dropped) == (0, 0)
        path.unlink()
        await until(lambda: writer.written == 2)
    assert path.read_bytes() == b"1\n2\n"
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"cannot write the access log to {path}: No space left on device; trying again"
    ]


def test_a_destination_that_stays_broken_does_not_keep_the_writer_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = Writer(Destination("/dev/full"), MANY)
    writer.put(b"1\n")
    writer.put(b"2\n")
    writer.close(0.1)
    writer._thread.join(10)
    assert not writer._thread.is_alive()
    assert (writer.written, writer.dropped) == (0, 2)
    assert "lines lost at the end of the access log: 2" in caplog.text


async def test_a_line_that_was_written_in_part_is_continued() -> None:
    shown, destination = scripted(1, 3, OSError(errno.ENOSPC, "full"), 2)
    with writing(destination) as writer:
        writer.put(b"abcd\nefgh\n")
    assert shown.files == [b"abcd\nefgh\n"]
    assert (writer.written, writer.failed) == (2, 1)
    assert shown.closed


async def test_a_line_that_was_begun_in_the_old_file_is_whole_in_the_new_one() -> None:
    shown, destination = scripted(7, OSError(errno.ENOSPC, "full"), renamed_at=1)
    with writing(destination) as writer:
        writer.put(b"abcd\nefgh\nijkl\n")
    assert shown.files == [b"abcd\nef", b"efgh\nijkl\n"]
    assert (writer.written, writer._came - writer._went) == (3, 0)


async def test_drops_are_said(caplog: pytest.LogCaptureFixture) -> None:
    _, destination = scripted()
    with writing(destination, limit=3) as writer:
        writer.put(b"abc\n")
        await until(lambda: "cannot keep up" in caplog.text)
        writer.put(b"abc\n")
        writer.put(b"a\n")
    assert (writer.written, writer.dropped) == (1, 2)
    # Not said again so soon.
    assert [record.getMessage() for record in caplog.records] == [
        "the access log cannot keep up; lines dropped so far: 1"
    ]


async def test_the_death_of_the_thread_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    shown, destination = scripted(RuntimeError("a fault"))
    told: list[tuple[str, str]] = []
    tasks = Tasks(lambda name, error: told.append((name, str(error))))
    writer = Writer(destination, MANY)
    tasks.start(writer.watch(), "the access log")
    writer.put(LINE)
    await until(lambda: told)
    assert told == [("the access log", "a fault")]
    assert shown.closed
    writer.put(LINE)
    assert writer.dropped == 1
    writer.close(10)
    assert (writer.written, writer.dropped) == (0, 2)


async def test_a_watch_that_is_cancelled_leaves_the_writer_alone() -> None:
    shown, destination = scripted()
    writer = Writer(destination, MANY)
    tasks = Tasks()
    tasks.start(writer.watch(), "the access log")
    await asyncio.sleep(0)
    await tasks.stop()
    writer.put(LINE)
    writer.close(10)
    assert shown.files == [LINE]
    await writer.watch()
