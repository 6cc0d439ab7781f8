from functools import partial

import pytest

from bench.micro.cases import Case
from bench.micro.timing import Measured, Range, Sample, measure, quartiles


def counting(done, name):
    def timed(count):
        for _ in range(count):
            done.append(name)

    return timed


def test_the_cases_take_turns():
    done: list[str] = []
    both = [Case(name, partial(counting, done, name)) for name in "ab"]
    rounds = [len(measured[0].samples) for measured in measure(both, 3, 0.0002)]
    assert rounds == [1, 2, 3]
    turns = [name for name, before in zip(done, [None, *done], strict=False) if name != before]
    assert turns == ["a", "b"] * 4  # once to warm up


def test_what_is_measured_costs_something():
    *_, (measured,) = measure([Case("list", partial(counting, [], "any"))], 2, 0.0002)
    assert all(sample.cost > 0 and sample.yardstick > 0 for sample in measured.samples)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [([3], Range(3, 3, 3)), ([1, 2, 3, 4, 100], Range(3, 2, 4)), ([2, 1], Range(1.5, 1.25, 1.75))],
)
def test_quartiles(figures, expected):
    assert quartiles(figures) == expected


def test_a_slow_moment_of_the_machine_cancels_out():
    measured = Measured("any", [Sample(100, 10), Sample(400, 40), Sample(150, 15)])
    assert measured.relative == Range(10, 10, 10)
    assert measured.cost.median == 150
