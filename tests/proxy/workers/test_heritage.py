"""What a control process takes over from the one before it that died."""

from __future__ import annotations

import random
import socket
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from balancers.pool import Pool
from balancers.round_robin import RoundRobin
from proxy.workers.heritage import Heritage, known_of
from proxy.workers.messages import Spot
from proxy.workers.supervisor import Kept
from tests.balancers.making import instance, snapshot

if TYPE_CHECKING:
    from proxy.application import Application
    from proxy.service import Service


def _service(*names: str) -> Service:
    pool = Pool(RoundRobin, random.Random(1), max_ejection=1.0)
    pool.update(snapshot(*(instance(name) for name in names)), now=0.0)
    return cast("Service", SimpleNamespace(name="web", pool=pool, weights={}))


def _states(service: Service) -> dict[str, str]:
    return {endpoint.instance.id: endpoint.health.state for endpoint in service.pool.endpoints}


def _eject(service: Service, name: str) -> None:
    assert service.pool.eject_as_told(name, "5xx", "five in a row", until=9e9, now=1.0)


def test_sockets_go_to_the_address_that_had_them_and_each_once() -> None:
    with closing(socket.socket()) as first, closing(socket.socket()) as second, closing(socket.socket()) as third:
        spots = (Spot("listener", ":80", False, 2), Spot("admin", ":81", True, 1))
        heritage = Heritage(Kept(why="was killed", spots=spots, sockets=[first, second, third]))
        assert heritage.why == "was killed"
        assert heritage.lends("admin", ":81")
        assert not heritage.lends("listener", ":80")
        assert not heritage.lends("listener", ":82")
        assert heritage.left() == [first, second, third]
        assert heritage.sockets_of("listener", ":80") == [first, second]
        assert heritage.sockets_of("listener", ":80") == []
        assert heritage.left("listener") == []
        assert heritage.left() == [third]


def test_weights_drains_and_splits_are_set_again_where_they_still_are() -> None:
    service = _service("a", "b")
    shares: list[dict[str, int]] = []
    splits = {"split": SimpleNamespace(reweigh=shares.append)}
    application = cast("Application", SimpleNamespace(services={"web": service}, splits=splits))
    by_hand = {"web": ({"a": 3}, {"b": "drained by an operator"}), "gone": ({"x": 1}, {})}
    state = (None, by_hand, {"split": {"web": 1, "next": 3}, "gone": {"web": 1}})
    heritage = Heritage(Kept(state=state))
    heritage.set_by_hand(application)
    assert service.weights == {"a": 3}
    assert service.pool.drains.reasons == {"b": "drained by an operator"}
    assert shares == [{"web": 1, "next": 3}]
    assert heritage.loaded is None


def test_an_endpoint_that_one_worker_knows_to_be_out_is_out() -> None:
    knows, not_yet = _service("a", "b"), _service("a", "b")
    _eject(knows, "a")
    for order in ((knows, not_yet), (not_yet, knows)):
        heritage, anew = Heritage(Kept()), _service("a", "b")
        for worker in order:
            heritage.remember({"web": known_of(worker)})
        assert [endpoint.instance.id for endpoint in heritage.recall(anew)] == ["a"]
        assert _states(anew) == {"a": "ejected", "b": "healthy"}
        assert anew.pool.pick() is not None
        assert {endpoint.instance.id for endpoint in anew.pool.candidates} == {"b"}


def test_what_is_known_waits_until_the_registry_tells_of_the_endpoint_and_is_used_once() -> None:
    knows, anew = _service("a", "b"), _service("b")
    _eject(knows, "a")
    heritage = Heritage(Kept())
    heritage.remember({"web": known_of(knows)})
    assert heritage.recall(anew) == []
    anew.pool.update(snapshot(instance("a"), instance("b")), now=2.0)
    assert [endpoint.instance.id for endpoint in heritage.recall(anew)] == ["a"]
    endpoint = anew.pool.endpoint("a")
    assert endpoint is not None
    endpoint.health.begin_with(replace(endpoint.health.known(), state="healthy"))
    assert heritage.recall(anew) == []


def test_what_was_found_since_is_not_undone_by_what_workers_remember() -> None:
    remembers, anew = _service("a"), _service("a")
    heritage = Heritage(Kept())
    heritage.remember({"web": known_of(remembers)})
    _eject(anew, "a")
    assert [endpoint.instance.id for endpoint in heritage.recall(anew)] == ["a"]
    assert _states(anew) == {"a": "ejected"}
