"""What `pointsman register` does, in the test's own loop: with registries that come and go, and with real children."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from config.load import parse
from config.provider import Provider
from discovery.embedded.server import RegistryServer
from proxy.commands.register import Provided
from tests.proxy.running import instance, until
from tests.servers.etcd import EtcdServer, coded
from tests.servers.ports import free_port
from tests.servers.program import ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from tests.servers.consul import ConsulAgent

COMMON = {"service": "web", "id": "web-1", "port": 9, "ttl": "1s", "probe": {"none": True}, "deregister_delay": "0s"}
FOR_EVER = ("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")


class Running:
    def __init__(self, provided: Provided, task: asyncio.Task[int]) -> None:
        self.provided = provided
        self.task = task

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status."""
        self.provided.signalled(number)
        return await asyncio.wait_for(self.task, 15)


@asynccontextmanager
async def running(
    folder: Path, *wanted: dict[str, Any], command: tuple[str, ...] = (), **more: str
) -> AsyncIterator[Running]:
    written = json.dumps({"register": [{**COMMON, **one} for one in wanted], **more})
    provided = Provided(parse(written, name="test", folder=folder, environ={}, model=Provider))
    task = asyncio.create_task(provided.run(command))
    try:
        yield Running(provided, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def in_consul(agent: ConsulAgent, service: str = "web") -> bool:
    return bool(agent.call("GET", f"/v1/health/service/{service}", passing="true"))


def in_etcd(server: EtcdServer, key: str = "/services/web/web-1") -> bool:
    return "kvs" in server.call("kv/range", {"key": coded(key)})


async def services_of(port: int) -> set[str]:
    """Ask the embedded registry, which runs in this loop."""
    answer = await asyncio.to_thread(ask, port, "/v1/agent/services")
    return set(answer.json)


async def test_an_etcd_that_is_away_is_waited_for_and_one_that_was_wiped_hears_of_it_anew(
    etcd_program: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    server = EtcdServer(tmp_path)
    async with running(tmp_path, {"etcd": {"endpoints": [server.address]}}) as it:
        await until(lambda: "the instance could not be registered: etcd at" in caplog.text)
        await asyncio.to_thread(server.start)
        await until(lambda: in_etcd(server))
        server.kill()
        server.wipe()
        await asyncio.to_thread(server.start)
        await until(lambda: in_etcd(server))
        server.delete("/services/web/web-1")
        await until(lambda: in_etcd(server))
        server.kill()
        assert await it.end() == 0
    assert "the instance could not be taken out: etcd at" in caplog.text


async def test_a_consul_that_comes_back_without_its_memory_hears_of_it_anew(own_consul: ConsulAgent, tmp_path: Path):
    async with running(tmp_path, {"consul": {"address": own_consul.address}}) as it:
        await until(lambda: in_consul(own_consul))
        own_consul.kill()
        await asyncio.to_thread(own_consul.start)
        await until(lambda: in_consul(own_consul))
        assert await it.end() == 0
        assert not own_consul.call("GET", "/v1/health/service/web")


async def test_the_embedded_registry_likewise(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    port = free_port()
    async with running(tmp_path, {"consul": {"address": f"http://127.0.0.1:{port}"}}) as it:
        await until(lambda: "the instance could not be registered: Consul at" in caplog.text)
        for life in ("first", "second"):
            server = RegistryServer("127.0.0.1", port, tmp_path / life)
            await server.start()
            while await services_of(port) != {"web-1"}:  # noqa: ASYNC110 - a registry sets no event
                await asyncio.sleep(0.02)
            if life == "second":
                assert await it.end() == 0
                assert await services_of(port) == set()
            await server.stop()


async def test_a_probe_that_fails_takes_it_out_and_one_that_passes_puts_it_in(consul: ConsulAgent, tmp_path: Path):
    health = 200
    async with instance("one", lambda: health) as address:
        wanted = {
            "consul": {"address": consul.address},
            "service": "probed",
            "port": int(address.rpartition(":")[2]),
            "probe": {"http": "/healthz", "interval": "20ms", "fall": 2, "rise": 2},
        }
        async with running(tmp_path, wanted) as it:
            await until(lambda: in_consul(consul, "probed"))
            health = 503
            await until(lambda: not consul.call("GET", "/v1/health/service/probed"))
            health = 200
            await until(lambda: in_consul(consul, "probed"))
            assert await it.end(signal.SIGHUP) == 0
    assert not consul.call("GET", "/v1/health/service/probed")


async def test_one_instance_in_two_registries(consul: ConsulAgent, etcd: EtcdServer, tmp_path: Path):
    places = (
        {"service": "both", "consul": {"address": consul.address}},
        {"service": "both", "etcd": {"endpoints": [etcd.address]}, "address": "10.0.0.5"},
    )
    async with running(tmp_path, *places) as it:
        await until(lambda: in_consul(consul, "both") and in_etcd(etcd, "/services/both/web-1"))
        assert await it.end() == 0
    assert not in_consul(consul, "both")
    assert not in_etcd(etcd, "/services/both/web-1")


async def test_a_second_signal_does_not_wait_for_the_delay(consul: ConsulAgent, tmp_path: Path):
    wanted = {"service": "hurry", "consul": {"address": consul.address}, "deregister_delay": "60s"}
    # Where the tests run in a shell's background, SIGINT is ignored by all that they start.
    async with running(tmp_path, wanted, command=("env", "--default-signal=INT", "sleep", "60")) as it:
        await until(lambda: in_consul(consul, "hurry"))
        it.provided.signalled(signal.SIGTERM)
        await until(lambda: not in_consul(consul, "hurry"))
        assert not it.task.done()
        assert await it.end(signal.SIGINT) == 128 + signal.SIGINT


async def test_a_command_that_does_not_end_is_killed(
    consul: ConsulAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    wanted = {"service": "deaf", "consul": {"address": consul.address}}
    async with running(tmp_path, wanted, command=FOR_EVER, drain_timeout="100ms") as it:
        await until(lambda: in_consul(consul, "deaf"))
        assert await it.end() == 128 + signal.SIGKILL
    assert "drain_timeout passed: the command is killed" in caplog.text
