from __future__ import annotations

from typing import Any

import pytest

from discovery.instance import Availability, Instance
from discovery.swarm.entries import Service, Terms, read_service, read_task, read_vip

NETWORKS = {"n1": "backend", "n2": "ingress", "n3": "other"}


def service(labels: dict[str, str] | None = None, **more: Any) -> Service:
    labels = {"pointsman.port": "80"} if labels is None else labels
    return read_service({"ID": "s1", "Spec": {"Name": "web", "Labels": labels}, **more}, Terms())


def attached(name: str, *addresses: object) -> dict[str, Any]:
    return {"Network": {"ID": name, "Spec": {"Name": name}}, "Addresses": list(addresses)}


def task(*networks: dict[str, Any], state: str = "running", desired: str = "running", **more: Any) -> dict[str, Any]:
    networks = networks or (attached("backend", "10.0.0.5/24"),)
    return {
        "ID": "t1",
        "ServiceID": "s1",
        "Slot": 2,
        "NodeID": "node1",
        "Status": {"State": state},
        "DesiredState": desired,
        "NetworksAttachments": list(networks),
        **more,
    }


def read(one: dict[str, Any], of: Service | None = None, **terms: Any) -> Instance:
    found = read_task(one, of or service(), {"node1": "192.0.2.7"}, Terms(**terms))
    assert found is not None
    return found


def test_everything_that_labels_may_say():
    labels = {
        "pointsman.port": "8080",
        "pointsman.weight": "3",
        "pointsman.zone": "eu-1a",
        "pointsman.tags": "v2",
        "pointsman.metadata.a": "b",
        "other": "x",
    }
    assert read(task(), service(labels)) == Instance(
        "web.2.t1", "10.0.0.5", 8080, weight=3, zone="eu-1a", tags=("v2",), metadata={"a": "b"}
    )


def test_a_task_of_a_global_service_is_known_by_its_node():
    assert read(task(Slot=0)).id == "web.node1.t1"


def test_the_port_is_the_labels_else_the_given_one_else_the_only_one_published():
    ports = {
        "Ports": [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 80}, {"Protocol": "udp", "TargetPort": 1}]
    }
    assert read(task(), service({}, Endpoint=ports)).port == 8080
    assert read(task(), service({}, Endpoint=ports), port=70).port == 70
    assert read(task(), service({"pointsman.port": "90"}, Endpoint=ports), port=70).port == 90
    with pytest.raises(ValueError, match="exposes no port; say which one with the label"):
        read(task(), service({}))


@pytest.mark.parametrize(
    ("state", "desired", "availability"),
    [
        ("running", "running", Availability.UP),
        ("running", "shutdown", Availability.DRAINING),
        ("running", "remove", Availability.DRAINING),
        ("running", "accepted", Availability.UP),
    ],
)
def test_the_states_of_tasks_that_run(state: str, desired: str, availability: Availability):
    assert read(task(state=state, desired=desired)).availability is availability


@pytest.mark.parametrize(
    "state",
    [
        *("new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting", "complete"),
        *("shutdown", "failed", "rejected", "remove", "orphaned", "", "odd"),
    ],
)
def test_a_task_that_does_not_run_is_no_instance(state: str):
    assert read_task(task(state=state), service(), {}, Terms()) is None


def test_the_network_is_the_chosen_one_and_never_ingress_by_itself():
    two = task(attached("ingress", "10.255.0.5/16"), attached("backend", "10.0.0.5/24"))
    assert read(two).address == "10.0.0.5"
    assert read(two, network="ingress").address == "10.255.0.5"
    three = task(attached("other", "10.9.0.5/24"), attached("backend", "10.0.0.5/24"))
    assert read(three, network="other").address == "10.9.0.5"
    assert read(three, service({"pointsman.port": "1", "pointsman.network": "other"}), network="backend").port == 1
    with pytest.raises(ValueError, match="it has an address on each of the networks backend, other; say which one"):
        read(three)
    with pytest.raises(ValueError, match="it has no address on the network x, but on backend, other"):
        read(three, network="x")
    with pytest.raises(ValueError, match="it has no address on any network but ingress"):
        read(task(attached("ingress", "10.255.0.5/16")))


def test_a_task_on_its_nodes_network_has_the_nodes_address():
    assert read(task(attached("host"))).address == "192.0.2.7"
    with pytest.raises(ValueError, match="it has no address on any network"):
        read(task(attached("host"), NodeID="unknown"))


def test_an_address_of_version_6():
    assert read(task(attached("backend", "fd00::5/64"))).authority == "[fd00::5]:80"


@pytest.mark.parametrize("address", ["", "10.0.0", 5, None, "x\n/24"])
def test_an_address_that_makes_no_sense_is_told(address: object):
    with pytest.raises(ValueError, match=r"its address .* makes no sense"):
        read(task(attached("backend", address)))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"pointsman.port": "http"}, "the label pointsman.port must be a whole number"),
        ({"pointsman.wieght": "1"}, "unknown label pointsman.wieght"),
    ],
)
def test_labels_that_make_no_sense_are_told(labels: dict[str, str], said: str):
    with pytest.raises(ValueError, match=said):
        service(labels)


def virtual(*addresses: tuple[str, str], mode: str = "vip", **more: Any) -> Service:
    written = [{"NetworkID": network, "Addr": address} for network, address in addresses]
    return service(Endpoint={"Spec": {"Mode": mode}, "VirtualIPs": written}, **more)


def test_the_virtual_address():
    one = virtual(("n2", "10.255.0.2/16"), ("n1", "10.0.0.2/24"))
    assert read_vip(one, NETWORKS, Terms("vip")) == Instance("web", "10.0.0.2", 80)
    assert read_vip(one, NETWORKS, Terms("vip", "ingress")).address == "10.255.0.2"
    three = virtual(("n3", "10.9.0.2/24"), ("n1", "10.0.0.2/24"))
    assert read_vip(three, NETWORKS, Terms("vip", "other")).address == "10.9.0.2"
    assert read_vip(three, {}, Terms("vip", "n1")).address == "10.0.0.2"  # by its identity, where no name is known


def test_a_service_without_tasks_is_down():
    one = virtual(("n1", "10.0.0.2/24"), ServiceStatus={"RunningTasks": 0, "DesiredTasks": 2})
    assert read_vip(one, NETWORKS, Terms("vip")).availability is Availability.DOWN
    one = virtual(("n1", "10.0.0.2/24"), ServiceStatus={"RunningTasks": 1})
    assert read_vip(one, NETWORKS, Terms("vip")).availability is Availability.UP


def test_a_service_that_has_no_virtual_address_is_told():
    with pytest.raises(ValueError, match="its endpoint mode is dnsrr, which has no virtual address; use mode: tasks"):
        read_vip(virtual(mode="dnsrr"), NETWORKS, Terms("vip"))
    with pytest.raises(ValueError, match="it has no virtual address on any network but ingress"):
        read_vip(virtual(), NETWORKS, Terms("vip"))
    with pytest.raises(ValueError, match="it has a virtual address on each of the networks backend, other; say"):
        read_vip(virtual(("n3", "10.9.0.2/24"), ("n1", "10.0.0.2/24")), NETWORKS, Terms("vip"))
