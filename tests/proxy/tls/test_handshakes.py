"""Handshakes: many at once, and those that take up a session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.proxy.running import until
from tests.proxy.test_tls import ask, client_context, issue, secured
from tests.servers.debian import DebianProgram, debian_program
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from pathlib import Path

CROWD = 300


@pytest.fixture
def openssl(request: pytest.FixtureRequest) -> DebianProgram:
    return had_or_skipped(request.config, "openssl", lambda: debian_program("openssl"))


async def test_a_crowd_shakes_hands_at_once_and_all_are_answered(tmp_path: Path) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        listener = proxy.application.listeners[0]
        handshakes = listener.handshakes
        assert handshakes is not None
        context = client_context()
        waiting = [await asyncio.open_connection("127.0.0.1", listener.ports[0]) for _ in range(CROWD)]
        await until(lambda: len(handshakes) == CROWD)
        answers = await asyncio.gather(*(ask(proxy, context) for _ in range(CROWD)))  # beside those who say nothing
        assert {answer[:12] for answer, _ in answers} == {b"HTTP/1.1 200"}
        assert (handshakes.results["full"], len(handshakes)) == (CROWD, CROWD)
        for _, writer in waiting:
            writer.close()
        await until(lambda: listener.clients == 0)
        assert handshakes.results["left"] == CROWD


async def test_openssl_takes_up_its_session_when_it_comes_again(tmp_path: Path, openssl: DebianProgram) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        listener = proxy.application.listeners[0]
        assert listener.handshakes is not None

        async def visit(*options: str) -> list[str]:
            """Come, and return how each handshake went."""
            arguments = ["s_client", "-connect", f"127.0.0.1:{listener.ports[0]}", "-servername", "shop.test", *options]
            request = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
            done = await asyncio.to_thread(
                openssl.run, *arguments, "-ign_eof", timeout=20, stdin=request, folder=tmp_path
            )
            lines = done.stdout.decode().splitlines()
            return [line.partition(",")[0] for line in lines if line.startswith(("New, TLS", "Reused, TLS"))]

        assert await visit("-tls1_2", "-reconnect") == ["New", *["Reused"] * 5]
        assert listener.handshakes.results["resumed"] == 5
        # In TLS 1.3 a ticket comes after the handshake; -reconnect does not wait for one.
        assert await visit("-tls1_3", "-sess_out", "session") == ["New"]
        assert await visit("-tls1_3", "-sess_in", "session") == ["Reused"]
        assert listener.handshakes.results["resumed"] == 6
