from __future__ import annotations

from typing import Any

import pytest

from discovery.docker.entries import Container, Terms, read_container
from discovery.instance import Availability, Instance


def inspected(labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """What `docker inspect` says of a container on one network that exposes one port."""
    answer: dict[str, Any] = {
        "Id": "5f" * 32,
        "Name": "/web-1",
        "State": {"Status": "running"},
        "Config": {"Labels": labels, "ExposedPorts": {"8080/tcp": {}, "53/udp": {}}},
        "HostConfig": {"NetworkMode": "backend"},
        "NetworkSettings": {"Networks": {"backend": {"IPAddress": "10.0.0.5"}}, "Ports": {}},
    }
    for key, value in more.items():
        answer[key] = {**answer[key], **value} if isinstance(value, dict) else value
    return answer


def read(answer: dict[str, Any], **terms: Any) -> Container:
    container = read_container(answer, Terms(**terms))
    assert container is not None
    return container


def instance(answer: dict[str, Any], **terms: Any) -> Instance:
    container = read(answer, **terms)
    assert container.instance is not None, container.complaint
    return container.instance


def complaint(answer: dict[str, Any], **terms: Any) -> str:
    container = read(answer, **terms)
    assert container.instance is None
    return container.complaint


def test_a_container_without_labels():
    assert instance(inspected()) == Instance("web-1", "10.0.0.5", 8080)


def test_everything_that_labels_may_say():
    labels = {
        "lb.port": "80",
        "lb.weight": "0",
        "lb.zone": "eu-1a",
        "lb.tags": " v2,,canary ",
        "lb.metadata.version": "2",
        "lb.network": "other",
        "lb.service": "web",
        "pointsman.port": "nonsense, and not ours",
        "lbx.port": "1",
    }
    networks = {"Networks": {"backend": {"IPAddress": "10.0.0.5"}, "other": {"IPAddress": "10.1.0.5"}}}
    assert instance(inspected(labels, NetworkSettings=networks), prefix="lb.", network="backend", port=1) == Instance(
        "web-1", "10.1.0.5", 80, weight=0, zone="eu-1a", tags=("v2", "canary"), metadata={"version": "2"}
    )


@pytest.mark.parametrize(
    ("labels", "terms", "port"),
    [({}, {}, 8080), ({}, {"port": 90}, 90), ({"pointsman.port": "70"}, {"port": 90}, 70)],
)
def test_the_port_is_the_labels_else_the_given_one_else_the_only_one(labels: dict[str, str], terms: Any, port: int):
    assert instance(inspected(labels), **terms).port == port


def test_an_address_may_be_of_version_6():
    networks = {"Networks": {"backend": {"IPAddress": "", "GlobalIPv6Address": "fd00::5"}}}
    assert instance(inspected(NetworkSettings=networks)).authority == "[fd00::5]:8080"


@pytest.mark.parametrize(
    ("state", "availability", "reason"),
    [
        ({"Status": "running"}, Availability.UP, ""),
        ({"Status": "running", "Health": {"Status": "none"}}, Availability.UP, ""),
        ({"Status": "running", "Health": {"Status": "healthy"}}, Availability.UP, ""),
        ({"Status": "running", "Health": {"Status": "starting"}}, Availability.DOWN, "Docker says starting"),
        ({"Status": "running", "Health": {"Status": "unhealthy"}}, Availability.DOWN, "Docker says unhealthy"),
        ({"Status": "running", "Health": {"Status": "odd\n"}}, Availability.DOWN, "Docker says odd"),
        ({"Status": "paused", "Health": {"Status": "healthy"}}, Availability.DOWN, "Docker says paused"),
    ],
)
def test_the_states(state: dict[str, Any], availability: Availability, reason: str):
    found = instance(inspected(State=state))
    assert (found.availability, found.reason) == (availability, reason)


@pytest.mark.parametrize("status", ["created", "restarting", "removing", "exited", "dead", "", None, 5])
def test_what_does_not_run_is_no_instance(status: object):
    assert read_container(inspected(State={"Status": status}), Terms()) is None


def test_a_container_on_the_hosts_network_has_the_hosts_address():
    assert instance(inspected(HostConfig={"NetworkMode": "host"}), host="192.0.2.7").authority == "192.0.2.7:8080"


@pytest.mark.parametrize(
    ("places", "labels", "authority"),
    [
        ([{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32769"}], {}, "192.0.2.7:32768"),
        ([{"HostIp": "", "HostPort": "80"}], {"pointsman.port": "8080"}, "192.0.2.7:80"),
        ([{"HostIp": "127.0.0.1", "HostPort": "80"}], {}, "127.0.0.1:80"),
        ([{"HostIp": "fd00::1", "HostPort": "80"}], {}, "[fd00::1]:80"),
    ],
)
def test_published_ports(places: Any, labels: dict[str, str], authority: str):
    ports = {"8080/tcp": places, "90/tcp": None, "53/udp": [{"HostIp": "", "HostPort": "53"}]}
    answer = inspected(labels, NetworkSettings={"Ports": ports})
    assert instance(answer, address="published", host="192.0.2.7").authority == authority


TWO = {"Networks": {"a": {"IPAddress": "10.0.0.5"}, "b": {"IPAddress": "10.1.0.5"}}}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            inspected({"pointsman.port": "http"}),
            "the label pointsman.port must be a whole number from 1 to 65535",
        ),
        (inspected({"pointsman.port": "0"}), "the label pointsman.port must be a whole number from 1"),
        (inspected({"pointsman.port": "65536"}), "the label pointsman.port must be"),
        (inspected({"pointsman.port": "٣"}), "the label pointsman.port must be"),
        (
            inspected({"pointsman.weight": "-1"}),
            "the label pointsman.weight must be a whole number from 0",
        ),
        (inspected({"pointsman.zone": "a\nb"}), "the label pointsman.zone must be one printable line"),
        (inspected({"pointsman.tags": "a\nb"}), "the label pointsman.tags must be one printable line"),
        (
            inspected({"pointsman.tags": "a," * 101 + ",".join("abc")}),
            "the label pointsman.tags has more than",
        ),
        (
            inspected({"pointsman.wieght": "3", "pointsman.a\nb": ""}),
            "unknown label pointsman.a, pointsman.wieght;",
        ),
        (inspected({"pointsman.metadata.x": "x" * 70_000}), "the labels pointsman.* are longer than 64 KiB"),
        (inspected({"pointsman.network": "other"}), "it has no address on the network other"),
        (
            inspected(NetworkSettings=TWO),
            "its networks are a, b; say which one with",
        ),
        (inspected(NetworkSettings={"Networks": {}}), "it is on no network"),
        (inspected(NetworkSettings={"Networks": {"none": {"IPAddress": ""}}}), "it has no address on the network none"),
        (
            inspected(NetworkSettings={"Networks": {"a": {"IPAddress": "x\n"}}}),
            "its address must be one",
        ),
        (inspected(HostConfig={"NetworkMode": "container:5f"}), "it has the network of another container"),
        (inspected(Config={"ExposedPorts": None}), "exposes no port; say which one with the label pointsman.port"),
        (inspected(Config={"ExposedPorts": {"1/tcp": {}, "2/tcp": {}}}), "exposes the ports 1, 2; say which one"),
        (inspected(Name="/a\nb"), ""),
    ],
)
def test_what_makes_no_sense_is_told_with_the_containers_name(answer: dict[str, Any], said: str):
    if not said:
        assert instance(answer).id == "a"
    else:
        assert complaint(answer).startswith(f"web-1: {said}")


@pytest.mark.parametrize(
    ("ports", "labels", "said"),
    [
        ({}, {}, "it has no published port"),
        ({"80/tcp": None}, {}, "it has no published port"),
        ({"80/tcp": [{"HostPort": "x"}, 5, {}]}, {}, "it has no published port"),
        (
            {"80/tcp": [{"HostPort": "1"}], "90/tcp": [{"HostPort": "2"}]},
            {},
            "its published ports are 80, 90; say",
        ),
        ({"80/tcp": [{"HostPort": "1"}]}, {"pointsman.port": "81"}, "its port 81 is not published"),
    ],
)
def test_a_port_that_is_not_published_is_told(ports: dict[str, Any], labels: dict[str, str], said: str):
    answer = inspected(labels, NetworkSettings={"Ports": ports})
    assert complaint(answer, address="published").startswith(f"web-1: {said}")


@pytest.mark.parametrize(
    ("signal", "number"),
    [
        ("SIGQUIT", 3),
        ("quit", 3),
        ("3", 3),
        ("SIGWINCH", 28),
        ("", 15),
        ("SIGRTMIN+3", 15),
        (None, 9),
        ("x" * 9999, 15),
    ],
)
def test_the_signals_that_end_a_container(signal: object, number: int):
    ends_by = read(inspected(Config={"StopSignal": signal})).ends_by
    assert {15, 9, number} == ends_by
