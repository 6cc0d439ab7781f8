"""Listening sockets: bound strictly, and removed again."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.units import Bind

_ANY = ("0.0.0.0", "::")
BACKLOG = 2048  # connections that the kernel holds for us to accept; it caps this at net.core.somaxconn


class BindError(OSError):
    """An address cannot be listened on; the text says which, and why."""


def listen(
    bind: Bind, mode: int | None = None, beside: Sequence[socket.socket] = (), what: str = ""
) -> list[socket.socket]:
    """Listen on all addresses that `bind` stands for; `mode` is for a unix socket's file. Raises BindError.

    `what` is said before them in the error.

    `beside` are sockets of ours that listen on some of the same addresses, or that are in the way of them. A socket of
    the very same address is shared (by a duplicate), so that no client in its queue is lost. One that has a part of the
    port is shared where that part is ours too, and does not keep us from listening on the rest.
    """
    try:
        if bind.path:
            same = next(
                (one for one in beside if one.family == socket.AF_UNIX and one.getsockname() == bind.path), None
            )
            if same is not None:
                change_mode(bind.path, mode)
                return [same.dup()]
            sock = bind_unix(bind.path)
            if mode is not None:
                os.chmod(bind.path, mode)  # before anybody can connect
            sock.listen(BACKLOG)
            sock.setblocking(False)
            return [sock]
        return _listen_tcp(_resolve(bind.host or None, bind.port), beside)
    except OSError as error:
        raise BindError(f"cannot listen on {what}{bind}: {why_unbound(error)}") from error


def _resolve(host: str | None, port: int) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, tuple(address)) for family, _, _, _, address in found))


def _listen_tcp(
    addresses: Sequence[tuple[socket.AddressFamily, tuple[object, ...]]], beside: Sequence[socket.socket] = ()
) -> list[socket.socket]:
    bound: list[socket.socket] = []
    ours = [one for one in beside if one.family != socket.AF_UNIX]
    try:
        for family, address in addresses:
            here = [one for one in ours if one.family == family and one.getsockname()[1] == address[1] != 0]
            same = [one for one in here if one.getsockname()[0] == address[0]]
            if same:
                bound += [one.dup() for one in same]  # each worker has one
                continue
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                continue  # a machine without IPv6 still has its other addresses
            bound.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for one in here and [sock, *here]:
                # A part of a port and the whole of it are listened on side by side only by those who all agree to it.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if address[0] in _ANY:
                bound += [one.dup() for one in here]
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            if ip_address(str(address[0]).partition("%")[0]).is_loopback:
                do_without_pacing(sock)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        if not bound:
            raise OSError("no such address on this machine")
    except OSError:
        for sock in bound:
            sock.close()
        raise
    finally:
        for sock in (*ours, *(one for one in bound if one.fileno() >= 0)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    return bound


def do_without_pacing(sock: socket.socket) -> None:
    """Have clients of our own machine sent what is there, where the system would pace it by BBR.

    What BBR is good for is a network. On the loopback interface it only costs: twice the time of a body of 1 MiB, for
    timers that send it piece by piece. Connections take this over from the socket that listens.
    """
    if not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).startswith(b"bbr"):
        return
    for instead in (b"cubic", b"reno"):  # anybody may use the latter (net.ipv4.tcp_allowed_congestion_control)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, instead)
            return
        except OSError:
            continue


def change_mode(path: str, mode: int | None) -> None:
    """Give a unix socket's file these rights, or leave it those that it has; somebody may have removed it."""
    if mode is not None:
        with contextlib.suppress(FileNotFoundError):
            os.chmod(path, mode)


def why_unbound(error: OSError) -> str:
    """Return the system's words for what went wrong; asyncio's repeat the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def bind_unix(path: str) -> socket.socket:
    """Bind a socket to `path`. The loop would do so too, but remove the socket of a living process before."""
    _remove_stale_socket(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
    except OSError:
        sock.close()
        raise
    return sock


def remove_socket(path: str) -> None:
    """Remove the file of a socket of ours; somebody may have done so before."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _remove_stale_socket(path: str) -> None:
    """Remove the socket that a process which is gone left behind; one that answers is left alone, and binding fails."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a living one may have a full backlog
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            return
