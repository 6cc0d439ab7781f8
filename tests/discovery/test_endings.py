"""Connections that are left in the middle of an answer."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

import aiohttp
import pytest
import trustme

from discovery.endings import CUT_SHORT
from tests.discovery.watching import eventually

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"


@pytest.mark.skipif(not CUT_SHORT, reason="aiohttp has no way to do it with this Python")
async def test_one_over_tls_waits_for_no_goodbye_once_its_session_is_closed():
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    end = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        cast("asyncio.Transport", writer.transport).pause_reading()  # so that no goodbye is heard, and none is answered
        writer.write(HEAD)
        await end.wait()
        writer.transport.abort()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=theirs) as server:
        host, port = server.sockets[0].getsockname()
        connector = aiohttp.TCPConnector(ssl=ours, enable_cleanup_closed=CUT_SHORT)
        async with aiohttp.ClientSession(connector=connector) as session:
            response = await session.get(f"https://{host}:{port}/")
            assert response.connection is not None
            assert response.connection.transport is not None
            sock = response.connection.transport.get_extra_info("socket")
            response.close()
            assert sock.fileno() >= 0
        await eventually(lambda: sock.fileno() < 0)
        end.set()
