"""The Docker registry against a real engine. Containers are slow to come and go, so each test uses few."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from discovery.docker import DockerRegistry
from discovery.engine import client, events
from discovery.engine.client import Engine
from discovery.instance import Availability
from discovery.registry import RegistryError
from tests.discovery.docker.service import Service
from tests.discovery.watching import first, has, only, until, watching
from tests.servers.docker import NETWORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discovery.instance import Snapshot
    from tests.servers.docker import DockerEngine


@pytest.fixture
def service(docker: DockerEngine) -> Iterator[Service]:
    with contextlib.closing(Service(docker)) as service:
        yield service


@pytest.fixture
def own_service(own_docker: DockerEngine) -> Service:
    return Service(own_docker)


def is_in(state: Availability) -> Callable[[Snapshot], bool]:
    return lambda snapshot: bool(snapshot.instances) and only(snapshot).availability is state


async def test_what_labels_say(service: Service):
    labels = {
        "pointsman.port": "8080",
        "pointsman.weight": "7",
        "pointsman.zone": "eu-1a",
        "pointsman.tags": "v2, canary",
        "pointsman.metadata.version": "2",
        "somebody.else": "x",
    }
    service.run("one", labels, address="10.1.0.1")
    async with service.watch() as watch:
        snapshot = await first(watch)
    instance = only(snapshot)
    assert (instance.id, instance.authority) == (service.full("one"), "10.1.0.1:8080")
    assert (instance.weight, instance.zone, instance.tags) == (7, "eu-1a", ("v2", "canary"))
    assert instance.metadata == {"version": "2"}
    assert not snapshot.continuous


async def test_containers_come_and_go(service: Service):
    async with service.watch() as watch:
        assert (await first(watch)).instances == ()
        await asyncio.to_thread(service.run, "one")
        assert (await until(watch, has(service.full("one")))).continuous
        await asyncio.to_thread(service.run, "two")
        await until(watch, has(service.full("one"), service.full("two")))
        await asyncio.to_thread(service.act, "stop", "one", t="0")
        await until(watch, has(service.full("two")))
        await asyncio.to_thread(service.act, "start", "one")
        await until(watch, has(service.full("one"), service.full("two")))
        await asyncio.to_thread(service.remove, "one")
        await asyncio.to_thread(service.remove, "two")
        assert (await until(watch, has())).continuous


async def test_a_container_drains_from_the_signal_on_until_it_is_gone(service: Service):
    """The container does not heed the signal, so `docker stop` waits for a second before it kills."""
    service.run("one")
    async with service.watch() as watch:
        assert is_in(Availability.UP)(await first(watch))
        stopping = asyncio.ensure_future(asyncio.to_thread(service.act, "stop", "one", t="1"))
        drains = await until(watch, is_in(Availability.DRAINING))
        assert only(drains).reason == "Docker told it to end"
        assert not stopping.done()
        async with service.watch() as late:  # the signal is older than this watch
            await until(late, is_in(Availability.DRAINING))
        await until(watch, has())
        await stopping
        await asyncio.to_thread(service.act, "start", "one")
        await until(watch, is_in(Availability.UP))


async def test_a_watch_that_begins_anew_knows_who_was_told_to_end(service: Service):
    service.run("one")
    service.act("kill", "one", signal="TERM")
    async with service.watch() as watch:
        await until(watch, is_in(Availability.DRAINING))


async def test_the_signal_that_ends_is_the_containers_own(service: Service):
    service.run("one", StopSignal="SIGQUIT")
    async with service.watch() as watch:
        await first(watch)
        await asyncio.to_thread(service.act, "kill", "one", signal="HUP")  # has it read its configuration anew, say
        await asyncio.to_thread(service.act, "pause", "one")
        await until(watch, is_in(Availability.DOWN))
        await asyncio.to_thread(service.act, "unpause", "one")
        await until(watch, is_in(Availability.UP))
        await asyncio.to_thread(service.act, "kill", "one", signal="QUIT")
        await until(watch, is_in(Availability.DRAINING))


async def test_a_container_that_is_paused_is_down(service: Service):
    service.run("one")
    async with service.watch() as watch:
        await first(watch)
        await asyncio.to_thread(service.act, "pause", "one")
        assert only(await until(watch, is_in(Availability.DOWN))).reason == "Docker says paused"
        async with service.watch() as late:
            assert is_in(Availability.DOWN)(await first(late))
        await asyncio.to_thread(service.act, "unpause", "one")
        await until(watch, is_in(Availability.UP))


async def test_a_container_is_up_while_its_check_passes(service: Service):
    check = {"Test": ["CMD", "/bin/busybox", "test", "-e", "/well"], "Interval": 200_000_000, "Retries": 1}
    service.run("one", Healthcheck={**check, "StartPeriod": 600_000_000_000})
    async with service.watch() as watch:
        assert only(await until(watch, is_in(Availability.DOWN))).reason == "Docker says starting"
        await asyncio.to_thread(service.engine.execute, service.full("one"), "touch", "/well")
        await until(watch, is_in(Availability.UP))
        await asyncio.to_thread(service.engine.execute, service.full("one"), "rm", "/well")
        assert only(await until(watch, is_in(Availability.DOWN))).reason == "Docker says unhealthy"


async def test_labels_of_other_tools_choose_too(service: Service):
    mine = {"com.docker.compose.service": service.name}
    service.run("one", mine)
    service.run("two", {"pointsman.service": "other", **mine})
    registry = service.registry(labels=mine)
    async with watching(registry, service.name) as watch:
        await until(watch, has(service.full("one")))
    async with watching(service.registry(labels=mine, by_name=False), "mine") as watch:
        await until(watch, has(service.full("one"), service.full("two")))
        await asyncio.to_thread(service.remove, "two")
        await until(watch, has(service.full("one")))


async def test_the_network_is_the_chosen_one(service: Service):
    other = f"{service.name}-net"
    number = int(service.name[-2:], 16)
    service.engine.make_network(other, f"10.160.{number}.0/24", f"10.160.{number}.1")
    try:
        service.run("one", address="10.1.0.2")
        async with service.watch() as watch, service.watch(network=other) as chosen:
            assert only(await first(watch)).address == "10.1.0.2"
            assert (await first(chosen)).unreadable == (
                f"{service.full('one')}: it has no address on the network {other}",
            )
            wanted = {"Container": service.full("one")}
            await asyncio.to_thread(service.engine.call, "POST", f"/networks/{other}/connect", wanted)
            both = await until(watch, lambda snapshot: bool(snapshot.unreadable))
            assert f"its networks are {', '.join(sorted((NETWORK, other)))}; say which one" in both.unreadable[0]
            found = await until(chosen, has(service.full("one")))
            assert only(found).address.startswith(f"10.160.{number}.")
    finally:
        service.close()
        service.engine.call("DELETE", f"/networks/{other}")


async def test_a_container_on_the_hosts_network(service: Service):
    service.run("one", network="host")
    async with service.watch() as watch, service.watch(host="192.0.2.7") as named:
        assert only(await first(watch)).authority == "127.0.0.1:80"
        assert only(await first(named)).authority == "192.0.2.7:80"


async def test_a_published_port(service: Service):
    bindings = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "90/tcp": [{"HostPort": "8090"}]}
    service.run("one", ExposedPorts={"80/tcp": {}, "90/tcp": {}}, HostConfig={"PortBindings": bindings})
    async with service.watch(address="published", host="192.0.2.7") as watch:
        assert only(await first(watch)).authority == "127.0.0.1:8080"
    everywhere = {"PortBindings": {"90/tcp": [{"HostPort": "8091"}]}}
    service.run("two", {"pointsman.port": "90"}, ExposedPorts={"90/tcp": {}}, HostConfig=everywhere)
    async with service.watch(address="published", host="192.0.2.7") as watch:
        snapshot = await first(watch)
    assert [one.authority for one in snapshot.instances] == ["127.0.0.1:8080", "192.0.2.7:8091"]


async def test_labels_that_make_no_sense_are_named_and_the_other_containers_are_used(service: Service):
    service.run("good")
    service.run("port", {"pointsman.port": "http"})
    service.run("wieght", {"pointsman.wieght": "3"})
    async with service.watch() as watch:
        snapshot = await first(watch)
        assert has(service.full("good"))(snapshot)
        port, wieght = snapshot.unreadable
        assert (
            port
            == f"{service.full('port')}: the label pointsman.port must be a whole number from 1 to 65535, not 'http'"
        )
        assert wieght.startswith(f"{service.full('wieght')}: unknown label pointsman.wieght; ")
        await asyncio.to_thread(service.remove, "port")
        assert (await until(watch, lambda snapshot: len(snapshot.unreadable) == 1)).unreadable == (wieght,)


async def test_all_watches_of_an_engine_share_one_stream(own_service: Service):
    service = own_service
    address = service.engine.address
    async with service.watch() as one, service.watch(network="x") as two, watching(service.registry(), "x") as three:
        await asyncio.gather(first(one), first(two), first(three))
        assert [source.engine.address for source in events._sources.values()] == [address]
        await asyncio.to_thread(service.run, "one")
        await until(one, has(service.full("one")))
        await until(two, lambda snapshot: bool(snapshot.unreadable))
    assert not events._sources


async def test_an_engine_that_is_frozen_is_an_error_until_it_thaws(own_service: Service):
    service = own_service
    service.run("one")
    registry = service.registry(timeout=0.3, heartbeat=0.1)
    async with watching(registry, service.name) as watch:
        await first(watch)
        service.engine.freeze()
        with pytest.raises(RegistryError, match=r"no answer within 0\.3 s"):
            await until(watch, has())
    async with watching(registry, service.name) as watch:
        with pytest.raises(RegistryError, match=r"no answer within 0\.3 s"):
            await first(watch)
    service.engine.thaw()
    async with service.watch() as watch:
        await until(watch, has(service.full("one")))


async def test_an_engine_that_knows_only_newer_versions_says_so(docker: DockerEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "NEWEST", (1, 11))
    monkeypatch.setattr(client, "OLDEST", (1, 10))
    async with watching(DockerRegistry(Engine(docker.address)), "web") as watch:
        with pytest.raises(RegistryError, match=r"client version 1\.11 is too old.* speaks versions 1\.10 to 1\.11 of"):
            await first(watch)


@pytest.mark.parametrize(("path", "said"), [("missing", "there is no such socket; is Docker running"), ("", "")])
async def test_a_socket_that_is_not_there_is_an_error(tmp_path: Any, path: str, said: str):
    async with watching(DockerRegistry(Engine(f"unix://{tmp_path / path}")), "web") as watch:
        with pytest.raises(RegistryError, match=f"Docker at unix://{tmp_path}.*{said}"):
            await first(watch)
