import json
import re
from dataclasses import replace

import pytest

from bench.measurement import Sample
from bench.report import Result, Spread, document, ratios, spread, table, too_slow
from bench.workloads import WORKLOADS, Figure


def sample(round_: int, proxy: str, microseconds: float, errors: int = 0) -> Sample:
    """A second of 10,000 requests that cost so much CPU time each."""
    return Sample(
        round=round_,
        proxy=proxy,
        requests=10_000,
        seconds=1.0,
        cpu_seconds=microseconds / 100,
        mean=0.0012,
        p50=0.001,
        p99=0.002,
        p999=0.004,
        peak_memory=30 * 2**20,
        socket_errors=0,
        status_errors=errors,
    )


def result(*samples: Sample, failures: dict[str, str] | None = None) -> Result:
    return Result(WORKLOADS[0], list(samples), failures or {})


# The machine turns half as fast in round 2, and a quarter as fast in round 3.
DRIFTING = [
    sample(1, "pointsman", 24),
    sample(1, "nginx", 20),
    sample(2, "nginx", 40),
    sample(2, "pointsman", 44),
    sample(3, "pointsman", 104),
    sample(3, "nginx", 80),
]


def test_spread_is_median_smallest_and_largest():
    assert spread([3.0, 1.0, 2.5]) == Spread(median=2.5, low=1.0, high=3.0)


def test_ratio_is_taken_within_a_round():
    assert ratios(DRIFTING, "nginx") == pytest.approx([1.2, 1.1, 1.3])


def test_median_of_the_ratios_and_not_ratio_of_the_medians():
    summary = result(*DRIFTING).summaries()["nginx"]

    assert summary.ratio is not None
    assert summary.ratio.median == pytest.approx(1.2)
    assert summary.figures["cpu_per_request"].median == pytest.approx(40e-6)


def test_every_figure_has_its_ratio():
    summary = result(*DRIFTING).summaries()["nginx"]

    assert summary.ratios.keys() == {"cpu_per_request", "throughput", "p50", "p99", "p999", "busy", "peak_memory"}
    assert summary.ratios["p999"] == Spread(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("workload", "head"),
    [
        ("idle", "KiB/connection"),
        ("added", "added µs"),
        ("slow", "mean ms"),
        ("half", "p99 ms"),
        ("tls", "CPU µs/request"),
    ],
)
def test_ratio_stands_beside_what_the_workload_compares(workload, head):
    compared = Result(next(each for each in WORKLOADS if each.name == workload), [sample(1, "nginx", 20)])

    heads = re.split(r"  +", table(compared, ["nginx"]).splitlines()[1])

    assert heads[heads.index("pointsman takes") - 1] == head


def test_ratio_of_another_figure():
    samples = [
        replace(sample(1, "pointsman", 10), memory_each=3000.0),
        replace(sample(1, "nginx", 20), memory_each=1500),
    ]

    assert ratios(samples, "nginx", Figure.MEMORY) == [2.0]


def test_workload_that_compares_latency_has_no_limit():
    half = next(each for each in WORKLOADS if each.name == "half")

    assert too_slow(Result(half, DRIFTING), {"nginx": 0.1}) == []


def test_pointsman_has_no_ratio_to_itself():
    assert ratios(DRIFTING, "pointsman") == []


def test_round_that_one_side_missed_has_no_ratio():
    assert ratios(DRIFTING[2:4] + DRIFTING[5:], "nginx") == pytest.approx([1.1])


def test_ratio_above_its_limit_is_named():
    assert too_slow(result(*DRIFTING), {"nginx": 1.15}) == [
        "105 bytes, 64 connections: pointsman takes 1.20 x nginx, more than 1.15"
    ]


def test_ratio_within_its_limit_is_no_complaint():
    assert too_slow(result(*DRIFTING), {"nginx": 1.25}) == []


def test_ratio_that_cannot_be_told_is_a_complaint():
    [line] = too_slow(result(*DRIFTING), {"haproxy": 1.5})

    assert "no ratio of pointsman to haproxy" in line


def test_table_shows_a_row_for_each_proxy_in_the_order_asked_for():
    lines = table(result(*DRIFTING), ["nginx", "pointsman"]).splitlines()

    assert [line.split()[0] for line in lines[1:]] == ["proxy", "nginx", "pointsman"]
    assert "40.0 (20.0..80.0)  1.20 x (1.10..1.30)" in lines[2]
    assert "44.0 (24.0..104.0)" in lines[3]
    assert "10 000" in lines[2]
    assert len({len(line) for line in lines[1:]}) == 1


def test_table_shows_errors_and_failures():
    shown = table(
        result(sample(1, "nginx", 20, errors=77), failures={"haproxy": "haproxy did not answer"}), ["nginx", "haproxy"]
    )

    assert shown.splitlines()[2].endswith(" 77")
    assert "FAILED: haproxy did not answer" in shown


def test_document_is_json_with_every_sample():
    [shown] = json.loads(json.dumps(document([result(*DRIFTING)])))

    assert len(shown["samples"]) == len(DRIFTING)
    assert shown["summaries"]["nginx"]["ratio"]["median"] == pytest.approx(1.2)
