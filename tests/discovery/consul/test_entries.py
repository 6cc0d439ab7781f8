from __future__ import annotations

from typing import Any

import pytest

from discovery.consul.entries import read_entries, read_entry
from discovery.instance import Availability, Instance

PASSING = {"CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing"}
WARNING = {"CheckID": "disk", "Name": "Disk", "Status": "warning", "Output": "90 % full"}
CRITICAL = {"CheckID": "service:web-1", "Name": "HTTP on 80", "Status": "critical", "Output": "HTTP 503\nbusy"}
NODE_MAINTENANCE = {"CheckID": "_node_maintenance", "Status": "critical", "Notes": "kernel update"}
SERVICE_MAINTENANCE = {"CheckID": "_service_maintenance:web-1", "Status": "critical", "Notes": "deploy of v3"}


def entry(*checks: object, node: dict[str, Any] | None = None, **service: Any) -> dict[str, Any]:
    weights = {"Passing": 10, "Warning": 2}
    return {
        "Node": {"Node": "n1", "Address": "10.0.0.1", "Meta": None, **(node or {})},
        "Service": {"ID": "web-1", "Address": "10.0.0.5", "Port": 80, "Weights": weights, **service},
        "Checks": list(checks) or [PASSING],
    }


def test_a_passing_instance():
    given = entry(Tags=["v2"], Meta={"version": "2", "zone": "eu-1a"})
    assert read_entry(given) == Instance(
        id="n1/web-1",
        address="10.0.0.5",
        port=80,
        weight=10,
        zone="eu-1a",
        tags=("v2",),
        metadata={"version": "2", "zone": "eu-1a"},
    )


def test_what_may_be_missing():
    given = {"Node": {"Node": "n1", "Address": "10.0.0.1"}, "Service": {"ID": "web-1", "Port": 80}}
    assert read_entry(given) == Instance("n1/web-1", "10.0.0.1", 80)


@pytest.mark.parametrize(
    ("address", "read"),
    [("", "10.0.0.1"), (None, "10.0.0.1"), ("app1.internal", "app1.internal"), ("fd00:0::5", "fd00::5")],
)
def test_a_service_without_an_address_is_at_its_node(address: str | None, read: str):
    assert read_entry(entry(Address=address)).address == read


@pytest.mark.parametrize(
    ("checks", "availability", "weight", "reason"),
    [
        ([PASSING], Availability.UP, 10, ""),
        ([PASSING, WARNING], Availability.UP, 2, ""),
        ([WARNING, CRITICAL, PASSING], Availability.DOWN, 10, "HTTP on 80: HTTP 503"),
        ([CRITICAL, {**PASSING, "Status": "critical"}], Availability.DOWN, 10, "HTTP on 80 (and 1 more): HTTP 503"),
        ([{**PASSING, "Status": "critical"}], Availability.DOWN, 10, "Serf Health Status: is critical"),
        ([{"CheckID": "odd", "Status": "purple"}], Availability.DOWN, 10, "odd: is purple"),
        ([{}], Availability.DOWN, 10, "a check without a name: is without a status"),
        ([NODE_MAINTENANCE], Availability.DRAINING, 10, "maintenance: kernel update"),
        ([CRITICAL, SERVICE_MAINTENANCE], Availability.DRAINING, 10, "maintenance: deploy of v3"),
        ([{**NODE_MAINTENANCE, "Notes": ""}], Availability.DRAINING, 10, "maintenance: no reason given"),
    ],
)
def test_the_worst_check_decides(checks: list[object], availability: Availability, weight: int, reason: str):
    instance = read_entry(entry(*checks))
    assert (instance.availability, instance.weight, instance.reason) == (availability, weight, reason)


def test_the_output_of_a_check_is_one_printable_line_of_bounded_length():
    long = read_entry(entry({**CRITICAL, "Output": "x" * 1000}))
    assert long.reason == "HTTP on 80: " + "x" * 200
    strange = read_entry(entry({**CRITICAL, "Output": "\n\x1b[31mred\tText\r\nmore"}))
    assert strange.reason == "HTTP on 80: ?[31mred?Text"


@pytest.mark.parametrize(
    ("node", "service", "zone"),
    [
        ({"zone": "n"}, {"zone": "s"}, "s"),
        ({"zone": "n", "availability_zone": "a"}, {}, "n"),
        ({"availability_zone": "a"}, None, "a"),
        (None, None, ""),
    ],
)
def test_the_zone_is_the_service_s_or_the_node_s(node: Any, service: Any, zone: str):
    assert read_entry(entry(node={"Meta": node}, Meta=service)).zone == zone


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (entry(Port=0), "n1/web-1: must have a port from 1 to 65535"),
        (entry(Port=70000), "n1/web-1: must have a port"),
        (entry(Port=None), "n1/web-1: Port must be a whole number"),
        (entry(Port="80 "), "n1/web-1: Port must be a whole number"),
        (entry(Address="10.0.0.5:80"), "n1/web-1: must be an address"),
        (entry(Address="a b"), "n1/web-1: must be an address"),
        (entry(Address="a\r\nX-Evil: 1"), "n1/web-1: must be an address"),
        (entry(Address=["10.0.0.5"]), "n1/web-1: Address must be a text"),
        (entry(Weights={"Passing": -1}), "n1/web-1: Weights.Passing must be a whole number from 0 to 65535, not -1"),
        (entry(Weights={"Passing": True}), "n1/web-1: Weights.Passing must be"),
        (entry(Weights=[1]), "n1/web-1: Weights must be an object"),
        (entry(Tags="v2"), "n1/web-1: Tags must be a list of texts"),
        (entry(Meta={"a": 1}), "n1/web-1: Meta must be an object of texts"),
        (entry("bad"), "n1/web-1: Checks must be a list of objects"),
        (entry(ID=""), "n1/: has no Node.Node or no Service.ID"),
        (entry(node={"Node": 7}), "entry 2: Node must be a text"),
        ({"Node": {"Node": "n1"}}, "entry 2: Service must be an object, not nothing"),
        (7, "entry 2: must be an object, not 7"),
        (None, "entry 2: must be an object, not nothing"),
    ],
)
def test_an_entry_that_makes_no_sense_is_left_out_and_named(given: object, said: str):
    instances, unreadable = read_entries([entry(ID="web-0"), given, entry(ID="web-2")])
    assert [instance.id for instance in instances] == ["n1/web-0", "n1/web-2"]
    (text,) = unreadable
    assert text.startswith(said)


@pytest.mark.parametrize("name", ["x\ud800", "two\nlines", "x" * 513])
def test_an_identity_must_be_fit_to_be_shown(name: str):
    instances, unreadable = read_entries([entry(), entry(ID=name)])
    assert [instance.id for instance in instances] == ["n1/web-1"]
    assert unreadable[0].endswith("ID must be one printable line of at most 512 characters")


def test_a_port_is_a_number():
    _, unreadable = read_entries([entry(Port="80")])
    assert unreadable == ("n1/web-1: Port must be a whole number, not '80'",)
