"""Places and who waits for them: plain arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from proxy.http.places import PlaceLimits, Places

if TYPE_CHECKING:
    from proxy.http.dispatch import Dispatch


class Waiting:
    """Stands in for an exchange: takes a place when it is woken, unless its endpoints are full or gone."""

    def __init__(self, places: Places, name: object, served: list[object]) -> None:
        self.places = places
        self.name = name
        self.served = served
        self.endpoints = "free"
        self.choosy = False

    def woken(self) -> None:
        if self.endpoints == "full":
            assert self.places.wait(cast("Dispatch", self), 1, first=True, choosy=self.choosy)
        elif self.endpoints == "gone":
            self.served.append(f"no {self.name}")
            self.places.wake()  # as everyone does who ends
        else:
            self.places.taken += 1
            self.served.append(self.name)

    def wait(self, endpoints: int = 1, *, first: bool = False) -> bool:
        return self.places.wait(cast("Dispatch", self), endpoints, first=first, choosy=self.choosy)

    def leave(self) -> bool:
        return self.places.leave(cast("Dispatch", self))


def test_without_limits_there_are_none() -> None:
    assert not PlaceLimits()
    assert not PlaceLimits(queue=5, queue_per_endpoint=5)
    assert PlaceLimits(in_flight=1)
    assert PlaceLimits(in_flight_per_endpoint=1)


def test_it_is_full_when_all_are_taken() -> None:
    places = Places(PlaceLimits(in_flight=2))
    assert not places.full
    places.taken = 2
    assert places.full
    unlimited = Places(PlaceLimits(in_flight_per_endpoint=1))
    unlimited.taken = 1000
    assert not unlimited.full


def test_so_many_wait_and_no_more() -> None:
    places = Places(PlaceLimits(in_flight=1, queue=2))
    assert [Waiting(places, n, []).wait() for n in range(4)] == [True, True, False, False]
    assert (places.waiting, places.refused) == (2, 2)


def test_a_service_with_few_endpoints_has_a_short_queue() -> None:
    places = Places(PlaceLimits(in_flight=1, queue=5, queue_per_endpoint=2))
    assert not Waiting(places, 0, []).wait(endpoints=0)
    assert [Waiting(places, n, []).wait(endpoints=1) for n in range(3)] == [True, True, False]
    assert [Waiting(places, n, []).wait(endpoints=9) for n in range(4)] == [True, True, True, False]


def test_one_who_had_a_place_waits_first_and_is_never_refused() -> None:
    served: list[object] = []
    places = Places(PlaceLimits(in_flight=1, queue=1))
    ordinary, again = Waiting(places, "ordinary", served), Waiting(places, "again", served)
    assert ordinary.wait()
    assert again.wait(first=True)
    places.wake()
    assert served == ["again"]
    assert places.refused == 0


def test_one_who_leaves_waits_no_more() -> None:
    served: list[object] = []
    places = Places(PlaceLimits(in_flight=1, queue=5))
    one, other = Waiting(places, "one", served), Waiting(places, "other", served)
    assert one.wait()
    assert other.wait()
    assert one.leave()
    assert not one.leave()
    places.wake()
    assert served == ["other"]


def test_when_every_endpoint_is_full_the_first_stays_first() -> None:
    served: list[object] = []
    places = Places(PlaceLimits(in_flight_per_endpoint=1, queue=5))
    waiting = [Waiting(places, n, served) for n in range(3)]
    for one in waiting:
        assert one.wait()
    waiting[0].endpoints = "full"
    places.wake()
    assert (served, places.waiting) == ([], 3)
    waiting[0].endpoints = "free"
    places.wake()
    assert served == [0, 1, 2]


def test_all_may_be_sent_away_at_once_however_many_they_are() -> None:
    served: list[object] = []
    places = Places(PlaceLimits(in_flight=1, queue=10_000))
    for n in range(10_000):
        one = Waiting(places, n, served)
        one.endpoints = "gone"
        assert one.wait()
    places.wake()
    assert served == [f"no {n}" for n in range(10_000)]
    assert places.waiting == 0


@given(st.lists(st.sampled_from(["comes", "ends", "leaves"]), max_size=80), st.integers(1, 3), st.integers(0, 4))
def test_first_come_first_served_within_the_limits(events: list[str], in_flight: int, queue: int) -> None:
    served: list[object] = []
    places = Places(PlaceLimits(in_flight=in_flight, queue=queue))
    waiting: list[Waiting] = []
    expected: list[object] = []
    for number, event in enumerate(events):
        if event == "comes":
            one = Waiting(places, number, served)
            if places.full or waiting:
                if one.wait():
                    waiting.append(one)
                else:
                    assert len(waiting) == queue
            else:
                one.woken()
                expected.append(number)
        elif event == "ends" and places.taken:
            places.taken -= 1
            places.wake()
            if waiting:
                expected.append(waiting.pop(0).name)
        elif event == "leaves" and waiting:
            assert waiting.pop(number % len(waiting)).leave()
        assert served == expected
        assert places.taken <= in_flight
        assert places.waiting == len(waiting) <= queue


class TestTheChoosy:
    """Those that only some of the endpoints may have hold nobody up."""

    def test_those_behind_are_served_before_it_and_it_keeps_its_turn(self) -> None:
        served: list[object] = []
        places = Places(PlaceLimits(in_flight_per_endpoint=1, queue=9))
        first, second, third = (Waiting(places, n, served) for n in ("first", "second", "third"))
        for one in (first, second):
            one.endpoints, one.choosy = "full", True
            assert one.wait()
        assert third.wait()
        assert not places.hopeless
        places.wake()
        assert (served, places.waiting, places.hopeless) == (["third"], 2, False)
        first.endpoints = second.endpoints = "free"
        places.wake()
        assert served == ["third", "first", "second"]

    def test_nobody_passes_one_that_would_take_any(self) -> None:
        served: list[object] = []
        places = Places(PlaceLimits(in_flight_per_endpoint=1, queue=9))
        choosy, any_would_do, last = (Waiting(places, n, served) for n in range(3))
        choosy.endpoints, choosy.choosy = "full", True
        any_would_do.endpoints = "full"
        assert all(one.wait() for one in (choosy, any_would_do, last))
        places.wake()
        assert (served, places.waiting, places.hopeless) == ([], 3, True)
        any_would_do.endpoints = "free"
        places.wake()
        assert (served, places.waiting) == ([1, 2], 1)

    def test_where_the_first_to_wait_would_take_any_there_is_no_hope_for_the_next(self) -> None:
        places = Places(PlaceLimits(in_flight_per_endpoint=1, queue=9))
        assert Waiting(places, 0, []).wait()
        assert places.hopeless

    def test_a_round_passes_over_so_many_and_no_more(self) -> None:
        served: list[object] = []
        places = Places(PlaceLimits(in_flight_per_endpoint=1, queue=99))
        waiting = [Waiting(places, n, served) for n in range(34)]
        for one in waiting[:33]:
            one.endpoints, one.choosy = "full", True
        assert all(one.wait() for one in waiting)
        places.wake()
        assert (served, places.waiting) == ([], 34)
        assert waiting[0].leave()
        places.wake()
        assert (served, places.waiting) == ([33], 32)
