"""`pointsman discover` and `pointsman services` with real registries."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.command import pointsman
from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_port
from tests.servers.program import Program, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent
    from tests.servers.etcd import EtcdServer
    from tests.servers.zookeeper import ZooKeeperServer


@pytest.fixture
def name() -> str:
    return f"shown-{uuid.uuid4().hex[:8]}"


def shown(*arguments: object) -> Any:
    """Return the JSON that a command prints."""
    done = pointsman(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_consul(consul: ConsulAgent, name: str):
    registry = f"consul:{consul.address}"
    assert pointsman("discover", registry, name).stderr == f"there is no instance of {name}\n"
    consul.register({"Name": name, "ID": f"{name}-1", "Address": "10.0.0.1", "Port": 80, "Tags": ["a"]})
    done = pointsman("discover", registry, name)
    assert done.exit_code == 0
    head, row = done.stdout.splitlines()
    assert head.split() == ["INSTANCE", "ADDRESS", "WEIGHT", "ZONE", "TAGS", "STATE"]
    assert row.split()[1:] == ["10.0.0.1:80", "1", "-", "a", "up"]
    (instance,) = shown("discover", registry, name)["instances"]
    assert (instance["address"], instance["port"], instance["state"]) == ("10.0.0.1", 80, "up")
    assert shown("discover", registry, name, "-o", "tags=[other]")["instances"] == []
    assert {"name": name, "tags": ["a"]} in shown("services", registry)
    assert name in pointsman("services", registry).stdout


def test_etcd(etcd: EtcdServer, name: str):
    registry = f"etcd:http://127.0.0.1:{free_port()},{etcd.address}"  # the first member is away
    etcd.put(f"/{name}/web/one", "10.0.0.1:80")
    etcd.put(f"/{name}/web/two", "nonsense")
    found = shown("discover", registry, f"/{name}/web/")
    assert [one["id"] for one in found["instances"]] == ["one"]
    assert found["unreadable"][0].startswith("two: must be an address")
    assert "left out: two: must be an address" in pointsman("discover", registry, f"/{name}/web/").stderr
    assert shown("services", registry, f"/{name}/") == [{"name": f"/{name}/web/", "instances": 2, "tags": []}]
    assert shown("services", registry, f"/{name}/nothing/") == []
    assert "no service" in pointsman("services", registry, f"/{name}/nothing/").stderr
    assert pointsman("services", registry).exit_code == 0


def test_zookeeper(zookeeper: ZooKeeperServer, name: str):
    registry = f"zookeeper:{zookeeper.address}"
    zookeeper.put(f"/{name}/web/one", {"address": "10.0.0.1", "port": 80})
    zookeeper.put(f"/{name}/web/two", "nonsense")
    zookeeper.put(f"/{name}/api")
    found = shown("discover", registry, f"/{name}/web")
    assert [one["id"] for one in found["instances"]] == ["one"]
    assert found["unreadable"][0].startswith("two: the data is no JSON")
    place = {"host": "10.0.0.2", "port": 80}
    zookeeper.put(f"/{name}/api/member_0000000001", {"additionalEndpoints": {"http": place}, "status": "ALIVE"})
    options = ("-o", "layout=serverset", "-o", "endpoint=http")
    (one,) = shown("discover", registry, f"/{name}/api", *options)["instances"]
    assert (one["address"], one["state"]) == ("10.0.0.2", "up")
    assert shown("services", registry, f"/{name}") == [
        {"name": f"/{name}/api", "instances": 1, "tags": []},
        {"name": f"/{name}/web", "instances": 2, "tags": []},
    ]
    assert shown("services", registry, f"/{name}/nothing") == []
    assert pointsman("services", registry).exit_code == 0
    zookeeper.delete(f"/{name}")
    away = pointsman("services", f"zookeeper:127.0.0.1:{free_port()}", "-o", "timeout=100ms")
    assert "no connection within 0.1 s" in away.stderr


def test_a_file(tmp_path: Path):
    file = tmp_path / "instances.yaml"
    file.write_text("[10.0.0.2:80, {address: 10.0.0.1:80, draining: true}]")
    found = shown("discover", f"file:{file}")["instances"]
    assert [(one["address"], one["state"]) for one in found] == [("10.0.0.1", "draining"), ("10.0.0.2", "up")]
    assert shown("discover", f"file:{file}", "web")["service"] == "web"


@pytest.mark.parametrize("more", [[], ["--watch"], ["--json"]], ids=" ".join)
def test_a_full_disk_is_told_in_a_line(more: list[str], tmp_path: Path):
    file = tmp_path / "instances.yaml"
    file.write_text("[10.0.0.1:80]")
    with open("/dev/full", "w") as full:
        command = [COMMAND, "discover", f"file:{file}", *more]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr == "pointsman: cannot write: No space left on device\n"


@pytest.mark.parametrize("kind", ["docker", "swarm", "mesos", "marathon"])
def test_the_name_and_the_address_are_enough_for_others_too(kind: str):
    address = f"http://127.0.0.1:{free_port()}"
    done = pointsman("discover", f"{kind}:{address}", "/web")
    assert done.exit_code == 1
    assert address in done.stderr


def test_a_service_of_a_configuration(consul: ConsulAgent, tmp_path: Path):
    file = tmp_path / "pointsman.yaml"
    file.write_text(
        "listeners: [{bind: ':1'}]\nroutes: [{service: web}]\nservices:\n"
        "  web: {discovery: {static: [10.0.0.1:80]}}\n"
        f"  other: {{discovery: {{consul: {{service: nothing-there, address: '{consul.address}'}}}}}}\n"
    )
    assert [one["address"] for one in shown("discover", "-c", file, "web")["instances"]] == ["10.0.0.1"]
    assert shown("discover", "-c", file, "other")["instances"] == []
    assert shown("services", "-c", file) == [
        {"name": "web", "registries": ["static"]},
        {"name": "other", "registries": ["consul"]},
    ]
    assert pointsman("services", "-c", file).stdout.splitlines()[1].split() == ["web", "static"]
    done = pointsman("discover", "-c", file, "wbe")
    assert (done.exit_code, done.stderr) == (2, f"{file}: there is no service 'wbe'; did you mean 'web'?\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["discover"], "say REGISTRY and NAME"),
        (["discover", "web"], "say REGISTRY and NAME"),
        (["discover", "consul", "a", "b"], "say REGISTRY and NAME"),
        (["discover", "consl", "web"], "there is no registry 'consl'; did you mean 'consul'?"),
        (["discover", "consul:h:1", "web"], "discovery.consul.address: must be the URL of a Consul agent"),
        (["discover", "etcd", "web"], "discovery.etcd.prefix: must be what the keys begin with, and end in /"),
        (["discover", "dns", "web.internal"], "must have a port, for addresses come without"),
        (["discover", "consul", "web", "-o", "x"], "'x' must be KEY=VALUE"),
        (["discover", "consul", "web", "-o", "dc=x"], "discovery.consul.dc: unknown key"),
        (["discover", "-c", "x.yaml"], "with -c FILE, say NAME"),
        (["discover", "-c", "/nowhere.yaml", "web"], "/nowhere.yaml: cannot be read"),
        (["discover", "consul", "web", "--timeout", "0"], "'--timeout': must be at least 100ms, not 0"),
        (["discover", "consul", "web", "--timeout", "1x"], "must be a duration such as 500ms, 5s"),
        (["discover", "docker:d.sock", "web"], "discovery.docker.engine: must be"),
        (["discover", "mesos:h:1", "web"], "discovery.mesos.masters[0]: must be"),
        (["discover", "marathon:h:1", "/web"], "discovery.marathon.urls[0]: must be"),
        (["services"], "say of what: REGISTRY"),
        (["services", "consul", "-c", "x.yaml"], "say of what: REGISTRY"),
        (["services", "dns"], "dns cannot list its services; pointsman discover shows one by its name"),
        (["services", "marathon"], "marathon cannot list its services; pointsman discover shows one by its name"),
        (["services", "nonsense"], "there is no registry 'nonsense'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage(arguments: list[str], said: str):
    done = pointsman(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize("kind", ["consul", "etcd"])
@pytest.mark.parametrize(
    "command", [["discover", "{}", "/web/"], ["discover", "{}", "/web/", "--watch"], ["services", "{}"]], ids=" ".join
)
def test_a_registry_that_is_away(command: list[str], kind: str):
    port = free_port()
    done = pointsman(*(word.format(f"{kind}:http://127.0.0.1:{port}") for word in command))
    assert done.exit_code == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("pointsman: ")
    assert str(port) in line


def test_a_registry_that_does_not_answer(own_consul: ConsulAgent):
    own_consul.freeze()
    registry = f"consul:{own_consul.address}"
    for command in (["discover", registry, "web"], ["discover", registry, "web", "--watch"], ["services", registry]):
        done = pointsman(*command, "--timeout", "0.2")
        assert done.exit_code == 1
        assert "no answer within 0.2 s" in done.stderr
    own_consul.thaw()


class Watch(Program):
    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [COMMAND, "discover", *arguments, "--watch"]
        super().__init__(command, folder / "watch.log", lambda: bool(self.log.read_text()))

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


def test_following_as_text(etcd: EtcdServer, name: str, tmp_path: Path):
    prefix = f"/{name}/"
    with Watch(tmp_path, f"etcd:{etcd.address}", prefix) as watch:
        assert watch.lines()[0].endswith(f"Z {prefix}: 0 instances; nothing yet")
        etcd.put(prefix + "one", "10.0.0.1:80")
        until(lambda: "1 instance; joined one" in watch.output(), "it has joined")
        etcd.put(prefix + "one", {"address": "10.0.0.1:80", "weight": 3})
        until(lambda: "1 instance; changed one (weight 1 → 3)" in watch.output(), "its weight has changed")
        etcd.delete(prefix + "one")
        until(lambda: "0 instances; left one" in watch.output(), "it has left")
        assert [line.split()[:3] for line in watch.lines() if line.startswith("one ")] == [
            ["one", "10.0.0.1:80", "1"],
            ["one", "10.0.0.1:80", "3"],
        ]
        watch.signal(signal.SIGINT)
        assert watch.wait(10) == 0


def test_following_as_json_through_a_break(own_etcd: EtcdServer, tmp_path: Path):
    own_etcd.put("/web/one", "10.0.0.1:80")
    with Watch(tmp_path, f"etcd:{own_etcd.address}", "/web/", "--json") as watch:
        own_etcd.kill()
        until(lambda: "the watch of /web/ failed" in watch.output(), "the break is told")
        own_etcd.start()
        own_etcd.put("/web/two", "10.0.0.2:80")
        until(lambda: '"joined": ["two"]' in watch.output(), "the new one is told")
        told = [json.loads(line) for line in watch.lines() if line.startswith("{")]
        watch.signal(signal.SIGTERM)
        assert watch.wait(10) == 0
    assert [(len(one["instances"]), one["joined"], one["left"]) for one in told] == [(1, ["one"], []), (2, ["two"], [])]
    assert all(one["time"].endswith("Z") for one in told)


def test_following_on_a_terminal_draws_it_anew(etcd: EtcdServer, name: str):
    ours, theirs = pty.openpty()
    prefix = f"/{name}/"
    running = subprocess.Popen(
        [COMMAND, "discover", f"etcd:{etcd.address}", prefix, "--watch"], stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        screens = os.read(ours, 10_000)
        etcd.put(prefix + "one", "10.0.0.1:80")
        while b"10.0.0.1:80" not in screens:
            screens += os.read(ours, 10_000)
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 0
    finally:
        running.kill()
        running.wait()
        os.close(ours)
    assert screens.count(b"\x1b[H\x1b[2J") >= 2


def test_a_reader_that_has_seen_enough_ends_it_quietly(etcd: EtcdServer, name: str, tmp_path: Path):
    prefix = f"/{name}/"
    complaints = tmp_path / "complaints"
    with complaints.open("wb") as errors:
        running = subprocess.Popen(
            [COMMAND, "discover", f"etcd:{etcd.address}", prefix, "--watch", "--json"],
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    etcd.put(prefix + "one", "10.0.0.1:80")
    assert running.wait(10) == 0
    assert complaints.read_text() == ""


@pytest.mark.parametrize("kind", ["docker", "swarm"])
def test_an_engine_that_is_not_there(kind: str, tmp_path: Path):
    done = pointsman("discover", f"{kind}:unix://{tmp_path}/d.sock", "web", "--timeout", "5s")
    assert done.exit_code == 1
    assert f"{tmp_path}/d.sock: there is no such socket" in done.stderr
