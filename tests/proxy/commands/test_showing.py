"""Instances and their changes as tables and as JSON."""

from __future__ import annotations

import dataclasses

from discovery.catalog import Listed
from discovery.instance import Availability, Instance
from proxy.commands.showing import (
    changes,
    instance_json,
    instances_table,
    sentence,
    service_json,
    services_table,
    table,
)

ONE = Instance("web-1", "10.0.0.1", 80, weight=3, zone="z", tags=("a", "b"), metadata={"k": "v"})
TWO = Instance("web-2", "fd00::5", 8080, availability=Availability.DRAINING, reason="maintenance: rest")


def test_a_table_is_as_wide_as_it_must_be():
    assert table(["A", "LONG"], [["x", "y"], ["longer", ""]]) == "A       LONG\nx       y\nlonger"


def test_instances_as_a_table():
    assert instances_table([("consul", ONE), ("consul", TWO)]).splitlines() == [
        "INSTANCE  ADDRESS         WEIGHT  ZONE  TAGS  STATE",
        "web-1     10.0.0.1:80     3       z     a,b   up",
        "web-2     [fd00::5]:8080  1       -     -     draining: maintenance: rest",
    ]


def test_the_registry_is_shown_where_there_are_several():
    lines = instances_table([("consul", ONE), ("etcd", TWO)]).splitlines()
    assert lines[0].endswith("REGISTRY")
    assert [line.split()[-1] for line in lines[1:]] == ["consul", "etcd"]


def test_nothing_from_a_registry_reaches_the_terminal_as_it_is():
    evil = dataclasses.replace(ONE, zone="\x1b[2J", tags=("a\nb", "x" * 500), id="web\r1")
    shown = instances_table([("consul", evil)])
    assert all(line.isprintable() for line in shown.splitlines())
    assert len(shown.splitlines()) == 2
    assert len(shown) < 400


def test_an_instance_as_json():
    assert instance_json("consul", ONE) == {
        "id": "web-1",
        "address": "10.0.0.1",
        "port": 80,
        "weight": 3,
        "zone": "z",
        "tags": ["a", "b"],
        "metadata": {"k": "v"},
        "state": "up",
        "reason": "",
        "registry": "consul",
    }


def test_services():
    some = [Listed("web", tags=("a",)), Listed("/services/shop/", 3)]
    assert services_table(some).splitlines() == [
        "SERVICE          INSTANCES  TAGS",
        "web              -          a",
        "/services/shop/  3          -",
    ]
    assert [service_json(one) for one in some] == [
        {"name": "web", "tags": ["a"]},
        {"name": "/services/shop/", "instances": 3, "tags": []},
    ]


def test_what_changed():
    before = {(0, "web-1"): ("consul", ONE), (0, "web-2"): ("consul", TWO)}
    heavier = dataclasses.replace(ONE, weight=5, tags=())
    after = {(0, "web-1"): ("consul", heavier), (0, "web-3"): ("consul", dataclasses.replace(TWO, id="web-3"))}
    what = changes(before, after)
    assert what == {
        "joined": ["web-3"],
        "left": ["web-2"],
        "changed": {"web-1": {"weight": [3, 5], "tags": [["a", "b"], []]}},
    }
    assert sentence(what) == "joined web-3; left web-2; changed web-1 (weight 3 → 5, tags ['a', 'b'] → [])"
    assert sentence(changes(after, after)) == ""
