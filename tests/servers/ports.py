"""Pick free ports that stay free until the server that wants them has bound them, and while it is down between."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

FIRST = 10_000

_left: list[int] = []  # of this worker's part, in the order in which they will be handed out


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody holds, for TCP and for UDP.

    They lie below the range that the kernel takes the near ends of connections from: a port of that range may be gone
    again before the server binds it, or while a killed server waits to be started anew. For the same reason each of
    the suite's workers has a part of what is left to itself, and hands none of it out twice before it was all used.
    """
    found: list[int] = []
    while len(found) < count:
        if not _left:
            _left.extend(_own_part())
            random.shuffle(_left)
        port = _left.pop()
        if port not in found and _free(port):
            found.append(port)
    return found


def free_port() -> int:
    return free_ports(1)[0]


def _own_part() -> range:
    """Return the ports that this worker may hand out; pytest-xdist tells it which of how many it is."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(FIRST + number % workers, _first_ephemeral(), workers)


def _first_ephemeral() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32_768
    return first if first > FIRST + 1000 else 65_536


def _free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            if kind is socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
