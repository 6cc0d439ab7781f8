"""The order in which routes are tried."""

from __future__ import annotations

from typing import Any

from discovery.consul.wishes import Wish
from proxy.routes import Compare
from proxy.table import Entry, arrange


class Named:
    """As much of a service as the table looks at."""

    def __init__(self, name: str) -> None:
        self.name = name


def arranged(own: list[Entry], *found: tuple[str, Wish]) -> tuple[list[str], tuple[str, ...]]:
    services: dict[str, Any] = {name: Named(name) for name, _ in found}
    entries, left_out = arrange(own, [("consul", services[name], wish) for name, wish in found])
    return [entry.service.name for entry in entries if entry.service is not None], left_out


def own(name: str, host: str = "", path: str = "") -> Entry:
    service: Any = Named(name)
    return Entry(service, host, path)


def test_the_file_s_routes_come_first_and_what_takes_everything_last() -> None:
    routes = [own("a", "h"), own("all"), own("b", "", "/p")]
    names, left_out = arranged(routes, ("found", Wish("h", rank=1)))
    assert names == ["a", "b", "found", "all"]
    assert left_out == ()


def test_the_higher_rank_comes_first_then_the_longer_path() -> None:
    names, _ = arranged(
        [], ("low", Wish("", "/x", rank=1)), ("long", Wish("", "/x/y", rank=5)), ("short", Wish("", "/a", rank=5))
    )
    assert names == ["long", "short", "low"]


def test_of_two_for_one_place_the_first_counts_and_the_other_is_named() -> None:
    names, left_out = arranged([], ("b", Wish("h", "/x", rank=1)), ("a", Wish("h", "/x", rank=1)))
    assert names == ["a"]
    assert left_out == ("b: h/x: a has this route already",)
    assert arranged([], ("b", Wish("h", "/x", rank=2)), ("a", Wish("h", "/x", rank=1)))[0] == ["b"]
    assert arranged([], ("b", Wish("h", "/x", exact=True)), ("a", Wish("h", "/x")))[0] == ["b", "a"]


def test_how_a_catalog_s_paths_are_compared() -> None:
    service: Any = Named("a")
    entries, _ = arrange([], [("c", service, Wish("", "/x", exact=True, strip="/x")), ("c", service, Wish("", "/x"))])
    assert [(entry.compare, entry.strip, entry.catalog) for entry in entries] == [
        (Compare.WHOLE, "/x", "c"), (Compare.LETTERS, "", "c"),
    ]  # fmt: skip
