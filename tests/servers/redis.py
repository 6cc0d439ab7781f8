"""Redis, as an instance behind raw connections."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.debian import DebianProgram
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence


def redis(program: DebianProgram, folder: Path, port: int, *more: str) -> ServerProcess:
    """A server on a port of 127.0.0.1 that keeps nothing on disk."""
    command = [program.path, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *more]
    log = folder / f"redis-{port}.log"
    return ServerProcess(command, log, lambda: _answers(port), environment=program.environment)


def cli(program: DebianProgram, port: int, words: Sequence[str] = (), stdin: str = "") -> str:
    """Have redis-cli run a command, or those that it reads; return what it says."""
    client = DebianProgram(str(Path(program.path).with_name("redis-cli")), program.libraries)
    done = client.run("-h", "127.0.0.1", "-p", str(port), *words, timeout=10, stdin=stdin.encode())
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1) as sock:
        sock.settimeout(1)
        sock.sendall(b"PING\r\n")
        return sock.recv(7) == b"+PONG\r\n"
