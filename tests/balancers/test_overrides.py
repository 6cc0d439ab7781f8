from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from balancers.overrides import Override, apply
from discovery.instance import Instance
from tests.balancers.making import snapshot

WEB = Instance("n/web-1", "10.0.0.7", 80, weight=10, zone="eu-1", tags=("v2", "backup"), metadata={"size": "small"})


@pytest.mark.parametrize(
    ("conditions", "covers"),
    [
        ({"id": "n/web-1"}, True),
        ({"id": "web-1"}, False),
        ({"address": "10.0.0.7"}, True),
        ({"address": "10.0.0.7:80"}, True),
        ({"address": "10.0.0.7:81"}, False),
        ({"zone": "eu-1"}, True),
        ({"zone": "eu-2"}, False),
        ({"tags": ("backup",)}, True),
        ({"tags": ("backup", "v2")}, True),
        ({"tags": ("backup", "v3")}, False),
        ({"metadata": {"size": "small"}}, True),
        ({"metadata": {"size": "small", "disk": "ssd"}}, False),
        ({"zone": "eu-1", "tags": ("v1",)}, False),
    ],
)
def test_all_conditions_must_be_met(conditions: dict[str, Any], covers: bool) -> None:
    assert Override(**conditions).covers(WEB) is covers


@pytest.mark.parametrize(
    ("effect", "weight", "priority"),
    [
        ({"weight": 3}, 3, 0),
        ({"weight": 0}, 0, 0),
        ({"share": 0.5}, 5, 0),
        ({"share": 0.01}, 1, 0),
        ({"share": 0.0}, 0, 0),
        ({"priority": 2}, 10, 2),
    ],
)
def test_what_becomes_of_an_instance(effect: dict[str, Any], weight: int, priority: int) -> None:
    found = Override(zone="eu-1", **effect).applied(WEB)
    assert (found.weight, found.priority) == (weight, priority)


def test_each_that_covers_is_applied_in_turn() -> None:
    before = snapshot(WEB, dataclasses.replace(WEB, id="other", zone="eu-2"))
    found = apply([Override(zone="eu-1", weight=8), Override(tags=("v2",), share=0.5, priority=1)], before)
    assert [(one.weight, one.priority) for one in found.instances] == [(4, 1), (5, 1)]


def test_a_snapshot_that_none_covers_stays_what_it_is() -> None:
    before = snapshot(WEB)
    assert apply([Override(zone="us-1", weight=1)], before) is before
