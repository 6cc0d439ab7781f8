"""`pointsman register` with real registries and real children: who is in, when, and what becomes of signals."""

from __future__ import annotations

import base64
import functools
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.command import pointsman
from tests.servers.embedded import EmbeddedRegistry
from tests.servers.etcd import EtcdServer, coded
from tests.servers.ports import free_port
from tests.servers.program import ROOT, ask, python, until
from tests.servers.registrant import QUICK, Registrant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent

SAYS_SIGNALS = """
import signal, sys, time
def told(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    if number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT): sys.exit(40 + number)
for number in (1, 2, 3, 10, 12, 15, 28): signal.signal(number, told)
print("child is ready", flush=True)
while True: time.sleep(60)
"""


def passing(agent: ConsulAgent, service: str) -> set[str]:
    """The IDs of those that Consul would have requests sent to."""
    found = agent.call("GET", f"/v1/health/service/{service}", passing="true")
    return {entry["Service"]["ID"] for entry in found}


def in_etcd(server: EtcdServer, prefix: str) -> set[str]:
    found = server.call("kv/range", {"key": coded(prefix), "range_end": coded(prefix[:-1] + "0"), "keys_only": True})
    return {base64.b64decode(pair["key"]).decode().removeprefix(prefix) for pair in found.get("kvs", [])}


def child(port: int) -> list[str]:
    return python("tests.servers.instance", f"web-1:{port}")


def test_a_command_is_in_once_it_listens_and_out_before_it_hears_of_the_end(consul: ConsulAgent, tmp_path: Path):
    port = free_port()
    options = ("--consul", consul.address, "--service", "e2e-child", "--id", "web-1", "--port", str(port))
    more = ("--tag", "a", "--tag", "b", "--meta", "version=2", "--weight", "3", "--zone", "z1")
    with Registrant(tmp_path, *options, *more, *QUICK, command=child(port)) as registrant:
        assert ask(port, "/").text == "web-1"
        (entry,) = consul.call("GET", "/v1/health/service/e2e-child", passing="true")
        service = entry["Service"]
        assert (service["Address"], service["Port"], service["Tags"]) == ("127.0.0.1", port, ["a", "b"])
        assert (service["Meta"], service["Weights"]["Passing"]) == ({"version": "2", "zone": "z1"}, 3)
        registrant.signal(signal.SIGTERM)
        until(lambda: not passing(consul, "e2e-child"), "it is out")
        assert ask(port, "/").text == "web-1"  # the delay is for those who do not know yet
        assert registrant.wait(10) == 0  # the child ends gently
    assert "web-1" not in consul.services()


def test_signals_are_passed_on_and_the_status_is_the_child_s(consul: ConsulAgent, tmp_path: Path):
    options = ("--consul", consul.address, "--service", "e2e-signals", "--port", "9", "--no-check", *QUICK)
    command = [sys.executable, "-c", SAYS_SIGNALS]
    with Registrant(tmp_path, *options, command=command, says=["child is ready"]) as registrant:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            registrant.signal(number)
            until(functools.partial(registrant.has_said, f"got {number.name}"), f"{number.name} was passed on")
        assert passing(consul, "e2e-signals")
        registrant.signal(signal.SIGINT)
        until(lambda: not passing(consul, "e2e-signals"), "it is out")
        assert not registrant.has_said("got SIGINT")
        assert registrant.wait(10) == 40 + signal.SIGINT
        said = registrant.log.read_text()
    assert said.index("deregistered") < said.index("got SIGINT")


def test_a_child_that_dies_is_taken_out_at_once(consul: ConsulAgent, tmp_path: Path):
    port = free_port()
    options = ("--consul", consul.address, "--service", "e2e-dies", "--port", str(port))
    with Registrant(tmp_path, *options, "--deregister-delay", "60s", command=child(port)) as registrant:
        pid = int(subprocess.run(["pgrep", "-P", str(registrant.pid)], capture_output=True, text=True).stdout)
        os.kill(pid, signal.SIGKILL)
        assert registrant.wait(10) == 128 + signal.SIGKILL
    assert not consul.call("GET", "/v1/health/service/e2e-dies")


def test_kill_9_leaves_nothing_behind_for_longer_than_the_ttl(etcd: EtcdServer, tmp_path: Path):
    port = free_port()
    options = ("--etcd", etcd.address, "--service", "killed", "--port", str(port), "--ttl", "1s")
    with Registrant(tmp_path, *options, command=child(port)) as registrant:
        assert len(in_etcd(etcd, "/services/killed/")) == 1
        assert ask(port, "/").text == "web-1"
        registrant.kill()
    killed = time.monotonic()
    gone = until(lambda: not in_etcd(etcd, "/services/killed/"), "its key is gone")
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/")  # the child does not outlive it
    print(f"\ngone {gone - killed:.2f} s after kill -9, with a TTL of 1 s")


def test_the_readme_s_commands(tmp_path: Path):
    """Registered as it says there, an instance is shown as it says there."""
    readme = (ROOT / "README.md").read_text()
    told = re.findall(r"(?m)^    pointsman ((?:register|services|discover) .*?)(?: *#.*)?$", readme)
    assert [line.split()[0] for line in told] == ["register", "services", "discover"]
    port = free_port()
    with EmbeddedRegistry(tmp_path) as registry:
        commands = [
            line.replace(":8500", f":{registry.port}").replace(" 8000", f" {port}").replace("python3", sys.executable)
            for line in told
        ]
        options, _, command = commands[0].partition(" -- ")
        with Registrant(tmp_path, *options.split()[1:], *QUICK, command=command.split()) as registrant:
            assert ask(port, "/").status == 200
            for line in commands[1:]:
                shown = pointsman(*line.replace(" --watch", "").split())
                assert (shown.exit_code, shown.stderr) == (0, "")
                assert re.search(r"(?m)^(?:embedded/)?web", shown.stdout)
            registrant.signal(signal.SIGTERM)
            assert registrant.wait(10) == 128 + signal.SIGTERM
