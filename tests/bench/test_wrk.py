import pytest

from bench.load import LoadFailedError
from bench.wrk import parse

OUTPUT = """\
Running 3s test @ http://127.0.0.1:35711/
  1 threads and 64 connections
  154316 requests in 3.01s, 37.09MB read
Requests/sec:  51268.12

{"requests": 154316, "microseconds": 3010000, "mean": 1240.5, "p50": 950, "p99": 2110, "p999": 4000, \
"sockets": 0, "statuses": 0}
"""


def test_figures_are_in_seconds():
    load = parse(OUTPUT)

    assert (load.requests, load.seconds) == (154316, 3.01)
    assert (load.mean, load.p50, load.p99, load.p999) == pytest.approx((0.0012405, 0.00095, 0.00211, 0.004))
    assert (load.socket_errors, load.status_errors) == (0, 0)


def test_errors_are_counted():
    load = parse(OUTPUT.replace('"sockets": 0, "statuses": 0', '"sockets": 4321, "statuses": 77'))

    assert (load.socket_errors, load.status_errors) == (4321, 77)


@pytest.mark.parametrize("output", ["", "unable to connect", OUTPUT.replace('"p999": 4000, ', ""), '{"requests": 1'])
def test_output_without_figures_is_an_error(output):
    with pytest.raises(LoadFailedError, match="printed no figures"):
        parse(output)
