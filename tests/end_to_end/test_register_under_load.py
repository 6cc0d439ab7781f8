"""Instances that register themselves come and go under load, and no request fails: out, then drained, then ended."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.servers.embedded import EmbeddedRegistry
from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman, in_consul
from tests.servers.ports import free_port
from tests.servers.program import Program, ask, python, until
from tests.servers.registrant import Registrant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.servers.consul import ConsulAgent
    from tests.servers.etcd import EtcdServer

NAMES = ("one", "two")
# How long consumers take to notice; pointsman takes some milliseconds.
DELAY = "200ms"


@contextmanager
def started(*programs: Program) -> Iterator[None]:
    """Start programs all at once, and end them."""
    with ThreadPoolExecutor(len(programs)) as starting, ExitStack() as stack:
        for program in programs:
            stack.callback(program.kill)
        list(starting.map(Program.start, programs))
        yield


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[str]:
    """The embedded registry's address, in a process of its own."""
    with EmbeddedRegistry(tmp_path) as registry:
        yield registry.address


def rolled_under_load(folder: Path, discovery: Mapping[str, object], options: list[str]) -> None:
    """Replace one of two instances as a deployment does."""
    ports = {name: free_port() for name in NAMES}
    registrants = {
        name: Registrant(
            folder, *options, "--id", name, "--port", str(port), "--deregister-delay", DELAY,
            command=python("tests.servers.instance", f"{name}:{port}"), name=name,
        )
        for name, port in ports.items()
    }  # fmt: skip
    with Pointsman(folder, {"web": {"discovery": discovery}}) as proxy, started(*registrants.values()):
        proxy.until_in_traffic("web", *NAMES)
        with Load(folder, proxy.url) as load:
            one = registrants["one"]
            one.signal(signal.SIGTERM)
            assert one.wait(15) == 0, one.output()  # its command ended well
            assert proxy.in_traffic("web") == {"two"}
            one.log.unlink()
            one.start()
            proxy.until_in_traffic("web", *NAMES)
            result = load.finish()
    print(f"\n{result.sent} requests while one of two instances was replaced, {len(result.failed)} failed")
    assert not result.failed
    assert set(result.by_instance(0, float("inf"))) == set(NAMES)


def test_in_consul(consul: ConsulAgent, tmp_path: Path):
    discovery = {"consul": {"service": "e2e-roll", "address": consul.address}}
    rolled_under_load(tmp_path, discovery, ["--consul", consul.address, "--service", "e2e-roll"])


def test_in_etcd(etcd: EtcdServer, tmp_path: Path):
    discovery = {"etcd": {"prefix": "/services/e2e-roll/", "endpoints": [etcd.address]}}
    rolled_under_load(tmp_path, discovery, ["--etcd", etcd.address, "--service", "e2e-roll"])


def test_pointsman_itself_leaves_the_registry_before_it_drains(embedded: str, tmp_path: Path):
    """A front pointsman finds two gateways, each of which registered itself; one of them is stopped."""
    app = Instances(tmp_path, "app")
    gateways = []
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        register = {
            "service": "gateway",
            "id": name,
            "consul": {"address": embedded},
            "probe": {"http": "/", "interval": "100ms"},
            "deregister_delay": DELAY,
        }
        services = {"app": {"discovery": {"static": app.addresses()}}}
        gateways.append(Pointsman(folder, services, register=register))
    with started(app, *gateways), Pointsman(tmp_path, {"web": in_consul(embedded, "gateway")}) as front:
        front.until_in_traffic("web", *NAMES)
        first = gateways[0]
        kinds = [event["kind"] for event in first.admin("/events")["events"]]
        assert "registered" in kinds
        with Load(tmp_path, front.url) as load:
            until(lambda: front.endpoints("web")["one"]["requests"] > 50, "the first gateway is used")
            first.signal(signal.SIGTERM)
            until(lambda: front.in_traffic("web") == {"two"}, "the first gateway is out")
            # It is not ready any more, and yet it serves those who have not noticed.
            assert ask(first.admin_port, "/readyz").status == 503
            assert ask(first.port, "/").text == "app"
            assert first.wait(10) == 0
            result = load.finish()
    said = first.log.read_text()
    assert not result.failed
    assert said.index("deregistered one") < said.index("draining: ")
    print(f"\n{result.sent} requests while a gateway was stopped, {len(result.failed)} failed")


def test_a_second_signal_cuts_the_delay_short(consul: ConsulAgent, tmp_path: Path):
    register = {
        "service": "e2e-hasty",
        "consul": {"address": consul.address},
        "probe": {"none": True},
        "deregister_delay": "60s",
    }
    with Pointsman(tmp_path, {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}, register=register) as proxy:
        until(lambda: consul.call("GET", "/v1/health/service/e2e-hasty"), "it is in")
        proxy.signal(signal.SIGTERM)
        until(lambda: not consul.call("GET", "/v1/health/service/e2e-hasty"), "it is out")
        proxy.signal(signal.SIGTERM)
        assert proxy.wait(10) == 0
