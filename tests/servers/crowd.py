"""Thousands of clients in one process, which hold a connection each and hardly use it.

`idle` ones ask once and stay; SIGUSR1 has each of them ask once more. `slow` ones send the head of a request byte by
byte and never finish it. They connect from several addresses of 127.0.0.0/8, some thousand from each.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import uvloop

from tests.servers.program import Program, python, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REQUEST = b"GET / HTTP/1.1\r\nHost: crowd\r\n\r\n"
_SLOW_HEAD = b"GET / HTTP/1.1\r\nHost: crowd\r\nX-Slow: "  # what comes behind it is of no matter, as it never ends
_OF_AN_ADDRESS = 2000
_AT_ONCE = 200  # connecting, or waiting for an answer
_PARTS = 20  # in which the slow ones take turns
_PATIENCE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Member:
    """What became of one of them; times are seconds of the monotonic clock, `ended` 0 while it is connected."""

    began: float
    ended: float
    answers: Sequence[int]  # the statuses
    reset: bool


class Crowd(Program):
    """So many clients while the block lasts. `every` is seconds between two bytes of a slow one."""

    def __init__(
        self, folder: Path, port: int, count: int, kind: Literal["idle", "slow"], *, every: float = 1.0
    ) -> None:
        self._result = folder / f"{kind}.json"
        options = {"port": port, "count": count, "kind": kind, "every": every, "file": str(self._result)}
        super().__init__(
            python("tests.servers.crowd", json.dumps(options)),
            folder / f"{kind}.log",
            lambda: "all are here" in self.output(),
            deadline=_PATIENCE,
        )

    def ask_again(self) -> None:
        """Have all that are idle ask once more, and wait until they are answered."""
        self.signal(signal.SIGUSR1)
        until(lambda: "all have asked again" in self.output(), "all have asked again", _PATIENCE)

    def until_gone(self) -> None:
        """Wait until each has been disconnected."""
        until(lambda: "all are gone" in self.output(), "all are gone", _PATIENCE)

    def finish(self) -> list[Member]:
        """Have those leave that are still there; return what became of them."""
        self.signal(signal.SIGTERM)
        output = self.log
        status = self.wait(_PATIENCE)
        assert status == 0, output.read_text()
        return [Member(*member) for member in json.loads(self._result.read_text())]


class _Client(asyncio.Protocol):
    """One client; `gone` is called when it has been disconnected."""

    transport: asyncio.Transport

    def __init__(self, gone: Callable[[], None]) -> None:
        self.began = time.monotonic()
        self.ended = 0.0
        self.answers: list[int] = []
        self.reset = False
        self._gone = gone
        self._partial = b""
        self._waiter: asyncio.Future[None] | None = None

    async def ask(self) -> None:
        """Ask once, and wait for the answer, or for the end."""
        if not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            self.transport.write(REQUEST)
            async with asyncio.timeout(_PATIENCE):
                await self._waiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read an answer, which has a length and is small."""
        self._partial += data
        head, end, rest = self._partial.partition(b"\r\n\r\n")
        if not end:
            return
        fields = [line.partition(b":") for line in head.lower().split(b"\r\n")]
        length = next(int(value) for name, _, value in fields if name == b"content-length")
        if len(rest) < length:
            return
        self.answers.append(int(head.split(b" ", 2)[1]))
        self._partial = rest[length:]
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = time.monotonic()
        self.reset = exc is not None
        self._wake()
        self._gone()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Crowd:
    def __init__(self, options: dict[str, Any]) -> None:
        self._port, self._count, self._every = options["port"], options["count"], options["every"]
        self._slow = options["kind"] == "slow"
        self._there = self._count  # those who have not been disconnected, those who are still to come included
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self.clients: list[_Client] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        end = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, end.set)
        async with asyncio.TaskGroup() as group:
            dripping = group.create_task(self._drip()) if self._slow else None
            await asyncio.gather(*(self._join(number) for number in range(self._count)))
            print("all are here", flush=True)
            loop.add_signal_handler(signal.SIGUSR1, lambda: group.create_task(self._ask_again()))
            await end.wait()
            loop.remove_signal_handler(signal.SIGUSR1)
            if dripping is not None:
                dripping.cancel()

    async def _join(self, number: int) -> None:
        source = (f"127.0.0.{2 + number // _OF_AN_ADDRESS}", 0)
        async with self._at_once:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: _Client(self._gone), "127.0.0.1", self._port, local_addr=source
            )
            self.clients.append(client)
            if not self._slow:
                await client.ask()

    async def _ask_again(self) -> None:
        async def ask(client: _Client) -> None:
            async with self._at_once:
                await client.ask()

        await asyncio.gather(*map(ask, self.clients))
        print("all have asked again", flush=True)

    async def _drip(self) -> None:
        """Have each send one more byte, some of them at a time."""
        for at in itertools.count():
            byte = _SLOW_HEAD[at : at + 1] or b"x"
            for part in range(_PARTS):
                for client in self.clients[part::_PARTS]:
                    if not client.transport.is_closing():
                        client.transport.write(byte)
                await asyncio.sleep(self._every / _PARTS)

    def _gone(self) -> None:
        self._there -= 1
        if not self._there:
            print("all are gone", flush=True)


def _main(options: dict[str, Any]) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = _Crowd(options)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(crowd.run())
    members = [(client.began, client.ended, client.answers, client.reset) for client in crowd.clients]
    Path(options["file"]).write_text(json.dumps(members))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
