"""What the command line says and returns: 0 fine, 2 bad usage or configuration, 3 an address cannot be bound."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.servers.instances import Instances
from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_port, free_ports
from tests.servers.program import Program, ask, is_well, until

GOOD = """
listeners: [{{bind: "127.0.0.1:{port}"}}]
routes: [{{service: web}}]
services: {{web: {{discovery: {{static: ["127.0.0.1:9"]}}}}}}
"""
BAD = """
listeners: [{bind: "127.0.0.1:http"}]
routes: [{service: shop}]
services:
  web:
    discovery: {static: ["127.0.0.1:9"]}
    ballancer: random
drain_timeout: soon
"""


def pointsman(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=20, check=False
    )  # fmt: skip
    print(f"\npointsman {' '.join(map(str, arguments))}\n-> {done.returncode}\n{done.stdout}{done.stderr}", end="")
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pointsman.yaml"


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_bad_configuration_is_2_and_every_error_is_named(command: str, file: Path) -> None:
    file.write_text(BAD)
    done = pointsman(command, "-c", file)
    assert done.returncode == 2
    for key in ("listeners", "routes", "ballancer", "drain_timeout"):
        assert key in done.stderr


@pytest.mark.parametrize("command", ["run", "validate"])
def test_an_unknown_balancer_is_2(command: str, file: Path) -> None:
    file.write_text(GOOD.format(port=free_port()).replace('["127.0.0.1:9"]}', '["127.0.0.1:9"]}, balancer: best'))
    done = pointsman(command, "-c", file)
    assert done.returncode == 2
    assert "best" in done.stderr
    assert "weighted_round_robin" in done.stderr


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_missing_file_is_2(command: str, file: Path) -> None:
    done = pointsman(command, "-c", file)
    assert done.returncode == 2
    assert str(file) in done.stderr


def test_a_good_configuration_is_0(file: Path) -> None:
    file.write_text(GOOD.format(port=free_port()))
    done = pointsman("validate", "-c", file)
    assert done.returncode == 0
    assert "fine" in done.stdout


@pytest.mark.parametrize("key", ["listeners", "admin", "registry"])
def test_a_port_in_use_is_3(key: str, file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if key == "listeners":
            file.write_text(GOOD.format(port=port))
        else:
            file.write_text(GOOD.format(port=free_port()) + f'{key}: {{bind: "127.0.0.1:{port}"}}\n')
        done = pointsman("run", "-c", file)
    assert done.returncode == 3
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("pointsman: "))
    assert f"127.0.0.1:{port}" in line
    assert "in use" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "--port", "80"],
        ["run", "-c", "some.yaml", "--listen", "127.0.0.1:80"],
        ["run", "--listen", "127.0.0.1:80"],
        ["run", "--to", "127.0.0.1:80"],
        ["run", "--listen", "nowhere", "--to", "127.0.0.1:80"],
        ["run", "--listen", "127.0.0.1:80", "--to", "127.0.0.1:81", "--balancer", "best"],
        ["validate"],
        ["demo", "--registry", "127.0.0.1:0"],
        ["demo", "--admin", "unix:/nowhere"],
        ["walk"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_2(arguments: list[str]) -> None:
    done = pointsman(*arguments)
    assert done.returncode == 2
    assert done.stderr


def test_without_a_file(tmp_path: Path) -> None:
    port, admin = free_ports(2)
    with Instances(tmp_path, "one", "two") as instances:
        command = [COMMAND, "run", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"]
        for instance in instances.ports.values():
            command += ["--to", f"127.0.0.1:{instance}"]
        with Program(command, tmp_path / "pointsman.log", is_well(admin, "/readyz")) as proxy:
            answers = [ask(port, "/").text for _ in range(4)]
            proxy.signal(signal.SIGINT)
            assert proxy.wait(10) == 0
    assert answers in (["one", "two"] * 2, ["two", "one"] * 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_is_still_loading_ends_it_quietly(number: signal.Signals) -> None:
    starting = subprocess.Popen(
        [COMMAND, "run", "--listen", f"127.0.0.1:{free_port()}", "--to", "127.0.0.1:9"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: "site-packages" in Path(f"/proc/{starting.pid}/maps").read_text(), "its libraries are being loaded")
    starting.send_signal(number)
    _, complaints = starting.communicate(timeout=20)
    assert starting.returncode == 0
    assert "Traceback" not in complaints


def test_as_many_files_may_be_open_as_the_system_allows(tmp_path: Path) -> None:
    port = free_port()
    command = [COMMAND, "run", "--listen", f"127.0.0.1:{port}", "--to", "127.0.0.1:9"]
    with Program(command, tmp_path / "log", lambda: "listening on" in (tmp_path / "log").read_text()) as program:
        limits = Path(f"/proc/{program.pid}/limits").read_text()
        [line] = [line for line in limits.splitlines() if line.startswith("Max open files")]
        _, _, _, soft, hard, _ = line.split()
        assert soft == hard
