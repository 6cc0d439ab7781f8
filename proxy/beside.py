"""Sockets that go to another process beside a message (SCM_RIGHTS, unix(7))."""

from __future__ import annotations

import array
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST = 253  # in one message (SCM_MAX_FD in Linux, include/net/scm.h)

Ancillary = tuple[int, int, bytes]  # what recvmsg() gives beside a message: its level, its type, its content


def room_for(count: int) -> int:
    """Return how many bytes recvmsg() needs for so many sockets."""
    return socket.CMSG_SPACE(count * array.array("i").itemsize)


def written(sockets: Sequence[socket.socket]) -> list[tuple[int, int, array.array[int]]]:
    """Return what sendmsg() takes, so that these sockets go along."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [one.fileno() for one in sockets]))]


def read(beside: Iterable[Ancillary]) -> list[socket.socket]:
    """Return the sockets that came beside a message, none of which waits; what is no socket is closed."""
    found: list[socket.socket] = []
    for level, kind, content in beside:
        if level != socket.SOL_SOCKET or kind != socket.SCM_RIGHTS:
            continue
        descriptors = array.array("i")
        descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        for descriptor in descriptors:
            try:
                one = socket.socket(fileno=descriptor)
            except OSError:
                os.close(descriptor)
                continue
            one.setblocking(False)
            found.append(one)
    return found
