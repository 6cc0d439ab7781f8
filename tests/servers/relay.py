"""A relay of TCP between us and a server, which takes its time."""

from __future__ import annotations

import asyncio
from typing import Self

_PIECE = 65_536  # bytes


class Relay:
    """Passes on what comes, each piece `delay` seconds later, while the block lasts; `address` is where it listens.

    While it is held, nothing is passed on, and no connection is closed; `cut` closes those that there are.
    """

    def __init__(self, target: tuple[str, int], delay: float = 0.0) -> None:
        self.delay = delay
        self._target = target
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._server.sockets[0].getsockname()
        return host, port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for _ in range(5):  # turns of the loop, within which what was accepted before is ours
            await asyncio.sleep(0)
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def hold(self) -> None:
        self._passing.clear()

    def release(self) -> None:
        self._passing.set()

    def cut(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not in the task: one that is cancelled before it has begun never runs.
        task.add_done_callback(lambda task: writer.transport.abort() if task.cancelled() else writer.close())

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            their_reader, their_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return
        try:
            await asyncio.gather(self._pass_on(reader, their_writer), self._pass_on(their_reader, writer))
        except asyncio.CancelledError:
            their_writer.transport.abort()
            raise

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE):
                await asyncio.sleep(self.delay)
                await self._passing.wait()
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass  # either side may go when it likes; the other one is told below
        finally:
            writer.close()
