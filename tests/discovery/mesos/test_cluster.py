"""What follows from a master's events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.instance import Availability, Instance
from discovery.labels import KEYS
from discovery.mesos.cluster import Cluster
from discovery.mesos.tasks import Wanted
from tests.discovery.mesos.recorded import EVENTS, subscribed, task, updated

UP, DOWN, DRAINING = Availability.UP, Availability.DOWN, Availability.DRAINING


def after(*events: dict[str, Any], wanted: Wanted | None = None) -> dict[str, Instance]:
    cluster = Cluster(wanted or Wanted("web"))
    for event in events:
        cluster.told(event)
    return {instance.id: instance for instance in cluster.snapshot("web", continuous=True).instances}


def complaints(*events: dict[str, Any], wanted: Wanted | None = None) -> tuple[str, ...]:
    cluster = Cluster(wanted or Wanted("web"))
    for event in events:
        cluster.told(event)
    return cluster.snapshot("web", continuous=True).unreadable


def test_the_state_that_a_master_tells_first():
    found = after(EVENTS[0])
    assert found.keys() == {"web.1"}
    one = found["web.1"]
    assert (one.authority, one.weight, one.zone) == ("10.0.0.1:31000", 3, "eu-1")
    assert one.metadata == {"pointsman.weight": "3", "team": "shop"}
    assert one.availability is UP


@pytest.mark.parametrize(
    ("count", "states"),
    [
        (4, {"web.1": (UP, ""), "web.2": (DOWN, "TASK_STAGING")}),
        (5, {"web.1": (UP, ""), "web.2": (UP, "")}),
        (6, {"web.1": (DOWN, "its health check fails"), "web.2": (UP, "")}),
        (7, {"web.1": (DRAINING, "TASK_KILLING"), "web.2": (UP, "")}),
        (8, {"web.2": (UP, "")}),
        (9, {"web.2": (UP, "")}),
        (10, {}),
    ],
)
def test_the_recorded_events_one_after_the_other(count: int, states: dict[str, tuple[Availability, str]]):
    found = after(*EVENTS[:count])
    assert {name: (one.availability, one.reason) for name, one in found.items()} == states


def test_a_task_of_the_older_masters_has_its_state_beside_its_id():
    old = {"type": "TASK_UPDATED", "task_updated": {"task_id": {"value": "t"}, "state": "TASK_LOST"}}
    assert after(subscribed(task("t")), old) == {}


def test_a_new_subscription_replaces_everything():
    assert after(subscribed(task("a")), subscribed(task("b"))).keys() == {"b"}


def test_a_framework_that_is_removed_takes_its_tasks_with_it():
    gone = {"type": "FRAMEWORK_REMOVED", "framework_removed": {"framework_info": {"id": {"value": "f-1"}, "name": "m"}}}
    assert after(subscribed(task("a"), task("b", framework_id={"value": "f-2"})), gone).keys() == {"b"}


@pytest.mark.parametrize(("framework", "found"), [("", {"web.1"}), ("marathon", {"web.1"}), ("chronos", set())])
def test_the_framework_may_be_chosen(framework: str, found: set[str]):
    assert after(EVENTS[0], wanted=Wanted("web", framework)).keys() == found


class TestPorts:
    @pytest.mark.parametrize(("port", "number"), [("http", 31000), ("admin", 31001), (0, 31000), (1, 31001)])
    def test_by_name_or_by_place(self, port: str | int, number: int):
        assert after(EVENTS[0], wanted=Wanted("web", port=port))["web.1"].port == number

    def test_of_the_resources_where_there_is_no_discovery_information(self):
        assert after(subscribed(task("t")))["t"].port == 31000

    @pytest.mark.parametrize(
        ("port", "complaint"),
        [
            ("grpc", "web.1: it has no port named 'grpc'; its names are: 'http', 'admin'"),
            (2, "web.1: it has 2 ports, and so none at place 2"),
        ],
    )
    def test_one_that_is_missing_is_named(self, port: str | int, complaint: str):
        assert complaints(EVENTS[0], wanted=Wanted("web", port=port)) == (complaint,)


def test_the_containers_own_address():
    wanted = Wanted("web", in_container=True)
    assert after(EVENTS[0], wanted=wanted)["web.1"].authority == "172.16.0.2:31000"
    assert complaints(subscribed(task("t")), wanted=wanted) == ("t: it has no address of its own yet",)


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"state": "TASK_STARTING"}, (DOWN, "TASK_STARTING")),
        ({"state": "TASK_UNREACHABLE"}, (DOWN, "TASK_UNREACHABLE")),
        ({"state": None}, (DOWN, "it has no state")),
        ({"health_check": {"type": "HTTP"}}, (DOWN, "its health check has no result yet")),
        ({"health_check": {"type": "HTTP"}, "statuses": [{"healthy": True}]}, (UP, "")),
        ({"labels": {"labels": [{"key": "pointsman.draining", "value": "true"}]}},
         (DRAINING, "its label pointsman.draining is true")),
    ],
)  # fmt: skip
def test_states(more: dict[str, Any], state: tuple[Availability, str]):
    one = after(subscribed(task("t", **more)))["t"]
    assert (one.availability, one.reason) == state


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"agent_id": {"value": "a-9"}}, "nothing is known of its agent"),
        ({"resources": []}, "it has 0 ports, and so none at place 0"),
        ({"labels": {"labels": [{"key": "pointsman.wieght", "value": "3"}]}},
         f"unknown label 'pointsman.wieght'; there are {', '.join(f'pointsman.{key}' for key in KEYS)}"),
        ({"labels": {"labels": [{"key": "pointsman.weight", "value": "-1"}]}},
         "pointsman.weight must be a whole number from 0 to 65535, not '-1'"),
        ({"labels": {"labels": 7}}, "labels must be a list of objects with key and value"),
        ({"discovery": {"name": "web", "ports": {"ports": [{"number": 0}]}}},
         "its port must be a number from 1 to 65535, not 0"),
    ],
)  # fmt: skip
def test_a_task_that_makes_no_sense_is_left_out_and_named(more: dict[str, Any], complaint: str):
    events = (subscribed(task("bad", **more), task("good")),)
    assert complaints(*events) == (f"bad: {complaint}",)
    assert after(*events).keys() == {"good"}


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ([], "an event must be an object with a type, not a list; is this Mesos' operator API?"),
        ({"type": 1}, "an event must be an object with a type"),
        ({"type": "TASK_ADDED", "task_added": {}}, "the first event must be SUBSCRIBED, not 'TASK_ADDED'"),
        ({"type": "SUBSCRIBED"}, "subscribed must be an object, not nothing"),
        ({"type": "SUBSCRIBED", "subscribed": {}}, "get_state must be an object, not nothing"),
    ],
)
def test_events_that_make_no_sense_are_errors(event: Any, error: str):
    with pytest.raises(ValueError, match=error):
        Cluster(Wanted("web")).told(event)


def test_the_masters_own_heartbeat_counts():
    cluster = Cluster(Wanted("web"))
    assert cluster.heartbeat == 15
    event = subscribed()
    event["subscribed"]["heartbeat_interval_seconds"] = 2
    cluster.told(event)
    assert cluster.heartbeat == 2


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["add", "run", "lose"])), max_size=200))
def test_any_order_of_events_ends_in_the_true_set(changes: list[tuple[int, str]]):
    truth: set[str] = set()
    events = [subscribed()]
    for number, change in changes:
        name = f"t-{number}"
        if change == "add":
            events.append({"type": "TASK_ADDED", "task_added": {"task": task(name)}})
            truth.add(name)
        else:
            events.append(updated(name, "TASK_RUNNING" if change == "run" else "TASK_LOST"))
            truth -= {name} if change == "lose" else set()
    assert after(*events).keys() == truth
