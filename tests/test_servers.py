"""What the tests start their servers with."""

from __future__ import annotations

import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.servers import ports
from tests.servers.process import ServerFailedError, ServerProcess
from tests.servers.program import Program

if TYPE_CHECKING:
    from pathlib import Path

LISTENS = """
import pathlib, socket, sys, time
sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
pathlib.Path(sys.argv[2]).touch()
time.sleep(60)
"""


def test_no_port_is_handed_out_twice_before_all_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_left", [])
    monkeypatch.setattr(ports, "_own_part", lambda: range(20_000, 20_040))
    monkeypatch.setattr(ports, "_free", lambda port: port % 4 > 0)
    first, again = ports.free_ports(30), ports.free_ports(30)
    assert sorted(first) == sorted(again) == [port for port in range(20_000, 20_040) if port % 4]


def test_an_address_in_use_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())) as held:
        command = [sys.executable, "-c", LISTENS, str(held.getsockname()[1]), str(tmp_path / "ready")]
        log = tmp_path / "log"
        with pytest.raises(ServerFailedError, match="Address already in use"):
            Program(command, log, (tmp_path / "ready").exists).start()
        first = log.stat().st_size

        def let_go() -> None:
            until = time.monotonic() + 20
            while log.stat().st_size == first and time.monotonic() < until:
                time.sleep(0.01)
            held.close()

        letting_go = threading.Thread(target=let_go)
        letting_go.start()
        server = ServerProcess(command, log, (tmp_path / "ready").exists)
        server.start()
        letting_go.join()
        server.kill()
