"""Raw connections through the whole of pointsman: a roll of all instances, and a thousand clients."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.proxy.running import running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """Run an instance that gives back what it gets, up to its end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=2048)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def config(folder: Path, *ports: int) -> dict[str, object]:
    tell(folder, *ports)
    db = {"discovery": {"file": "db.yaml"}, "balancer": "round_robin", "guard": {"hold": "0s"}}
    listeners = [{"bind": "127.0.0.1:0", "tcp": {"service": "db"}}]
    return {"listeners": listeners, "routes": [], "services": {"db": db}}


def tell(folder: Path, *ports: int) -> None:
    """Have these instances registered."""
    new = folder / "new.yaml"
    new.write_text("[" + ", ".join(f"'127.0.0.1:{port}'" for port in ports) + "]")
    new.rename(folder / "db.yaml")


async def talk(port: int, text: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    writer.write_eof()
    assert await reader.read() == text
    writer.close()


async def test_no_connection_fails_while_all_instances_are_replaced(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(echo()) for _ in range(6)]
        pointsman = await stack.enter_async_context(running(config(tmp_path, *ports[:3]), tmp_path))
        db = pointsman.application.services["db"]
        await until(lambda: len(db.pool.endpoints) == 3)
        done, stopped = 0, False

        async def load() -> None:
            nonlocal done
            while not stopped:
                await talk(pointsman.application.listeners[0].ports[0], b"x" * 1000)
                done += 1

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(load())
            for step in range(1, 4):
                tell(tmp_path, *ports[step : step + 3])
                wanted = {f"127.0.0.1:{port}" for port in ports[step : step + 3]}
                await until(lambda: {one.instance.authority for one in db.pool.endpoints} == wanted)  # noqa: B023
            stopped = True
        counts = db.traffic.raw
        assert counts is not None
        assert done > 0
        assert not any(counts.failures.values())


async def test_a_thousand_connections_at_a_time(tmp_path: Path) -> None:
    async with echo() as port, running(config(tmp_path, port), tmp_path) as pointsman:
        db, own = pointsman.application.services["db"], pointsman.application.listeners[0].ports[0]
        await until(lambda: db.pool.endpoints)
        pairs = [await asyncio.open_connection("127.0.0.1", own) for _ in range(1000)]
        counts = db.traffic.raw
        assert counts is not None
        await until(lambda: counts.open == 1000)
        for number, (_, writer) in enumerate(pairs):
            writer.write(b"%d\n" % number)
        for number, (reader, _) in enumerate(pairs):
            assert await asyncio.wait_for(reader.readline(), 10) == b"%d\n" % number
        _, shown = await pointsman.admin("/api/v1/routes")
        [route] = shown["tcp"]
        assert (route["service"], route["sni"], route["connections"]) == ("db", "", 1000)
        for _, writer in pairs:
            writer.close()
        await until(lambda: not counts.open)
        assert not any(counts.failures.values())
