"""The Kubernetes registry against a real API server."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from discovery.catalog import Listed
from discovery.instance import Availability
from discovery.kubernetes import KubernetesRegistry
from discovery.kubernetes.access import Access, trusting
from discovery.kubernetes.api import ApiServer, GoneError
from discovery.kubernetes.slices import PAGE, Slices
from discovery.pace import PACE
from discovery.registry import RegistryError
from proxy.cli import main
from tests.discovery.kubernetes.service import Service, endpoint
from tests.discovery.watching import first, has, ids, only, until, watching
from tests.servers.kubernetes import TOKEN
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from discovery.instance import Snapshot
    from tests.servers.kubernetes import KubernetesServer


@pytest.fixture
def service(kubernetes: KubernetesServer, tmp_path: Path) -> Service:
    return Service(kubernetes, tmp_path)


def access_to(service: Service) -> Callable[[], Awaitable[Access]]:
    """Return what tells how to ask the server as its administrator."""
    authority = service.server.ca_file.read_text()

    async def load() -> Access:
        return Access(service.server.address, service.namespace, trusting(authority), token=TOKEN)

    return load


async def test_a_pod(service: Service):
    target = {"kind": "Pod", "name": "web-0", "namespace": service.namespace}
    ports = [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "kubernetes.io/ws"}]
    service.put(endpoint("10.0.0.1", zone="eu-1a", nodeName="n1", targetRef=target), ports=ports)
    async with service.watch() as watch:
        snapshot = await first(watch)
    instance = only(snapshot)
    assert (instance.id, instance.authority, instance.weight) == ("10.0.0.1:8080", "10.0.0.1:8080", 1)
    assert (instance.zone, instance.availability) == ("eu-1a", Availability.UP)
    assert instance.metadata == {"pod": "web-0", "node": "n1", "app_protocol": "kubernetes.io/ws"}
    assert not snapshot.continuous
    assert snapshot.index


async def test_pods_and_slices_come_and_go(service: Service):
    async with service.watch() as watch:
        assert (await first(watch)).instances == ()
        service.put("10.0.0.1")
        assert (await until(watch, has("10.0.0.1:80"))).continuous
        service.put("10.0.0.1", "10.0.0.2")
        await until(watch, has("10.0.0.1:80", "10.0.0.2:80"))
        service.put("10.0.0.3", name="web-2")
        await until(watch, has("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"))
        service.put("10.0.0.1")
        await until(watch, has("10.0.0.1:80", "10.0.0.3:80"))
        service.delete("web-1")
        await until(watch, has("10.0.0.3:80"))
        service.delete("web-2")
        assert (await until(watch, has())).continuous


async def test_a_pod_that_becomes_unready_terminates_and_is_the_last_one(service: Service):
    def in_state(state: Availability) -> Any:
        return lambda snapshot: snapshot.instances[0].availability is state

    service.put("10.0.0.1", "10.0.0.2")
    async with service.watch() as watch:
        await until(watch, in_state(Availability.UP))
        service.put(endpoint("10.0.0.1", conditions={"ready": False, "serving": False}), "10.0.0.2")
        snapshot = await until(watch, in_state(Availability.DOWN))
        assert snapshot.instances[0].reason == "Kubernetes says not ready"
        leaving = endpoint("10.0.0.1", conditions={"ready": False, "serving": True, "terminating": True})
        service.put(leaving, "10.0.0.2")
        await until(watch, in_state(Availability.DRAINING))
        service.put(leaving)
        assert only(await until(watch, in_state(Availability.UP))).reason == ""


async def test_slices_of_other_services_are_not_seen(service: Service):
    service.put("10.0.0.1")
    async with service.watch() as watch:
        await until(watch, has("10.0.0.1:80"))
        service.name = "shop"
        service.put("10.0.0.9", name="shop-1")
        service.name = "web"
        service.put("10.0.0.2", name="web-2")
        assert has("10.0.0.1:80", "10.0.0.2:80")(await first(watch))
        # A slice whose label is changed is another service's from then on.
        service.name = "shop"
        service.put("10.0.0.1")
        await until(watch, has("10.0.0.2:80"))


async def test_endpoints_that_make_no_sense_are_named_and_the_others_are_used(service: Service):
    service.put("10.0.0.1")
    service.put("example.com", name="names", family="FQDN")
    service.put("10.0.0.2", name="ports", ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}])
    async with service.watch() as watch:
        snapshot = await first(watch)
        assert has("10.0.0.1:80")(snapshot)
        assert snapshot.unreadable == (
            "names: addressType must be IPv4 or IPv6, not 'FQDN'",
            "ports: the service has the ports a (1), b (2): say which one with the key port",
        )
    async with service.watch(port="b") as watch:
        assert has("10.0.0.2:2")(await first(watch))


async def test_more_slices_than_fit_on_a_page(service: Service):
    count = PAGE * 2 + 1
    for number in range(count):
        service.put(f"10.0.0.{number + 1}", name=f"web-{number}")
    async with service.watch() as watch:
        assert len((await first(watch)).instances) == count
        service.delete("web-0")
        await until(watch, lambda snapshot: len(snapshot.instances) == count - 1)


async def test_the_services_of_a_namespace(service: Service):
    registry = service.registry()
    assert await registry.services("") == ()
    service.put("10.0.0.1", "10.0.0.2")
    service.put("10.0.0.2", "10.0.0.3", name="web-2")
    service.put("fd00::1", name="web-6", family="IPv6")
    service.name = "shop"
    for number in range(PAGE):
        service.put(name=f"shop-{number}")
    assert await registry.services("") == (Listed("shop", 0), Listed("web", 3))


def test_what_the_command_line_shows(service: Service):
    service.put("10.0.0.1", endpoint("10.0.0.2", conditions={"ready": False}))
    kubeconfig = service.server.kubeconfig(service.folder / "kubeconfig")
    where = (f"kubernetes:{kubeconfig}", "-o", f"namespace={service.namespace}", "--json")
    found = json.loads(CliRunner().invoke(main, ["discover", where[0], "web", *where[1:]]).stdout)
    assert [(one["address"], one["state"]) for one in found["instances"]] == [("10.0.0.1", "up"), ("10.0.0.2", "down")]
    listed = json.loads(CliRunner().invoke(main, ["services", *where]).stdout)
    assert listed == [{"name": "web", "instances": 2, "tags": []}]


async def test_ten_thousand_changes_end_in_the_true_set_and_come_in_few_snapshots(service: Service):
    source = random.Random(7)
    addresses = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(500)]

    def churn() -> None:
        for _ in range(100):  # a slice is written whole: each time, some hundred endpoints come or go
            chosen = source.sample(addresses, 120)
            service.put(*chosen[:100], name=f"web-{source.randrange(5)}")
        service.put("10.9.9.9", name="last")

    loop = asyncio.get_running_loop()
    snapshots: list[Snapshot] = []
    async with service.watch() as watch:
        await first(watch)
        began = loop.time()
        churning = asyncio.ensure_future(asyncio.to_thread(churn))
        while not snapshots or "10.9.9.9:80" not in ids(snapshots[-1]):
            snapshots.append(await first(watch))
        took = loop.time() - began
        await churning
        async with service.watch() as fresh:
            truth = await first(fresh)
    assert {one.id: one for one in snapshots[-1].instances} == {one.id: one for one in truth.instances}
    assert len(truth.instances) > 100
    assert all(snapshot.continuous for snapshot in snapshots)
    assert len(snapshots) <= took / PACE + 1


async def test_a_watch_goes_on_where_the_last_one_ended(service: Service):
    """The API server ends it after a second; nothing is listed anew, or a snapshot would say so."""
    service.put("10.0.0.1")
    async with service.watch(watch=1) as watch:
        await first(watch)
        assert has("10.0.0.1:80")(await first(watch))  # after the end, and nothing had changed
        service.put("10.0.0.2")
        assert (await until(watch, has("10.0.0.2:80"))).continuous
        assert (await first(watch)).continuous


async def test_what_was_compacted_away_is_gone_in_both_places(own_kubernetes: KubernetesServer, tmp_path: Path):
    """What a long break comes to: neither the rest of a list nor the events since then are remembered."""
    server, service = own_kubernetes, Service(own_kubernetes, tmp_path)
    for number in range(PAGE + 1):
        service.put(f"10.0.0.{number + 1}", name=f"web-{number}")
    async with ApiServer(access_to(service), 5.0) as api:
        half, whole = Slices("web"), Slices("web")
        assert half.listed(await api.ask(service.path, half.list_question()))
        while whole.listed(await api.ask(service.path, whole.list_question())):
            pass
        service.put("10.0.0.99", name="web-0")
        server.etcd.compact()
        await asyncio.to_thread(server.restart_alone)  # or its cache remembers what etcd has forgotten
        with pytest.raises(GoneError, match="HTTP 410: The provided continue parameter is too old"):
            await api.ask(service.path, half.list_question())
        async with api.stream(service.path, whole.watch_question(10), 15.0) as messages:
            message = await anext(messages)
        assert (message["type"], message["object"]["code"]) == ("ERROR", 410)
        with pytest.raises(GoneError, match="too old resource version"):
            whole.changed(message)


async def test_bookmarks_take_the_version_on(service: Service):
    """A watch is sent one two seconds before it is ended, if anything happened since it began."""
    service.put("10.0.0.1")
    async with ApiServer(access_to(service), 5.0) as api:
        slices = Slices("web")
        slices.listed(await api.ask(service.path, slices.list_question()))
        before = slices.version
        async with api.stream(service.path, slices.watch_question(4), 15.0) as messages:
            service.server.put_slice(service.namespace, "shop", "shop-1", {"addressType": "IPv4", "endpoints": []})
            message = await anext(messages)
    assert message["type"] == "BOOKMARK"
    slices.changed(message)
    assert slices.version != before
    assert has("10.0.0.1:80")(slices.snapshot(continuous=True))


async def test_an_api_server_that_stops_answering(own_kubernetes: KubernetesServer, tmp_path: Path):
    service = Service(own_kubernetes, tmp_path)
    service.put("10.0.0.1")
    async with service.watch(watch=1, slack=0.5, timeout=1) as watch:
        await first(watch)
        await first(watch)  # the first watch was ended, and the next one begins
        own_kubernetes.freeze()
        try:
            with pytest.raises(RegistryError, match=r"was not ended within 1\.5 s: its connection is dead|no answer"):
                await until(watch, has("never"))
        finally:
            own_kubernetes.thaw()


async def test_an_api_server_that_is_away():
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(free_port())}
    async with watching(KubernetesRegistry(environ=environ)) as watch:
        with pytest.raises(RegistryError, match=r"Kubernetes: the namespace file .* cannot be read"):
            await first(watch)


@pytest.mark.parametrize("name", ["", "Web", "web,x=y", "a" * 64, "web/1", "web.x"])
async def test_what_is_no_name_of_a_service(name: str):
    async with watching(KubernetesRegistry(), name) as watch:
        with pytest.raises(RegistryError, match="has a name of a-z, 0-9 and '-'"):
            await first(watch)
