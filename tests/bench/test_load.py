import pytest

from bench.load import LoadFailedError, parse_wrk

CLEAN = """\
Running 3s test @ http://127.0.0.1:35711/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.24ms  211.04us   6.11ms   93.19%
    Req/Sec    51.70k     3.01k   54.51k    86.67%
  Latency Distribution
     50%  950.00us
     75%    1.26ms
     90%    1.33ms
     99%    2.11ms
  154316 requests in 3.01s, 37.09MB read
Requests/sec:  51268.12
Transfer/sec:     12.32MB
"""


def test_clean_run():
    load = parse_wrk(CLEAN)

    assert (load.requests, load.seconds) == (154316, 3.01)
    assert (load.p50, load.p99) == pytest.approx((0.00095, 0.00211))
    assert (load.socket_errors, load.status_errors) == (0, 0)


def test_errors_are_counted():
    errors = "  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 77\n"

    load = parse_wrk(CLEAN.replace("Requests/sec", errors + "Requests/sec"))

    assert load.socket_errors == 4321
    assert load.status_errors == 77


@pytest.mark.parametrize(
    ("shown", "seconds"),
    [("950.00us", 0.00095), ("2.50ms", 0.0025), ("1.20s", 1.2), ("1.50m", 90.0), ("1.00h", 3600.0)],
)
def test_units_of_time(shown, seconds):
    assert parse_wrk(CLEAN.replace("2.11ms", shown)).p99 == pytest.approx(seconds)


@pytest.mark.parametrize("missing", ["154316 requests in 3.01s,", "50%", "99%"])
def test_missing_figure_is_an_error(missing):
    with pytest.raises(LoadFailedError, match="printed no"):
        parse_wrk(CLEAN.replace(missing, "-"))
