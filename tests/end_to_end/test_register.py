"""`pointsman register` with real registries and real children: who is in, when, and what becomes of signals."""

from __future__ import annotations

import base64
import functools
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.servers.etcd import EtcdServer, coded
from tests.servers.instances import Instances
from tests.servers.ports import free_port
from tests.servers.program import ask, python, until
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


def test_a_second_signal_does_not_wait_for_the_delay(consul: ConsulAgent, tmp_path: Path):
    options = ("--consul", consul.address, "--service", "e2e-hurry", "--port", "9", "--no-check")
    command = [sys.executable, "-c", SAYS_SIGNALS]
    with Registrant(
        tmp_path, *options, "--deregister-delay", "60s", command=command, says=["child is ready"]
    ) as registrant:
        until(lambda: passing(consul, "e2e-hurry"), "it is in")
        registrant.signal(signal.SIGTERM)
        until(lambda: not passing(consul, "e2e-hurry"), "it is out")
        registrant.signal(signal.SIGQUIT)
        assert registrant.wait(10) == 40 + signal.SIGQUIT


def test_a_child_that_does_not_end_is_killed(consul: ConsulAgent, tmp_path: Path):
    options = ("--consul", consul.address, "--service", "e2e-deaf", "--port", "9", "--no-check", *QUICK)
    command = ["sh", "-c", "trap '' TERM; echo child is ready; while :; do sleep 0.1; done"]
    with Registrant(
        tmp_path, *options, "--drain-timeout", "300ms", command=command, says=["child is ready"]
    ) as registrant:
        registrant.signal(signal.SIGTERM)
        assert registrant.wait(10) == 128 + signal.SIGKILL
        assert registrant.has_said("drain_timeout passed: the command is killed")


def test_a_child_that_dies_is_taken_out_at_once(consul: ConsulAgent, tmp_path: Path):
    port = free_port()
    options = ("--consul", consul.address, "--service", "e2e-dies", "--port", str(port))
    with Registrant(tmp_path, *options, "--deregister-delay", "60s", command=child(port)) as registrant:
        pid = int(subprocess.run(["pgrep", "-P", str(registrant.pid)], capture_output=True, text=True).stdout)
        os.kill(pid, signal.SIGKILL)
        assert registrant.wait(10) == 128 + signal.SIGKILL
    assert not consul.call("GET", "/v1/health/service/e2e-dies")


def test_kill_9_leaves_nothing_behind_for_longer_than_the_ttl(etcd: EtcdServer, tmp_path: Path):
    options = ("--etcd", etcd.address, "--service", "killed", "--port", "9", "--no-check", "--ttl", "1s")
    with Registrant(tmp_path, *options) as registrant:
        assert len(in_etcd(etcd, "/services/killed/")) == 1
        registrant.kill()
    killed = time.monotonic()
    gone = until(lambda: not in_etcd(etcd, "/services/killed/"), "its key is gone")
    print(f"\ngone {gone - killed:.2f} s after kill -9, with a TTL of 1 s")


def test_it_is_registered_anew_in_a_registry_that_was_wiped(own_etcd: EtcdServer, tmp_path: Path):
    options = ("--etcd", own_etcd.address, "--service", "wiped", "--port", "9", "--no-check", "--ttl", "1s")
    with Registrant(tmp_path, *options) as registrant:
        own_etcd.kill()
        own_etcd.wipe()
        own_etcd.start()
        until(lambda: in_etcd(own_etcd, "/services/wiped/"), "it is registered anew")
        registrant.signal(signal.SIGTERM)
        assert registrant.wait(10) == 0
        assert not in_etcd(own_etcd, "/services/wiped/")


def test_it_is_registered_anew_in_a_consul_without_its_memory(own_consul: ConsulAgent, tmp_path: Path):
    options = ("--consul", own_consul.address, "--service", "wiped", "--id", "one", "--port", "9", "--no-check")
    with Registrant(tmp_path, *options, "--ttl", "1s") as registrant:
        own_consul.kill()
        own_consul.start()
        until(lambda: passing(own_consul, "wiped") == {"one"}, "it is registered anew")
        registrant.signal(signal.SIGTERM)
        assert registrant.wait(10) == 0
        assert not own_consul.call("GET", "/v1/health/service/wiped")


def test_a_registry_that_is_away_at_first_is_waited_for(etcd_program: Path, tmp_path: Path):
    server = EtcdServer(tmp_path)
    options = ("--etcd", server.address, "--service", "away", "--port", "9", "--no-check")
    with Registrant(tmp_path, *options, says=["could not be registered"]) as registrant:
        server.start()
        until(lambda: in_etcd(server, "/services/away/"), "it is in")
        registrant.signal(signal.SIGTERM)
        assert registrant.wait(10) == 0
    server.stop()


def test_the_end_does_not_wait_for_a_registry_that_is_away(own_etcd: EtcdServer, tmp_path: Path):
    options = ("--etcd", own_etcd.address, "--service", "gone", "--port", "9", "--no-check", *QUICK)
    with Registrant(tmp_path, *options) as registrant:
        own_etcd.kill()
        registrant.signal(signal.SIGTERM)
        assert registrant.wait(10) == 0
        assert registrant.has_said("the instance could not be taken out: etcd at")


def test_a_probe_that_fails_takes_it_out_and_one_that_passes_puts_it_in(consul: ConsulAgent, tmp_path: Path):
    with Instances(tmp_path, "web-1") as instances:
        wanted = {
            "service": "e2e-probe",
            "consul": {"address": consul.address},
            "id": "web-1",
            "port": instances.port,
            "probe": {"http": "/healthz", "interval": "20ms", "fall": 2, "rise": 2},
            "deregister_delay": "0s",
        }
        with Registrant(tmp_path, wanted=[wanted]) as registrant:
            assert passing(consul, "e2e-probe") == {"web-1"}
            ask(instances.port, "/unwell", "POST")
            until(lambda: not consul.call("GET", "/v1/health/service/e2e-probe"), "it is out")
            ask(instances.port, "/well", "POST")
            until(lambda: passing(consul, "e2e-probe") == {"web-1"}, "it is in again")
            registrant.signal(signal.SIGTERM)
            assert registrant.wait(10) == 0
        assert registrant.has_said("the instance is taken out: HTTP 503")
    assert not consul.call("GET", "/v1/health/service/e2e-probe")


def test_one_instance_in_two_registries(consul: ConsulAgent, etcd: EtcdServer, tmp_path: Path):
    common = {"service": "e2e-both", "port": 9, "probe": {"none": True}, "deregister_delay": "0s"}
    wanted = [
        {**common, "consul": {"address": consul.address}},
        {**common, "etcd": {"endpoints": [etcd.address]}, "address": "10.0.0.5"},
    ]
    with Registrant(tmp_path, wanted=wanted) as registrant:
        until(lambda: passing(consul, "e2e-both") and in_etcd(etcd, "/services/e2e-both/"), "it is in both")
        registrant.signal(signal.SIGTERM)
        assert registrant.wait(10) == 0
    assert not passing(consul, "e2e-both")
    assert not in_etcd(etcd, "/services/e2e-both/")
