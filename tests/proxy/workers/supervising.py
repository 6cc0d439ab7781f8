"""A program of supervised.py, and what a test sees of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.proxy.running import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Event = dict[str, Any]

ROOT = Path(__file__).parents[3]
LONG = 30.0  # seconds until a test gives up


class Supervised:
    """A program of supervised.py, and what its processes have said."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.pid = process.pid
        self.folder = folder
        self.events: list[Event] = []
        self.log = ""
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = (
            asyncio.create_task(self._read(process.stdout)), asyncio.create_task(self._read_log(process.stderr))
        )  # fmt: skip

    async def _read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            self.events.append(json.loads(line))

    async def _read_log(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            self.log += line.decode()

    def all(self, who: str, what: str, **wanted: object) -> list[Event]:
        """Return what was said of this kind."""
        asked = {"who": who, "what": what, **wanted}
        return [event for event in self.events if asked.items() <= event.items()]

    async def said(self, who: str, what: str, *, times: int = 1, **wanted: object) -> Event:
        """Wait until something was said so many times; return what was said then."""
        await until(lambda: len(self.all(who, what, **wanted)) >= times, LONG)
        return self.all(who, what, **wanted)[times - 1]

    async def workers(self, *, times: int = 1) -> list[int]:
        """Wait until every worker was started so many times; return the process IDs of the last."""
        found = [(await self.said(f"worker-{number}", "is there", times=times))["pid"] for number in (1, 2)]
        for number, pid in enumerate(found, 1):
            await self.said("control", "started", number=number, worker=pid)
        return found

    def do(self, who: str, *words: object) -> None:
        """Tell somebody what to do."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(json.dumps(words).encode(), str(self.folder / who))

    async def status(self) -> int:
        """Wait until the supervisor and all of its children have ended; return its exit status."""
        async with asyncio.timeout(LONG):
            await asyncio.gather(*self._readers)  # until nobody has its output open
            return await self.process.wait()

    def everybody(self) -> set[int]:
        """Return the process IDs of all who have ever been there."""
        return {self.pid} | {event["pid"] for event in self.events}

    async def end(self) -> None:
        for pid in self.everybody():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
        await self.status()


@contextlib.asynccontextmanager
async def supervised(environ: dict[str, str] | None = None, **options: object) -> AsyncIterator[Supervised]:
    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:  # pytest's is too long for a socket's name
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.proxy.workers.supervised", json.dumps({"folder": folder, **options}),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True, cwd=ROOT, env={**os.environ, **(environ or {})},
        )  # fmt: skip
        running = Supervised(process, Path(folder))
        try:
            yield running
        finally:
            await running.end()


def descriptors(pid: int) -> dict[int, str]:
    """Return what a process has open."""
    found = {}
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(one.name)] = os.readlink(one)
    return found


def sockets(pid: int) -> set[str]:
    """Return the sockets that it has open, but those of its input and output, which uvloop has left open twice."""
    opened = descriptors(pid)
    given = {opened.get(number) for number in (0, 1, 2)}
    return {name for name in opened.values() if name.startswith("socket:") and name not in given}


def is_over(pid: int) -> bool:
    """Tell whether a process has ended, though nobody may have waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Have a process notice nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
