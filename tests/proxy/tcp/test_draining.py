"""The end of pointsman, with raw connections under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.proxy.running import until
from tests.proxy.tcp.talking import PATIENCE, at, echo, port_of, through

if TYPE_CHECKING:
    from pathlib import Path


async def test_connections_may_end_by_themselves_while_nobody_new_is_let_in(tmp_path: Path) -> None:
    async with echo() as db, through(tmp_path, {}, {"db": at(db.address)}, drain_timeout="1h") as proxy:
        port = port_of(proxy)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readline() == b"db\n"
        ending = asyncio.create_task(proxy.application.drain())
        await until(lambda: proxy.application.listeners[0].draining)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"one more\n")
        assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"one more\n"
        assert not ending.done()
        writer.close()
        await asyncio.wait_for(ending, PATIENCE)
        raw = proxy.application.services["db"].traffic.raw
        assert raw is not None
        assert not any(raw.failures.values())


async def test_those_that_do_not_are_cut_after_drain_timeout(tmp_path: Path) -> None:
    async with echo() as db, through(tmp_path, {}, {"db": at(db.address)}, drain_timeout="100ms") as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(proxy))
        assert await reader.readline() == b"db\n"
        await asyncio.wait_for(proxy.application.drain(), PATIENCE)
        raw = proxy.application.services["db"].traffic.raw
        assert raw is not None
        assert (raw.open, db.writers[0].is_closing()) == (1, False)
        await proxy.application.stop()
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        assert (raw.open, raw.failures["cut"]) == (0, 1)
        writer.close()
        await until(db.writers[0].is_closing)
