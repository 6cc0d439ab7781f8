"""pointsman and systemd, which the test stands in for: what it is told, the sockets that it hands over, and SIGHUP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config.units import parse_bind
from proxy.systemd import ActivationError, Notifier, activated, matches, shared_out
from tests.servers.pointsman import Pointsman
from tests.servers.ports import free_port
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from collections.abc import Callable

# What systemd does between fork and exec: the sockets become the descriptors from 3 on.
_ACTIVATE = """
import os, sys
count = int(sys.argv[1])
os.environ |= {"LISTEN_FDS": str(count), "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "web"}
os.execv(sys.argv[2], sys.argv[2:])
"""


def listening(port: int) -> socket.socket:
    sock = socket.create_server(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


@pytest.mark.parametrize("name", ["{folder}/notify", "@pointsman-test-{pid}"])
def test_it_tells_how_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    address = name.format(folder=tmp_path, pid=os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(address.replace("@", "\0"))
        told.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "200000")

        def until_told(wanted: str) -> str:
            while wanted not in (text := told.recv(4096).decode()):
                pass
            return text

        with Pointsman(tmp_path, {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}) as proxy:
            assert "STATUS=ready" in until_told("READY=1")
            until_told("WATCHDOG=1")
            proxy.signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in until_told("RELOADING=1")
            until_told("READY=1")
            until(lambda: proxy.metric('pointsman_config_reloads_total{result="unchanged"}') == 1, "reloaded")
            proxy.signal(signal.SIGTERM)
            until_told("STOPPING=1")
            assert proxy.wait(10) == 0


def test_who_takes_over_is_the_main_process(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(address := str(tmp_path / "notify"))
        told.settimeout(10)
        old = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000"}, pid=7)
        new = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "7"}, pid=8)
        assert (old.watchdog, new.watchdog) == (2.0, 0.0)
        old.hand_over(8)
        new.succeed(old.watchdog)
        old.stopping("draining")  # which systemd would take for the end of the service
        old.ready()
        new.stopping("ending")
        said = [told.recv(4096).decode() for _ in range(3)]
        assert said == ["MAINPID=8", "MAINPID=8", "STOPPING=1\nSTATUS=ending"]
        assert new.watchdog == 2.0


def test_it_accepts_on_the_socket_that_it_is_handed(tmp_path: Path) -> None:
    port = free_port()
    code = [sys.executable, "-c", _ACTIVATE, "1"]

    with listening(port) as sock:
        proxy = Pointsman(tmp_path, {"web": {"discovery": {"static": ["127.0.0.1:9"]}}},
                          listeners=[{"bind": f"127.0.0.1:{port}"}])  # fmt: skip
        file = tmp_path / "pointsman.yaml"
        log = (tmp_path / "activated.log").open("wb")
        program = str(Path(sys.executable).with_name("pointsman"))
        child = subprocess.Popen(
            [*code, program, "run", "-c", str(file)], stderr=log, preexec_fn=_as_3(sock), close_fds=False
        )
        try:
            until(lambda: _answers(proxy.admin_port), "ready")
            assert ask(port, "/").status == 502
            child.send_signal(signal.SIGTERM)
            assert child.wait(15) == 0
            with socket.create_connection(("127.0.0.1", port), timeout=5):  # systemd still listens
                sock.accept()[0].close()
        finally:
            child.kill()
            child.wait()
            log.close()


def _as_3(sock: socket.socket) -> Callable[[], None]:
    def hand_over() -> None:
        os.dup2(sock.fileno(), 3, inheritable=True)

    return hand_over


def _answers(port: int) -> bool:
    try:
        return ask(port, "/readyz").status == 200
    except OSError:
        return False


def test_sockets_are_known_by_their_addresses() -> None:
    port = free_port()
    with listening(port) as sock:
        ours, other = parse_bind(f"127.0.0.1:{port}"), parse_bind(f"127.0.0.1:{port + 1}")
        assert matches(ours, sock)
        assert shared_out([other, ours], [sock]) == [[], [sock]]
        with pytest.raises(ActivationError, match=f"127.0.0.1:{port}, which is the bind of no listener"):
            shared_out([other], [sock])


def test_who_is_not_meant_takes_nothing() -> None:
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    assert activated(environ, pid=2) == []
    assert environ == {}
    with pytest.raises(ActivationError, match="must be a number"):
        activated({"LISTEN_FDS": "many", "LISTEN_PID": "2"}, pid=2)


def test_without_systemd_nobody_is_told() -> None:
    assert not Notifier({}).is_on
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).send("READY=1")
