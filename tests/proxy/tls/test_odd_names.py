"""Names asked for by SNI that are none: nothing is printed for them, and others are served."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import TYPE_CHECKING

import pytest

from proxy.tls.speaking import Names
from tests.proxy.running import until
from tests.proxy.test_tls import ask, client_context, issue, secured

if TYPE_CHECKING:
    from pathlib import Path

HELD = b"h" * 60 + b".test"  # what stands where a name of the test's is to be put, of the same length


def hello(name: bytes) -> bytes:
    """What a client of OpenSSL's says first, asking for these bytes."""
    said = ssl.MemoryBIO()
    client = client_context(check_hostname=False).wrap_bio(ssl.MemoryBIO(), said, server_hostname=HELD.decode())
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    whole = said.read()
    assert whole.count(HELD) == 1
    return whole.replace(HELD, name.ljust(len(HELD), b"x"))


@pytest.mark.parametrize("strict", [False, True])
async def test_no_name_makes_the_interpreter_complain(
    tmp_path: Path, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    names = [
        b"caf\xe9.test", "žluťoučký.test".encode(), b"\xff" * 65, b"\xf0\x9f\x92\xa9",
        b"a b.test", b"\r\nX: 1", b"*.test", b"..", b".", b"%00", b"-", b"127.0.0.1:",
    ]  # fmt: skip
    tls = {"certificates": [issue(tmp_path, "shop.test")], "strict_sni": strict}
    async with secured(tmp_path, tls) as proxy:
        listener = proxy.application.listeners[0]
        assert listener.handshakes is not None
        for name in names:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0])
            writer.write(hello(name))
            first = await asyncio.wait_for(reader.readexactly(1), 10)
            refused = strict or not name.isascii()
            assert first == (b"\x15" if refused else b"\x16"), name  # an alert, or the server's hello
            writer.close()
        await until(lambda: listener.clients == 0)
        answer, _ = await ask(proxy, client_context())
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert listener.handshakes.results["full"] == 1
    assert complaints == []


async def test_what_else_the_interpreter_has_to_tell_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[sys.UnraisableHookArgs] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    def fail(names: Names, name: str | None) -> None:
        raise LookupError(name)

    monkeypatch.setattr(Names, "find", fail)
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        with pytest.raises(ssl.SSLError):
            await ask(proxy, client_context())
    assert [type(complaint.exc_value) for complaint in complaints] == [LookupError]
    assert sys.unraisablehook == complaints.append
