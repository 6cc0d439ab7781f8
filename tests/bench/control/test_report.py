import json

import pytest

from bench.control.delay import Change
from bench.control.load import Load, Window
from bench.control.report import Results, delay_table, document, load_table, percentile


@pytest.mark.parametrize(
    ("figures", "share", "expected"),
    [([5], 0.5, 5), ([3, 1, 2], 0.5, 2), ([1, 2, 3, 4], 0.5, 2), (range(1, 101), 0.99, 99), (range(1, 51), 0.99, 50)],
)
def test_percentiles_are_by_nearest_rank(figures, share, expected):
    assert percentile(figures, share) == expected


def changes():
    return [
        Change("traefik", 1, "register", 1.7, 0),
        Change("pointsman", 1, "register", 0.005, 0),
        Change("pointsman", 1, "register", 0.007, 1),
        Change("pointsman", 1, "deregister", 0.002, 0),
    ]


def loads():
    return [Load("pointsman", 2.5, Window(10, 0.05, 0.5, 80 * 2**20, 0), Window(20, 5, 10, 90 * 2**20, 1998))]


def test_delays_are_shown_in_milliseconds_a_proxy_a_row():
    _, head, ours, traefik = delay_table(changes()).splitlines()
    assert head.split() == ["first", "request", "p50", "p99", "last", "request", "p50", "p99", "changes", "errors"]
    assert ours.split() == ["pointsman", "5.0", "7.0", "2.0", "2.0", "3", "1"]
    assert traefik.split()[-6:] == ["1700.0", "1700.0", "-", "-", "1", "0"]


def test_loads_are_shown_as_shares_of_a_core():
    title, _, row = load_table(loads(), 1000, 10_000).splitlines()
    assert title == "1,000 services with 10,000 instances"
    assert row.split() == ["pointsman", "2.5", "0.5%", "5.0%", "80", "100", "25.0%", "50.0%", "90"]


def test_every_sample_is_in_the_document():
    written = json.loads(json.dumps(document(Results(changes(), loads(), ["haproxy: ended"]))))
    assert [change["seconds"] for change in written["changes"]] == [1.7, 0.005, 0.007, 0.002]
    assert written["loads"][0]["changing"]["changes"] == 1998
    assert written["failures"] == ["haproxy: ended"]
