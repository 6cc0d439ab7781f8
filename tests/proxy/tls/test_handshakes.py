"""Handshakes: many at once, and those that take up a session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.proxy.running import until
from tests.proxy.test_tls import CA, ask, client_context, issue, secured
from tests.servers.debian import DebianProgram, debian_program
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proxy.running import Running

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


async def visit(openssl: DebianProgram, proxy: Running, folder: Path, *options: str, name: str = "shop.test") -> str:
    """Have openssl come and ask; return what it says, and what it got."""
    port = proxy.application.listeners[0].ports[0]
    arguments = ["s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, *options, "-ign_eof"]
    request = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
    done = await asyncio.to_thread(openssl.run, *arguments, timeout=20, stdin=request, folder=folder)
    return done.stdout.decode() + done.stderr.decode()


def how(said: str) -> list[str]:
    """Tell how each handshake went."""
    return [line.partition(",")[0] for line in said.splitlines() if line.startswith(("New, TLS", "Reused, TLS"))]


async def test_openssl_takes_up_its_session_when_it_comes_again(tmp_path: Path, openssl: DebianProgram) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        handshakes = proxy.application.listeners[0].handshakes
        assert handshakes is not None
        assert how(await visit(openssl, proxy, tmp_path, "-tls1_2", "-reconnect")) == ["New", *["Reused"] * 5]
        assert handshakes.results["resumed"] == 5
        # In TLS 1.3 a ticket comes after the handshake; -reconnect does not wait for one.
        assert how(await visit(openssl, proxy, tmp_path, "-tls1_3", "-sess_out", "session")) == ["New"]
        assert how(await visit(openssl, proxy, tmp_path, "-tls1_3", "-sess_in", "session")) == ["Reused"]
        assert handshakes.results["resumed"] == 6


async def test_openssl_is_shown_the_certificate_it_asks_for_and_shows_its_own(
    tmp_path: Path, openssl: DebianProgram
) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    issue(tmp_path, "alice.test")
    mine = ["-cert", "alice.test.pem", "-key", "alice.test.key", "-CAfile", "ca.pem", "-verify_return_error"]
    tls = {
        "certificates": [issue(tmp_path, "shop.test"), issue(tmp_path, "other.test")],
        "client_ca": "ca.pem",
        "min_version": "1.3",
    }
    async with secured(tmp_path, tls) as proxy:
        for name in ("shop.test", "other.test"):
            said = await visit(openssl, proxy, tmp_path, *mine, "-verify_hostname", name, name=name)
            assert "Verify return code: 0 (ok)" in said
            assert "HTTP/1.1 200 OK" in said
        for options, alert in (
            (["-CAfile", "ca.pem"], "certificate required"),
            ([*mine, "-tls1_2"], "protocol version"),
        ):
            said = await visit(openssl, proxy, tmp_path, *options)
            assert f"alert {alert}" in said
            assert "HTTP/1.1" not in said
