"""What keeps retries from making an outage worse, and how long they pause: arithmetic, with a clock of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.heads import HeadLimits, RequestReader
from proxy.http.retries import IDEMPOTENT, WINDOW, RetryBudget, RetryPolicy, Tries, repeatable


def spent(budget: RetryBudget, requests: int, tries: int = 10_000) -> int:
    """Spend as much as there is; return how much."""
    return sum(budget.spend(requests) for _ in range(tries))


def test_a_share_of_the_requests() -> None:
    budget = RetryBudget(0.2, 0.0)
    assert not budget.spend(0)
    assert not budget.spend(4)
    assert budget.spend(5)
    assert not budget.spend(9)
    assert budget.spend(10)
    assert budget.exhausted == 3
    assert spent(budget, 1000) == 198


def test_the_floor_holds_however_few_requests_there_are() -> None:
    budget = RetryBudget(0.2, 3.0)
    assert spent(budget, 1) == 30  # 3 a second, for ten seconds
    assert spent(budget, 150) == 0
    assert spent(budget, 155) == 1  # 20 % of 155 is more


def test_floor_and_share_are_not_added() -> None:
    assert spent(RetryBudget(0.2, 3.0), 1000) == 200


def test_nothing_at_all() -> None:
    assert spent(RetryBudget(0.0, 0.0), 1000) == 0


def test_what_was_spent_is_there_again_after_the_window() -> None:
    budget = RetryBudget(0.0, 1.0)
    budget.sweep(100.0, 0)
    assert spent(budget, 50) == 10
    budget.sweep(100.25, 50)
    budget.sweep(109.75, 60)
    assert spent(budget, 60) == 0
    budget.sweep(100.25 + WINDOW, 60)
    assert spent(budget, 60) == 10


def test_requests_of_long_ago_do_not_count() -> None:
    budget = RetryBudget(0.5, 0.0)
    budget.sweep(1.0, 1000)
    budget.sweep(1.25 + WINDOW, 1000)
    assert not budget.spend(1001)
    assert budget.spend(1002)


def test_a_sweep_that_comes_late_forgets_nothing_too_early() -> None:
    budget = RetryBudget(0.5, 0.0)
    budget.sweep(1.0, 0)
    budget.sweep(8.0, 100)
    assert spent(budget, 100) == 50
    budget.sweep(12.0, 100)  # the fifty were spent at some time since 8.0
    assert spent(budget, 110) == 5
    assert len(budget._past) == 3


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.1, 0.2, 1.0]),
    st.sampled_from([0, 1, 3]),
)
def test_whenever_something_is_spent_the_window_allows_it(
    steps: list[tuple[int, int, int]], share: float, floor: int
) -> None:
    """Requests and attempts at retries come between sweeps, a quarter of a second or more apart."""
    budget = RetryBudget(share, floor)
    now, requests = 1000.0, 0
    budget.sweep(now, requests)
    history: list[tuple[float, int, int]] = []  # when, requests, retries granted
    for quarters, came, wanted in steps:
        requests += came
        history.append((now, came, spent(budget, requests, wanted)))
        inside = [step for step in history if step[0] > now - WINDOW]
        # The sweep that looked last before the window began has not seen what came between it and the next one.
        edge = [step for step in history if step[0] <= now - WINDOW][-1:]
        most = max(share * sum(step[1] for step in edge + inside), floor * WINDOW)
        assert not history[-1][2] or sum(step[2] for step in inside) <= most
        now += quarters / 4
        budget.sweep(now, requests)
    assert len(budget._past) <= 4 * WINDOW + 2


def test_the_pause_doubles_up_to_a_second() -> None:
    policy = RetryPolicy(backoff=0.025)
    pauses = [Tries(retries=n).pause(policy) for n in range(1, 10)]
    assert pauses == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert Tries(retries=3).pause(RetryPolicy(backoff=0.0)) == 0.0


@pytest.mark.parametrize(
    "method", [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"PROPFIND", b"REPORT", b"POST", b"PATCH"]
)
def test_only_what_is_idempotent_and_still_there_may_be_repeated(method: bytes) -> None:
    reader = RequestReader(HeadLimits(), allow_trace=True)
    request = reader.read(method + b" / HTTP/1.1\r\nHost: shop\r\n\r\n")
    idempotent = method not in (b"POST", b"PATCH")
    assert (method in IDEMPOTENT) == idempotent
    assert repeatable(request, b"") == repeatable(request, b"body") == idempotent
    assert not repeatable(request, None)
