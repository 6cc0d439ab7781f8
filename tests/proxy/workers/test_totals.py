"""Whatever happens to workers, totals are what was reported, and counters never fall."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.workers.tally import Reporter, Totals
from tests.proxy.workers.counting import application, endpoint, follow, tell, web

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("counts"), st.integers(0, 2), st.integers(1, 50)),
        st.tuples(st.sampled_from(["reports", "dies", "is forgotten"]), st.integers(0, 2), st.just(0)),
        st.tuples(st.sampled_from(["leaves", "comes"]), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_totals_are_what_was_reported_and_counters_never_fall(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    asyncio.run(_live(tmp_path_factory.getbasetemp(), steps))


async def _live(folder: Path, steps: list[tuple[str, int, int]]) -> None:
    control, totals = application(folder), Totals()
    workers = [application(folder) for _ in range(3)]
    reporters = [Reporter() for _ in workers]
    follow(["a", "b"], control, *workers)
    known = [0, 0, 0]  # what each of the living has reported
    dead = shown_last = of_b = 0
    for what, which, number in steps:
        worker = workers[which]
        if what == "counts":
            web(worker).traffic.by_class[2] += number
            endpoint(worker).requests += number
            endpoint(worker).in_flight = number
            here = web(worker).pool.endpoint("b")
            if here is not None:
                here.requests += number
        elif what == "reports":
            tell(totals, which, reporters[which], worker)
            known[which] = endpoint(worker).requests
        elif what == "dies":
            totals.ended(which)
            dead += known[which]
            known[which] = 0
            workers[which], reporters[which] = application(folder), Reporter()
            follow([one.instance.id for one in web(control).pool.endpoints], workers[which])
        elif what == "is forgotten":
            reporters[which].forget()
        else:
            follow(["a"] if what == "leaves" else ["a", "b"], control, *workers)
            of_b = 0
        totals.write(control)
        one = endpoint(control)
        assert one.requests == dead + sum(known) >= shown_last
        assert web(control).traffic.by_class[2] == one.requests
        assert sum(totals.requests.values()) == one.requests
        shown_last = one.requests
        b = web(control).pool.endpoint("b")
        assert b is None or b.requests >= of_b
        of_b = b.requests if b is not None else 0
