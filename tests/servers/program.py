"""A program of this project in a process of its own, and the simplest of questions to it."""

from __future__ import annotations

import functools
import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]


class Program(ServerProcess):
    """A server process that runs while the block lasts: `with Program(...) as program`."""

    tries_again = False

    def __init__(self, command: Sequence[str], log: Path, ready: Callable[[], bool], *, deadline: float = 30.0) -> None:
        super().__init__(command, log, ready, environment={**os.environ, "PYTHONPATH": str(ROOT)}, deadline=deadline)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def memory(self) -> int:
        """Its resident memory in bytes."""
        return resident(self.pid)

    def wait(self, timeout: float) -> int:
        """Wait for it to end by itself; return its exit status."""
        assert self._process is not None, f"{self.command[0]} is not running"
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {timeout:g} s:\n{self.output()}") from None
        finally:
            self.kill()


def resident(pid: int) -> int:
    """The resident memory of a process in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, read to its end."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, path: str, method: str = "GET", body: object = None, timeout: float = 10.0) -> Answer:
    """Send one request, on a connection of its own. An OSError is a failed connection; a body goes as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Connection": "close"})
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()


def is_well(port: int, path: str) -> Callable[[], bool]:
    """Make the question whether a server answers this path with 200."""
    return functools.partial(_answers_200, port, path)


def _answers_200(port: int, path: str) -> bool:
    return ask(port, path).status == 200


def until(condition: Callable[[], object], what: str, deadline: float = 20.0) -> float:
    """Wait until the condition holds, and return the moment; an AssertionError says `what` did not come true."""
    give_up = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < give_up, f"not within {deadline:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic()
