"""Listening sockets for several workers: each has one of its own at every address, and the kernel shares out clients.

With SO_REUSEPORT the kernel gives each new connection to one of the sockets of an address by a hash of both its ends
(socket(7)). The control process keeps all of them open: what waits in the queue of a worker that has died is served by
the one that takes its place. A unix socket, and one that systemd listens on, is shared by all workers instead.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from proxy.sockets import BACKLOG

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger(__name__)


def spread(sockets: Sequence[socket.socket], count: int, beside: Sequence[socket.socket] = ()) -> list[socket.socket]:
    """Return these listening sockets, and besides them so many others that there are `count` at each TCP address.

    `beside` are others of ours, which may have a part of the same port, or the whole of it.
    """
    found = list(sockets)
    for one in (*sockets, *beside):
        if one.family != socket.AF_UNIX:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for group in _groups(sockets):
        first = group[0]
        if first.family == socket.AF_UNIX:
            continue
        try:
            found += [_beside(first) for _ in range(count - len(group))]
        except OSError as error:  # somebody else's rules; then workers share what there is
            _log.info("%s is shared by workers: %s", first.getsockname(), error.strerror)
    return found


def share_of(sockets: Sequence[socket.socket], number: int, count: int) -> list[socket.socket]:
    """Return those of these sockets on which a worker accepts, whose number is from 1 to `count`.

    Every socket is somebody's, and every worker has one at each address.
    """
    found: list[socket.socket] = []
    for group in _groups(sockets):
        own = group[number - 1 :: count]
        found += own or [group[(number - 1) % len(group)]]
    return found


def _groups(sockets: Sequence[socket.socket]) -> list[list[socket.socket]]:
    by_address: dict[object, list[socket.socket]] = {}
    for sock in sockets:
        by_address.setdefault((sock.family, str(sock.getsockname())), []).append(sock)
    return list(by_address.values())


def _beside(first: socket.socket) -> socket.socket:
    sock = socket.socket(first.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if first.family == socket.AF_INET6:
            only = first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        congestion = first.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.rstrip(b"\0"))
        sock.bind(first.getsockname())
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
