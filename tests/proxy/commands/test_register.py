"""`pointsman register`: its options, what it says of mistakes, and the exit status of its child."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from config.register import ConsulAgent, EtcdKey, OwnProbe, Register
from proxy.commands import register as module
from tests.servers.command import pointsman
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from config.model import Config


def written(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Config:
    """Return the configuration that options stand for."""
    made: list[Config] = []

    class Provided:
        def __init__(self, config: Config) -> None:
            made.append(config)

        async def run(self, command: tuple[str, ...]) -> int:
            assert command == ("run", "--me")
            return 0

        def signalled(self, number: int) -> None:
            raise AssertionError(number)

    monkeypatch.setattr(module, "Provided", Provided)
    done = pointsman("register", *arguments, "--", "run", "--me")
    assert done.exit_code == 0, done.output
    return made[0]


def test_all_options(monkeypatch: pytest.MonkeyPatch, tmp_path: object):
    config = written(
        monkeypatch, "--consul", "http://h:1", "-o", "deregister_after=5m", "--service", "web", "--id", "${A}",
        "--address", "10.0.0.5", "--port", "80", "--tag", "a", "--tag", "0o7", "--meta", "k=v=w", "--meta", "n=1",
        "--weight", "3", "--zone", "z", "--check-http", "/healthz", "--check-interval", "1s", "--check-timeout",
        "500ms", "--rise", "2", "--fall", "4", "--ttl", "30s", "--deregister-delay", "1s", "--drain-timeout", "9s",
    )  # fmt: skip
    assert config.registered == (
        Register(
            service="web",
            consul=ConsulAgent(address="http://h:1", deregister_after=300.0),
            id="${A}",
            address="10.0.0.5",
            port=80,
            tags=("a", "0o7"),
            metadata={"k": "v=w", "n": "1"},
            weight=3,
            zone="z",
            probe=OwnProbe(http="/healthz", interval=1.0, timeout=0.5, rise=2, fall=4),
            ttl=30.0,
            deregister_delay=1.0,
        ),
    )
    assert config.drain_timeout == 9.0


def test_what_is_left_out_has_its_default(monkeypatch: pytest.MonkeyPatch):
    config = written(monkeypatch, "--etcd", "http://a:1", "--etcd", "http://b:1", "--service", "web", "--port", "80")
    assert config.registered == (
        Register(
            service="web", etcd=EtcdKey(endpoints=("http://a:1", "http://b:1")), port=80, probe=OwnProbe(tcp=True)
        ),
    )


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["true"], 0),
        (["sh", "-c", "kill -USR1 $$"], 128 + signal.SIGUSR1),
        (["/nowhere/to/be/found"], 127),
        (["/"], 126),
    ],
    ids=["exits", "ends well", "by a signal", "not found", "cannot be run"],
)
def test_the_exit_status_is_what_a_shell_would_say(command: list[str], status: int):
    where = ["--consul", f"http://127.0.0.1:{free_port()}", "--service", "web", "--port", "9"]
    assert pointsman("register", *where, "--", *command).exit_code == status


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say where to register: -c FILE, or one of consul, etcd, eureka or zookeeper"),
        (["--consul", "http://h:1"], "say what to register: --service NAME"),
        (["--consul", "http://h:1", "--service", "web"], "the instance of web needs a port: give --port"),
        (
            ["--consul", "h:1", "--service", "web", "--port", "1"],
            "register.consul.address: must be the URL of a Consul",
        ),
        (
            ["--consul", "http://h", "--etcd", "http://h", "--service", "a", "--port", "1"],
            "one of consul, etcd, eureka or zookeeper",
        ),
        (["--consul", "http://h", "--service", "a", "--port", "1", "--meta", "x"], "'x' must be KEY=VALUE"),
        (["--consul", "http://h", "--service", "a", "--port", "1", "--ttl", "x"], "register.ttl: must be a duration"),
        (["--consul", "http://h", "--service", "a", "--port", "70000"], "register.port: must be at most 65535"),
        (["--consul", "http://h", "--service", "a", "--port", "1", "-o", "x=1"], "register.consul.x: unknown key"),
        (
            ["--consul", "http://h", "--service", "a", "--port", "1", "--no-check", "--check-tcp"],
            "keep one of --check-",
        ),
        (["-c", "x.yaml", "--port", "1"], "leave out the other options"),
        (["-c", "/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
        (["--nonsense"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage(arguments: list[str], said: str):
    done = pointsman("register", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_validate_takes_a_file_that_only_registers(tmp_path: Path):
    file = tmp_path / "register.yaml"
    file.write_text("register: {service: web, consul: {}, port: 80}")
    done = pointsman("validate", "-c", file)
    assert done.stdout == f"{file}: fine; 0 listeners, 0 services, 1 registration\n"
