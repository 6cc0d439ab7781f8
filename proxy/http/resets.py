"""Ending a connection so that nobody takes what was sent for the whole."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes that were written have not been received yet, as far as that is known.

    With TLS the loop does not count what the connection below holds; but that holds something only while the kernel,
    which does tell, has no room.
    """
    buffered = transport.get_write_buffer_size()
    if transport.can_write_eof():
        return buffered
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return buffered
    queued = bytearray(4)
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, queued)
    return buffered + int.from_bytes(queued, sys.byteorder)


def reset(transport: asyncio.Transport) -> None:
    """Close at once, with a reset where there is such a thing: unix sockets have none.

    With TLS there is no close_notify either, without which what came before is known to be a part.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
