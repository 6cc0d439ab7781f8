"""Accepting connections, and waiting when there are no file descriptors for them."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from config.units import Bind
from proxy.acceptor import Acceptor
from proxy.sockets import listen
from tests.proxy.http.scripted import PATIENCE, turns, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


class Greeting(asyncio.Protocol):
    """Says hello, and goes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(b"hello")
        transport.close()


class Failing(socket.socket):
    """A listening socket whose next accepts fail as they are told to."""

    failures: list[int]

    def _accept(self) -> Any:
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, os.strerror(number))
        return super()._accept()  # type: ignore[misc]


def listening(*failures: int) -> Failing:
    [sock] = listen(Bind("127.0.0.1", 0))
    failing = Failing(fileno=sock.detach())
    failing.failures = list(failures)
    return failing


@pytest.fixture
async def accepting() -> Iterator[Callable[..., Acceptor]]:  # type: ignore[misc]
    """Make acceptors that are closed in the end."""
    made: list[Acceptor] = []

    def make(*sockets: socket.socket, protocol: Callable[[], asyncio.Protocol] = Greeting) -> Acceptor:
        async def serve(sock: socket.socket) -> None:
            await asyncio.get_running_loop().connect_accepted_socket(protocol, sock)

        acceptor = Acceptor(sockets, serve)
        made.append(acceptor)
        acceptor.start()
        return acceptor

    yield make
    for acceptor in made:
        acceptor.close()
    await until(lambda: not any(acceptor._begun for acceptor in made))


async def greeted(address: Any) -> bytes:
    """Connect, and return what is said until the end."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(sock, address)
            return await asyncio.get_running_loop().sock_recv(sock, 100)


async def test_on_all_its_sockets(accepting: Callable[..., Acceptor], tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    acceptor = accepting(*listen(Bind("127.0.0.1", 0)), *listen(Bind("127.0.0.2", 0)), *listen(Bind(path=path)))
    assert len(acceptor.ports) == 2
    for address in (("127.0.0.1", acceptor.ports[0]), ("127.0.0.2", acceptor.ports[1]), path):
        assert await greeted(address) == b"hello"
    assert (acceptor.paused, acceptor.exhausted) == (False, 0)


async def test_once_closed_it_accepts_nobody(accepting: Callable[..., Acceptor]) -> None:
    acceptor = accepting(*listen(Bind("127.0.0.1", 0)))
    address = ("127.0.0.1", acceptor.ports[0])
    assert acceptor.close()
    assert not acceptor.close()
    assert acceptor.ports == []
    with pytest.raises(ConnectionRefusedError):
        await greeted(address)
    acceptor.resume()  # by a sweep that comes late
    assert acceptor.ports == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_out_of_descriptors_it_pauses_and_whoever_comes_waits(
    accepting: Callable[..., Acceptor], number: int, caplog: pytest.LogCaptureFixture
) -> None:
    acceptor = accepting(listening(number, number))
    address = ("127.0.0.1", acceptor.ports[0])
    with caplog.at_level(logging.WARNING):
        waiting = [asyncio.ensure_future(greeted(address)) for _ in range(3)]
        await until(lambda: acceptor.paused)
        await turns()
        assert acceptor.exhausted == 1
        acceptor.resume()
        await until(lambda: acceptor.paused)  # it was too early
        assert acceptor.exhausted == 2
        assert not any(one.done() for one in waiting)
        acceptor.resume()
        assert await asyncio.gather(*waiting) == [b"hello"] * 3
    assert not acceptor.paused
    assert [record.message for record in caplog.records] == [f"accepting pauses: {os.strerror(number)}"]


async def test_a_client_that_has_left_already_is_passed_over(accepting: Callable[..., Acceptor]) -> None:
    acceptor = accepting(listening(errno.ECONNABORTED, errno.EPROTO, errno.EPERM))
    assert await greeted(("127.0.0.1", acceptor.ports[0])) == b"hello"
    assert acceptor.exhausted == 0


async def test_descriptors_are_left_for_others(
    accepting: Callable[..., Acceptor], caplog: pytest.LogCaptureFixture
) -> None:
    acceptor = accepting(*listen(Bind("127.0.0.1", 0)))
    acceptor._most = 0  # as if all that it may use were in use
    address = ("127.0.0.1", acceptor.ports[0])
    first = asyncio.ensure_future(greeted(address))
    await until(lambda: acceptor.paused)
    second = asyncio.ensure_future(greeted(address))
    assert await first == b"hello"  # it was accepted, with the last one
    acceptor.resume()
    await turns()
    assert acceptor.paused
    assert not second.done()
    acceptor._most = 100_000
    acceptor.resume()
    assert await second == b"hello"
    assert acceptor.exhausted == 1
    assert "file descriptors are in use" in caplog.text


async def test_a_connection_that_cannot_be_begun_harms_no_other(
    accepting: Callable[..., Acceptor], caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[Exception] = [RuntimeError("a slip"), OSError(errno.EBADF, "gone")]

    def protocol() -> asyncio.Protocol:
        if failures:
            raise failures.pop(0)
        return Greeting()

    acceptor = accepting(*listen(Bind("127.0.0.1", 0)), protocol=protocol)
    address = ("127.0.0.1", acceptor.ports[0])
    for _ in range(2):
        assert await greeted(address) == b""
    assert await greeted(address) == b"hello"
    assert "a connection could not be begun" in caplog.text
    assert "a slip" in caplog.text


class Short:
    """The acceptor in a process with few descriptors."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._in = cast("asyncio.StreamWriter", process.stdin)
        self._out = cast("asyncio.StreamReader", process.stdout)

    async def line(self) -> list[bytes]:
        async with asyncio.timeout(PATIENCE):
            return (await self._out.readline()).split()

    async def ask(self, words: str) -> tuple[bool, int]:
        """Tell it something; return whether it has paused, and how often it had to."""
        self._in.write(f"{words}\n".encode())
        paused, exhausted = await self.line()
        return paused == b"1", int(exhausted)

    async def until(self, paused: bool, words: str = "state") -> int:
        async with asyncio.timeout(PATIENCE):
            while True:
                now, exhausted = await self.ask(words)
                if now == paused:
                    return exhausted
                await asyncio.sleep(0.001)

    async def end(self) -> list[bytes]:
        self._in.write(b"\n")
        return await self.line()


async def test_when_accept_itself_runs_out_nobody_is_lost() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.proxy.short_of_descriptors",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        short = Short(process)
        [port] = await short.line()
        await short.ask("leave 8")
        clients = {}
        for _ in range(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(b"x")
            clients[asyncio.ensure_future(reader.readexactly(1))] = writer
        assert await short.until(True) >= 1
        echoed = 0
        async with asyncio.timeout(PATIENCE):
            while clients:  # as each leaves, another one can come
                await short.ask("sweep")
                for echo in [echo for echo in clients if echo.done()]:
                    assert await echo == b"x"
                    clients.pop(echo).close()
                    echoed += 1
                await asyncio.sleep(0.001)
        assert echoed == 30
        exhausted = await short.until(False, "sweep")
        assert exhausted >= 1
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        writer.close()
        assert await short.end() == [b"closed", b"True", b"False"]
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
