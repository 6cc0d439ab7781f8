"""Which instances an app's tasks are."""

from __future__ import annotations

from typing import Any

import pytest

from discovery.instance import Availability
from discovery.marathon.apps import Wanted, read_app
from tests.discovery.marathon.recorded import answer, tasks

UP, DOWN, DRAINING = Availability.UP, Availability.DOWN, Availability.DRAINING


def test_the_recorded_app():
    instances, unreadable = read_app(answer(), Wanted())
    assert unreadable == ()
    assert [(one.id.split(".")[1], one.authority, one.availability, one.reason) for one in instances] == [
        ("instance-1", "10.0.0.1:31000", UP, ""),
        ("instance-2", "10.0.0.2:31500", DOWN, "a health check fails"),
        ("instance-3", "10.0.0.2:31502", DOWN, "a health check has no result yet"),
        ("instance-4", "10.0.0.2:31504", DOWN, "TASK_STAGING"),
        ("instance-5", "10.0.0.1:31004", DRAINING, "TASK_KILLING"),
    ]
    assert {(one.weight, one.metadata["team"]) for one in instances} == {(3, "shop")}
    assert [one.zone for one in instances][:2] == ["eu-1", ""]


@pytest.mark.parametrize(("port", "number"), [("http", 31000), ("admin", 31001), (1, 31001)])
def test_the_port_by_name_or_by_place(port: str | int, number: int):
    instances, _ = read_app(answer(), Wanted(port))
    assert instances[0].port == number


def test_the_tasks_own_address_and_the_containers_port():
    mapped = {"portMappings": [{"containerPort": 80, "hostPort": 0, "name": "http"}]}
    for container in (mapped, {"docker": mapped}):
        instances, unreadable = read_app(answer(container=container), Wanted("http", in_container=True))
        assert [one.authority for one in instances] == ["172.16.0.2:80"]
        assert unreadable[0] == "shop_web.instance-2.app: it has no address yet"


def test_an_app_without_health_checks_is_ready_when_it_runs():
    instances, _ = read_app(tasks(1, 2), Wanted())
    assert [one.availability for one in instances] == [UP, UP]


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        (7, "task 1: must be an object, not 7"),
        ({"id": "a", "ports": [1]}, "a: it has no address yet"),
        ({"id": "a", "host": "h"}, "a: it has 0 ports, and so none at place 0"),
        ({"id": "a", "host": "h", "ports": ["x"]}, "a: its port must be a number, not 'x'"),
        ({"id": "a\nb", "host": "h", "ports": [1]}, "a: id must be one printable line"),
        ({"id": "a", "host": "h h", "ports": [1]}, "a: must be an address such as"),
    ],
)
def test_a_task_that_makes_no_sense_is_left_out_and_named(task: Any, complaint: str):
    good = {"id": "good", "host": "h", "ports": [1], "healthCheckResults": [{"alive": True}]}
    instances, unreadable = read_app(answer(tasks=[task, good]), Wanted())
    assert [one.id for one in instances] == ["good"]
    assert len(unreadable) == 1
    assert unreadable[0].startswith(complaint)


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ([], "the answer must be an object with the key app, not a list"),
        ({"apps": []}, "the answer must be an object with the key app"),
        (answer(tasks={}), "is not an error: no tasks"),
        (answer(tasks=7), "tasks must be a list, not 7"),
    ],
)
def test_an_answer_that_makes_no_sense(found: Any, error: str):
    if error.startswith("is not"):
        assert read_app(found, Wanted()) == ((), ())
        return
    with pytest.raises(ValueError, match=error):
        read_app(found, Wanted())


def test_a_port_that_the_app_does_not_have():
    with pytest.raises(ValueError, match="the app has no port named 'grpc'; its names are: 'http', 'admin'"):
        read_app(answer(), Wanted("grpc"))
