"""Connections that have had one request and now wait: what they cost a proxy in memory."""

import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from bench.load import Load, LoadFailedError, percentile
from bench.servers import FILES, allow_files

FIRST = 500
"""Connections that are opened before the memory is looked at: what a proxy sets up for its first is not theirs."""

SETTLED = 0.5
"""Seconds from the last answer until the memory is looked at."""


@dataclass(frozen=True, slots=True)
class Idle:
    """What the connections after the first few cost."""

    load: Load
    memory_each: float
    """Bytes."""


def idle(port: int, path: str, connections: int, memory: Callable[[], int]) -> Idle:
    """Open connections one after the other, each with one request, and keep them; `memory` says what the proxy holds.

    Raises LoadFailedError when one is refused, or closed again.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    allow_files()
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < connections + FIRST + 100:
        raise LoadFailedError(
            f"{connections} connections need more open files than this process may have; raise `ulimit -n` to {FILES}"
        )
    with ExitStack() as held:
        taken: list[float] = []
        sockets = [_ask(held, port, request, taken) for _ in range(FIRST)]
        time.sleep(SETTLED)
        before = memory()
        taken.clear()
        begun = time.monotonic()
        sockets += [_ask(held, port, request, taken) for _ in range(connections)]
        seconds = time.monotonic() - begun
        time.sleep(SETTLED)
        after = memory()
        closed = sum(_closed(each) for each in sockets)
    if closed:
        raise LoadFailedError(f"{closed} of {connections + FIRST} idle connections were closed meanwhile")
    taken.sort()
    p50, p99, p999 = (percentile(taken, share) for share in (0.5, 0.99, 0.999))
    return Idle(
        Load(connections, seconds, sum(taken) / len(taken), p50, p99, p999, 0, 0), (after - before) / connections
    )


def _ask(held: ExitStack, port: int, request: bytes, taken: list[float]) -> socket.socket:
    begun = time.monotonic()
    try:
        connection = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        connection.sendall(request)
        answer = connection.recv(65536)
        while b"\r\n\r\n" not in answer or not answer.endswith(b"x"):
            more = connection.recv(65536)
            if not more:
                raise LoadFailedError(f"connection {len(taken) + 1} was closed before its answer was complete")
            answer += more
    except OSError as error:
        raise LoadFailedError(f"connection {len(taken) + 1} was not served: {error}") from error
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise LoadFailedError(f"connection {len(taken) + 1} was answered {answer[:40]!r}")
    taken.append(time.monotonic() - begun)
    return connection


def _closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
