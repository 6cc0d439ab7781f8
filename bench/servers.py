"""A process that we start, pin to a core, wait for and stop."""

import contextlib
import http.client
import os
import resource
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

START_DEADLINE = 15.0
STOP_DEADLINE = 2.0

FILES = 65_536
"""Open files that a server may have: 10,000 clients, and as many instances, each with a connection."""


class ServerFailedError(Exception):
    """A server did not start, did not answer as it should, or ended by itself. The text quotes its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running process of ours."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        return self.process.pid

    def failure(self, what: str) -> ServerFailedError:
        """An error that quotes the last lines of the server's log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()[-8:]
        return ServerFailedError("\n  ".join([f"{self.name} {what}", *(lines or ["(it logged nothing)"])]))


def pin(cores: Iterable[int]) -> Callable[[], None]:
    """What a child runs before its program, so that the program and all its own children stay on these cores."""
    return partial(_begin, frozenset(cores))


def allow_files() -> None:
    """Let this process have FILES open files, or as many as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, max(FILES, hard)))
    except (ValueError, OSError):  # only root may have more than the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))


def _begin(cores: frozenset[int]) -> None:
    os.sched_setaffinity(0, cores)
    allow_files()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on. All are held until the last is found, so no two are the same."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [found.getsockname()[1] for found in sockets]


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], cores: Iterable[int], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server in this folder, on these cores, until the block is left however it is left."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                preexec_fn=pin(cores),
                # A session of its own: Ctrl-C reaches us alone, and killpg below nothing but this server's processes.
                start_new_session=True,
            )
        except OSError as error:
            raise ServerFailedError(f"{name} cannot be run: {error}") from error
    try:
        yield Server(name, process, log)
    finally:
        _stop(process)


def wait_until_answers(
    server: Server, port: int, path: str, body: int, *, tls: bool = False, deadline: float = START_DEADLINE
) -> None:
    """Wait for a 200 with so many bytes. Raises ServerFailedError at the deadline or once the process has ended."""
    give_up = time.monotonic() + deadline
    while True:
        seen = _ask(port, path, tls)
        if seen == f"200 with {body} bytes":
            return
        if server.process.poll() is not None:
            raise server.failure(f"ended with status {server.process.returncode} before it answered")
        if time.monotonic() > give_up:
            raise server.failure(f"did not answer {path} with {body} bytes within {deadline:g} s; last seen: {seen}")
        time.sleep(0.02)


def _ask(port: int, path: str, tls: bool) -> str:
    if tls:
        # The certificate is of our own making, a moment ago: there is nobody to vouch for it.
        context = ssl._create_unverified_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=2, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return f"{response.status} with {len(response.read())} bytes"
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_DEADLINE)
    # Children that outlived their parent, or a parent that does not listen. The group is gone in the usual case.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
