"""Each worker has listening sockets of its own, as far as there can be so many."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from proxy.workers.sharing import share_of, spread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listening(stack: ExitStack, host: str = "127.0.0.1") -> socket.socket:
    sock = stack.enter_context(closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, 0))
    sock.listen()
    return sock


def spread_out(stack: ExitStack, sockets: list[socket.socket], count: int) -> list[socket.socket]:
    return [stack.enter_context(closing(sock)) for sock in spread(sockets, count)]


def test_there_are_as_many_at_each_address_as_workers(stack: ExitStack) -> None:
    first, second = listening(stack), listening(stack, "::1")
    found = spread_out(stack, [first, second], 3)
    assert sorted(sock.getsockname()[:2] for sock in found) == sorted(
        [first.getsockname()[:2]] * 3 + [second.getsockname()[:2]] * 3
    )
    shares = [share_of(found, number, 3) for number in (1, 2, 3)]
    assert [len(share) for share in shares] == [2, 2, 2]
    assert {id(sock) for share in shares for sock in share} == {id(sock) for sock in found}


def test_of_more_sockets_than_workers_none_is_nobodys(stack: ExitStack) -> None:
    found = spread_out(stack, [listening(stack)], 3)
    shares = [share_of(found, number, 2) for number in (1, 2)]
    assert [len(share) for share in shares] == [2, 1]
    assert len({id(sock) for share in shares for sock in share}) == 3
    assert spread(found, 2) == found


def test_a_unix_socket_is_shared(stack: ExitStack, tmp_path: Path) -> None:
    sock = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
    sock.bind(str(tmp_path / "s.sock"))
    sock.listen()
    assert spread([sock], 3) == [sock]
    assert share_of([sock], 1, 3) == share_of([sock], 3, 3) == [sock]


def test_each_socket_gets_clients(stack: ExitStack) -> None:
    found = spread_out(stack, [listening(stack)], 2)
    accepted = [0, 0]
    for sock in found:
        sock.setblocking(False)
    for _ in range(64):
        stack.enter_context(closing(socket.create_connection(found[0].getsockname(), timeout=5)))
        for number, sock in enumerate(found):
            try:
                stack.enter_context(closing(sock.accept()[0]))
            except BlockingIOError:
                continue
            accepted[number] += 1
    assert sum(accepted) == 64
    assert all(accepted)
