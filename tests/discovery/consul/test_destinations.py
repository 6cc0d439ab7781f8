"""Which instances the routes of a service lead to."""

from __future__ import annotations

import pytest

from discovery.consul.destinations import Destination, destinations
from discovery.consul.tags import read_tags, speak_of_routes
from discovery.instance import Availability, Instance


def instance(name: str, *tags: str, weight: int = 1, availability: Availability = Availability.UP) -> Instance:
    return Instance(name, "10.0.0.1", 80, weight, tags=tags, metadata={"a": "b"}, availability=availability)


def found(*instances: Instance) -> tuple[tuple[Destination, ...], tuple[str, ...]]:
    return destinations(instances, lambda one: read_tags("web", one.tags, ("fabio", "traefik"), ()))


def paths(destination: Destination) -> list[str]:
    return [route.path for route in destination.routes]


def weights(destination: Destination) -> dict[str, int]:
    return {instance.id: instance.weight for instance in destination.instances}


def test_routes_that_all_instances_ask_for_share_them() -> None:
    tags = ("urlprefix-/a", "urlprefix-/b", "v1")
    (whole,), left_out = found(instance("one", *tags), instance("two", *tags))
    assert (whole.part, paths(whole), weights(whole)) == ("", ["/a", "/b"], {"one": 1, "two": 1})
    assert left_out == ()


def test_a_route_that_only_the_new_instances_ask_for_leads_to_them_alone() -> None:
    old, new = instance("old", "urlprefix-/a"), instance("new", "urlprefix-/a", "urlprefix-x.io/v2/b")
    (part, whole), _ = found(old, new)
    assert (part.part, paths(part), list(weights(part))) == ("x.io-v2-b", ["/v2/b"], ["new"])
    assert (whole.part, paths(whole), list(weights(whole))) == ("", ["/a"], ["new", "old"])


def test_an_instance_that_asks_for_nothing_gets_nothing() -> None:
    (whole,), _ = found(instance("one", "urlprefix-/a"), instance("two", "v2"))
    assert list(weights(whole)) == ["one"]


def test_instances_that_ask_for_nothing_make_no_destination() -> None:
    assert found(instance("one"), instance("two", "v2")) == ((), ())
    assert found() == ((), ())


def test_parts_have_names_of_their_own() -> None:
    both = ("urlprefix-/x", "urlprefix-/y")
    parts, _ = found(
        instance("1", *both), instance("2", *both), instance("3", "urlprefix-/a-b"), instance("4", "urlprefix-/a!b")
    )
    assert sorted(part.part for part in parts) == ["", "a-b", "a-b-2"]


def test_the_ports_of_two_services_are_two_destinations() -> None:
    router, service = "traefik.http.routers", "traefik.http.services"
    tags = (
        "traefik.enable=true", f"{router}.a.rule=Path(`/a`)", f"{router}.b.rule=Path(`/b`)", f"{router}.a.service=a",
        f"{router}.b.service=b", f"{service}.a.loadbalancer.server.port=81", f"{service}.b.loadbalancer.server.port=82",
    )  # fmt: skip
    places, _ = found(instance("one", *tags))
    assert {paths(place)[0]: place.instances[0].port for place in places} == {"/a": 81, "/b": 82}


def test_what_is_left_out_is_named_with_the_instance() -> None:
    _, left_out = found(instance("one", "urlprefix-:80 proto=tcp"))
    assert left_out == ("one: urlprefix-:80 proto=tcp: TCP is not passed on, only HTTP",)


def test_two_that_strip_differently_are_not_one_route() -> None:
    (whole,), left_out = found(instance("one", "urlprefix-/a strip=/a"), instance("two", "urlprefix-/a"))
    assert (whole.routes[0].strip, list(weights(whole))) == ("/a", ["one"])
    assert left_out == ("two: /a: strips nothing, but another instance /a",)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0, 0, 0), (1, 1, 1)),
        ((0.05, 0, 0), (500, 4750, 4750)),
        ((0.2, 0.3, 0), (2000, 3000, 5000)),
        ((0.1, 0.1, 0.2), (2500, 2500, 5000)),
        ((2, 2, 0), (5000, 5000, 0)),
        ((0.00001, 0, 0), (1, 5000, 5000)),
    ],
)
def test_fabio_s_shares(shares: tuple[float, ...], expected: tuple[int, ...]) -> None:
    (whole,), _ = found(*(instance(f"{place}", f"urlprefix-/a weight={share}") for place, share in enumerate(shares)))
    assert tuple(weights(whole).values()) == expected


def test_only_instances_that_are_up_are_counted_for_shares() -> None:
    down = instance("2", "urlprefix-/a", availability=Availability.DOWN)
    (whole,), _ = found(instance("0", "urlprefix-/a weight=0.1"), instance("1", "urlprefix-/a"), down)
    assert (weights(whole)["0"], weights(whole)["1"]) == (1000, 9000)


def test_traefik_s_weight_takes_the_place_of_consul_s_but_for_nought() -> None:
    tags = ("traefik.enable=true", "traefik.http.routers.a.rule=Path(`/a`)")
    weight = "traefik.http.services.a.loadbalancer.server.weight=9"
    (whole,), _ = found(
        instance("one", *tags, weight), instance("two", *tags), instance("off", *tags, weight, weight=0)
    )
    assert weights(whole) == {"off": 0, "one": 9, "two": 1}


def test_too_many_tags_are_left_out_and_said_to_be() -> None:
    reading = read_tags("web", tuple(f"urlprefix-/{number}" for number in range(300)), ("fabio",), ())
    assert len(reading.wishes) == 256
    assert "beyond the first 256" in reading.left_out[0]
    long = read_tags("web", ("urlprefix-/" + "a" * 2000,), ("fabio",), ())
    assert (long.wishes, len(long.left_out)) == ((), 1)


def test_which_tags_speak_of_routes() -> None:
    both = ("fabio", "traefik")
    assert speak_of_routes(["v1", "urlprefix-/"], both)
    assert speak_of_routes(["Traefik.enable=true"], both)
    assert not speak_of_routes(["v1", 7, "traefik"], both)
    assert not speak_of_routes(["traefik.enable=true"], ("fabio",))
