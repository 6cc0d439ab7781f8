"""What a slice may say."""

from __future__ import annotations

from typing import Any

import pytest

from discovery.kubernetes.entries import Condition, Slice, read_slice
from tests.discovery.kubernetes.service import slice_of

HTTP, METRICS = {"name": "http", "port": 8080}, {"name": "metrics", "port": 9090}


def read(*endpoints: Any, port: str | int | None = None, **fields: Any) -> Slice:
    return read_slice("web-1", slice_of(*endpoints, **fields), port)


def port_of(ports: Any, port: str | int | None) -> int:
    (endpoint,) = read("10.0.0.1", ports=ports, port=port).endpoints
    return endpoint.instance.port


def complaint(ports: Any, port: str | int | None) -> str:
    one = read("10.0.0.1", ports=ports, port=port)
    assert one.endpoints == ()
    return one.unreadable[0].removeprefix("web-1: ")


@pytest.mark.parametrize(
    ("conditions", "condition"),
    [
        (None, Condition.READY),
        ({}, Condition.READY),
        ({"ready": None, "serving": None, "terminating": None}, Condition.READY),
        ({"ready": True, "serving": True, "terminating": False}, Condition.READY),
        ({"ready": True, "terminating": True}, Condition.READY),  # publishNotReadyAddresses
        ({"ready": False}, Condition.UNREADY),
        ({"ready": False, "serving": False, "terminating": False}, Condition.UNREADY),
        ({"ready": False, "serving": True, "terminating": True}, Condition.SERVING),
        ({"ready": False, "serving": False, "terminating": True}, Condition.TERMINATING),
        ({"ready": False, "terminating": True}, Condition.TERMINATING),
    ],
)
def test_conditions(conditions: Any, condition: Condition):
    (endpoint,) = read({"addresses": ["10.0.0.1"], "conditions": conditions}).endpoints
    assert endpoint.condition is condition


@pytest.mark.parametrize(
    ("ports", "wanted", "number"),
    [
        ([HTTP], None, 8080),
        ([{"name": "", "port": 8080}], None, 8080),
        ([{"port": 8080}], None, 8080),
        ([HTTP, METRICS], "http", 8080),
        ([HTTP, METRICS], "metrics", 9090),
        ([HTTP, METRICS], 9090, 9090),
        ([{"name": "dns", "port": 53, "protocol": "UDP"}, {**HTTP, "protocol": "TCP"}], None, 8080),
        ([{"name": "any", "port": None}], 8080, 8080),
        ([], 8080, 8080),  # a headless Service without ports
        (None, 8080, 8080),
    ],
)
def test_the_port(ports: Any, wanted: str | int | None, number: int):
    assert port_of(ports, wanted) == number


@pytest.mark.parametrize(
    ("ports", "wanted", "said"),
    [
        (
            [HTTP, METRICS],
            None,
            "the service has the ports http (8080), metrics (9090): say which one with the key port",
        ),
        ([HTTP, METRICS], "web", "the slice has no TCP port web, but http (8080), metrics (9090)"),
        ([HTTP, METRICS], 80, "the slice has no TCP port 80, but http (8080), metrics (9090)"),
        ([{"name": "dns", "port": 53, "protocol": "UDP"}], None, "the slice has no TCP port, but dns (53 UDP)"),
        ([{"name": "dns", "port": 53, "protocol": "UDP"}], 53, "the slice has no TCP port 53, but dns (53 UDP)"),
        ([{"name": "any", "port": None}], None, "must be a number from 1 to 65535, not nothing; set the key port"),
        ([{"port": 0}], None, "must be a number from 1 to 65535"),
        ([{"port": 65536}], None, "must be a number from 1 to 65535"),
        ([{"port": "80"}], None, "must be a number from 1 to 65535"),
        ([{"port": True}], None, "must be a number from 1 to 65535"),
        ([], None, "the slice has no TCP port, but none at all"),
        (5, None, "ports must be a list of objects, not 5"),
        ([5], None, "ports must be a list of objects"),
        ([HTTP] * 101, None, "ports must have at most 100 items, not 101"),
    ],
)
def test_a_port_that_cannot_be_had(ports: Any, wanted: str | int | None, said: str):
    assert said in complaint(ports, wanted)


@pytest.mark.parametrize(
    ("family", "address", "identity"),
    [
        ("IPv4", "10.0.0.1", "10.0.0.1:80"),
        ("IPv6", "fd00::1", "[fd00::1]:80"),
        ("IPv6", "FD00:0::1", "[fd00::1]:80"),
    ],
)
def test_an_address_is_the_identity(family: str, address: str, identity: str):
    (endpoint,) = read(address, family=family).endpoints
    assert (endpoint.instance.id, endpoint.instance.authority) == (identity, identity)


def test_all_addresses_but_the_first_are_to_be_ignored():
    (endpoint,) = read({"addresses": ["10.0.0.1", "10.0.0.2"]}).endpoints
    assert endpoint.instance.address == "10.0.0.1"


@pytest.mark.parametrize(
    "fields",
    [
        {"addresses": []},
        {"addresses": None},
        {"addresses": "10.0.0.1"},
        {"addresses": [167772161]},
        {"addresses": ["example.com"]},
        {"addresses": ["fd00::1"]},
        {"addresses": ["fe80::1%eth0"]},
        {"conditions": []},
        {"conditions": {"ready": "yes"}},
        {"zone": 5},
        {"zone": "a\nb"},
        {"nodeName": "x" * 513},
        {"targetRef": {"kind": "Pod", "name": 7}},
        {"hints": {"forZones": {}}},
        {"hints": {"forZones": [{"name": "a"}] * 9}},
    ],
)
def test_an_endpoint_that_makes_no_sense_is_named_and_the_others_are_read(fields: dict[str, Any]):
    one = read({"addresses": ["10.0.0.1"], **fields}, "10.0.0.2")
    assert [endpoint.instance.address for endpoint in one.endpoints] == ["10.0.0.2"]
    (told,) = one.unreadable
    assert told.startswith("web-1 endpoint 0: ")


@pytest.mark.parametrize(
    "fields",
    [
        {"family": "FQDN"},
        {"family": None},
        {"family": []},
        {"endpoints": {}},
        {"endpoints": [5]},
        {"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001},
        {"ports": [{"port": 80, "protocol": 5}]},
    ],
)
def test_a_slice_that_makes_no_sense_is_named(fields: dict[str, Any]):
    one = read("10.0.0.1", **fields)
    assert one.endpoints == ()
    assert len(one.unreadable) == 1
    assert one.unreadable[0].startswith("web-1: ")


@pytest.mark.parametrize("endpoints", [None, []])
def test_a_slice_without_endpoints_needs_no_port(endpoints: Any):
    """The controller keeps one of them for a service that selects no pods."""
    assert read(endpoints=endpoints, ports=None) == Slice("ipv4", (), ())


def test_what_else_is_told_of_a_pod():
    target = {"kind": "Pod", "name": "web-0"}
    hints = {"forZones": [{"name": "a"}, {"name": "b"}, {}]}
    fields = {"zone": "a", "nodeName": "n1", "targetRef": target, "hints": hints}
    (endpoint,) = read(
        {"addresses": ["10.0.0.1"], **fields}, ports=[{**HTTP, "appProtocol": "kubernetes.io/ws"}]
    ).endpoints
    assert endpoint.instance.zone == "a"
    assert endpoint.instance.metadata == {"node": "n1", "pod": "web-0", "app_protocol": "kubernetes.io/ws"}
    assert endpoint.hints == {"a", "b"}
    (other,) = read({"addresses": ["10.0.0.1"], "targetRef": {"kind": "Node", "name": "n1"}}).endpoints
    assert other.instance.metadata == {}
