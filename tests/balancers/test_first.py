from __future__ import annotations

import random
from collections import Counter

from balancers.first import First
from tests.balancers.making import endpoint, endpoints


def test_one_is_filled_before_the_next() -> None:
    members = endpoints(b=1, a=1, c=2)
    balancer = First(members, random.Random(1), in_flight=3)
    order = []
    for _ in range(14):
        chosen = balancer.pick()
        chosen.in_flight += 1
        order.append(chosen.instance.id)
    # c may have twice as many; when all are full, the least so gets more.
    assert "".join(order[:12]) == "aaabbbcccccc"
    assert set(order[12:]) <= {"a", "b", "c"}


def test_a_place_that_becomes_free_in_front_is_taken_first() -> None:
    a, b = endpoints(a=1, b=1)
    balancer = First([a, b], random.Random(1), in_flight=1)
    a.in_flight = 1
    assert balancer.pick() is b
    a.in_flight = 0
    assert balancer.pick() is a


def test_with_thousands_places_are_found_a_few_picks_later() -> None:
    members = [endpoint(f"{number:04}") for number in range(3000)]
    balancer = First(members, random.Random(1), in_flight=1)
    for _ in range(2000):
        balancer.pick().in_flight += 1
    filled = [one for one in members if one.in_flight]
    assert Counter(one.in_flight for one in filled) == {1: 2000}
    assert {one.instance.id for one in filled} == {f"{number:04}" for number in range(2000)}
    members[700].in_flight = 0
    picks = []
    while members[700].in_flight == 0:
        chosen = balancer.pick()
        chosen.in_flight += 1
        picks.append(chosen)
    assert len(picks) <= 1001


def test_when_all_of_thousands_are_full_somebody_gets_it() -> None:
    members = [endpoint(f"{number:04}") for number in range(200)]
    for one in members:
        one.in_flight = 5
    balancer = First(members, random.Random(1), in_flight=5)
    assert all(balancer.pick() in members for _ in range(500))
