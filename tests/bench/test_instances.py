import socket
import sys
import time

import pytest
from websockets.sync.client import connect

from bench.pace import websocket
from bench.servers import free_ports, running, wait_until_answers
from bench.workloads import BODIES


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    found = free_ports(4)
    command = [sys.executable, "-m", "bench.instances", *map(str, found), "0.2"]
    folder = tmp_path_factory.mktemp("instances")
    with running("instances", command, {0}, folder, {"PYTHONPATH": ":".join(sys.path)}) as server:
        for port in found:
            wait_until_answers(server, port, "/", BODIES["/"])
        yield found


@pytest.mark.parametrize("message", ["", "a", "x" * 32, "y" * 125])
def test_messages_come_back(ports, message):
    # It echoes the close, too, and leaves it to the client to hang up.
    with connect(f"ws://127.0.0.1:{ports[0]}/", compression=None, close_timeout=0.1) as client:
        client.send(message)
        assert client.recv(timeout=10) == message
        client.send(message)
        assert client.recv(timeout=10) == message


def test_last_one_answers_late(ports):
    with socket.create_connection(("127.0.0.1", ports[3]), timeout=10) as connection:
        begun = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    assert time.monotonic() - begun > 0.19


def test_pace_has_its_messages_echoed(ports, pace_program):
    load = websocket(pace_program, ports[1], "/", 0.3, 3, 0)

    assert load.requests > 0
    assert (load.socket_errors, load.status_errors) == (0, 0)
