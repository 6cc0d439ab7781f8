from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from discovery.instance import Availability, Instance
from discovery.zookeeper.nerve import Nerve

GOOD: dict[str, Any] = {"host": "10.0.0.5", "port": 8080, "name": "i-3f2a"}


def encoded(fields: object, number: int = 12) -> str:
    text = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
    return f"base64_{len(text)}_{text}_{number:010}"


def read(fields: dict[str, Any], name: str = "i-3f2a_0000000012") -> Instance:
    return Nerve().read(name, json.dumps(fields).encode())


def test_a_node():
    fields = {**GOOD, "weight": 10, "labels": {"az": "eu-1a", "zone": "eu"}, "haproxy_server_options": "check"}
    metadata = {"az": "eu-1a", "name": "i-3f2a"}
    assert read(fields) == Instance("10.0.0.5:8080", "10.0.0.5", 8080, weight=10, zone="eu", metadata=metadata)


def test_a_port_may_be_a_text():
    assert read({**GOOD, "port": "3000"}).port == 3000


def test_a_name_that_holds_everything_needs_no_data():
    """The examples are of Synapse's own tests."""
    layout, name = Nerve(), encoded({"host": "127.0.0.1", "port": "3000", "labels": {"region": "us-east-1"}}, 3)
    assert not layout.wants_data(name)
    assert layout.read(name, b"") == Instance("127.0.0.1:3000", "127.0.0.1", 3000, metadata={"region": "us-east-1"})


def test_the_code_of_a_name_may_hold_the_mark_between_its_parts():
    names = [encoded({**GOOD, "labels": {"a": "x" * shift + "???"}}) for shift in range(3)]
    assert any(name.count("_") > 2 for name in names)
    assert not any(map(Nerve().wants_data, names))


@pytest.mark.parametrize(
    "name",
    [
        "i-3f2a_0000000012",
        encoded(GOOD).replace("base64_", "base65_"),
        encoded(GOOD)[:-11],
        encoded(GOOD).replace("_", "_1", 1),
        encoded([1]),
        "base64_3_???_0000000001",
        "base64_4_AAAA_0000000001",
        f"base64_40000_{'W' * 40000}_0000000001",
    ],
)
def test_of_what_only_looks_encoded_the_data_is_read(name: str):
    assert Nerve().wants_data(name)
    assert read(GOOD, name).authority == "10.0.0.5:8080"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "the host must be a name"),
        ({**GOOD, "port": "http"}, "the port must be a whole number, not 'http'"),
        ({**GOOD, "port": None}, "the port must be"),
        ({**GOOD, "weight": -1}, "weight must be a whole number"),
        ({**GOOD, "weight": "10"}, "weight must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_named(fields: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        read(fields)
    with pytest.raises(ValueError, match=said):
        Nerve().read(encoded(fields), b"")


def test_of_two_nodes_at_one_address_the_later_one_counts():
    layout = Nerve()
    names = [encoded({**GOOD, "weight": 1}, 7), encoded({**GOOD, "weight": 2}, 11), encoded({**GOOD, "weight": 3}, 9)]
    (instance,) = layout.instances({name: layout.read(name, b"") for name in names})
    assert instance.weight == 2


def test_what_is_written_is_read_again():
    instance = Instance("web-1", "10.0.0.5", 80, weight=3, zone="a", tags=("b",), metadata={"c": "d"})
    node = Nerve().node("/web", instance)
    assert (node.name, node.sequential) == ("web-1_", True)
    found = Nerve().read(f"{node.name}0000000001", node.data)
    assert (found.id, found.authority, found.weight) == ("web-1", "10.0.0.5:80", 3)
    assert (found.zone, found.tags, found.metadata["c"]) == ("a", ("b",), "d")


def test_what_cannot_be_written():
    with pytest.raises(ValueError, match="cannot say that an instance takes no requests"):
        Nerve().node("/web", Instance("a", "h", 1, availability=Availability.DRAINING))
