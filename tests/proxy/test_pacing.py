"""Listening sockets of the loopback interface do without BBR, where that is the system's choice."""

import socket

import pytest

from config.units import parse_bind
from proxy.sockets import do_without_pacing, listen
from proxy.workers.sharing import spread


def _control(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")


@pytest.fixture
def paced() -> socket.socket:
    sock = socket.socket()
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")
    except OSError as error:
        sock.close()
        pytest.skip(f"this kernel does not let us use BBR: {error}")
    return sock


def test_another_takes_the_place_of_bbr_and_clients_connections_have_it(paced: socket.socket) -> None:
    with paced:
        do_without_pacing(paced)
        assert _control(paced) in (b"cubic", b"reno")
        paced.bind(("127.0.0.1", 0))
        paced.listen()
        with socket.create_connection(paced.getsockname()):
            accepted, _ = paced.accept()
            with accepted:
                assert _control(accepted) == _control(paced)


def test_what_is_not_bbr_is_left_alone() -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        do_without_pacing(sock)
        assert _control(sock) == b"reno"


def test_whoever_listens_on_the_loopback_interface_has_no_bbr_and_its_workers_neither() -> None:
    sockets = spread(listen(parse_bind("127.0.0.1:0")), 2)
    try:
        assert len(sockets) == 2
        assert all(_control(sock) != b"bbr" for sock in sockets)
    finally:
        for sock in sockets:
            sock.close()


def test_other_addresses_have_what_the_system_chose() -> None:
    with socket.socket() as plain:
        systems = _control(plain)
    [sock] = listen(parse_bind("0.0.0.0:0"))
    with sock:
        assert _control(sock) == systems
