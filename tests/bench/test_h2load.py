import pytest

from bench.h2load import parse
from bench.load import LoadFailedError

OUTPUT = """\
progress: 100% done

finished in 493.72ms, 2025.43 req/s, 0B/s
requests: 4 total, 4 started, 4 done, 3 succeeded, 1 failed, 0 errored, 0 timeout
status codes: 3 2xx, 0 3xx, 0 4xx, 1 5xx
"""
LOG = "1795694725241\t200\t1000\n1795694725242\t200\t3000\n1795694725243\t200\t2000\n1795694725244\t503\t4000\n"


def test_latencies_come_from_the_log():
    load = parse(OUTPUT, LOG)

    assert load.requests == 4
    assert load.seconds == pytest.approx(0.49372)
    assert (load.p50, load.p99) == (0.002, 0.004)
    assert load.mean == pytest.approx(0.0025)


def test_answer_that_says_an_error_is_no_broken_connection():
    load = parse(OUTPUT, LOG)

    assert (load.socket_errors, load.status_errors) == (0, 1)


def test_request_without_an_answer_is_a_broken_connection():
    load = parse(OUTPUT, LOG.replace("503", "-1"))

    assert (load.requests, load.socket_errors, load.status_errors) == (3, 1, 0)


def test_no_summary_is_an_error():
    with pytest.raises(LoadFailedError, match="no summary"):
        parse("Could not resolve host", "")


def test_nothing_answered_is_an_error():
    with pytest.raises(LoadFailedError, match="no request answered"):
        parse(OUTPUT, "")
