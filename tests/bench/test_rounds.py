from bench.rounds import Step, plan
from bench.workloads import WORKLOADS

SMALL, BROWSER = WORKLOADS[:2]


def test_proxies_take_turns_and_each_starts_a_round():
    steps = plan([SMALL], ["a", "b", "c"], rounds=4)

    assert [(step.round, step.proxy) for step in steps] == [
        *[(1, "a"), (1, "b"), (1, "c")],
        *[(2, "b"), (2, "c"), (2, "a")],
        *[(3, "c"), (3, "a"), (3, "b")],
        *[(4, "a"), (4, "b"), (4, "c")],
    ]


def test_one_workload_after_the_other():
    assert plan([SMALL, BROWSER], ["a"], rounds=1) == [Step(SMALL, 1, "a"), Step(BROWSER, 1, "a")]
