import sys

import pytest

from bench.load import LoadFailedError, generate, percentile


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.99, 10), (0.1, 1), (0.0, 1), (1.0, 10)])
def test_percentile_is_the_smallest_that_so_many_do_not_exceed(share, expected):
    assert percentile(list(range(1, 11)), share) == expected


def test_what_a_generator_prints_is_returned():
    assert generate([sys.executable, "-c", "print('3 requests')"], 5, 0) == "3 requests\n"


def test_generator_that_fails_is_quoted():
    with pytest.raises(LoadFailedError, match="ended with status 3: no such host"):
        generate([sys.executable, "-c", "import sys; print('no such host', file=sys.stderr); sys.exit(3)"], 5, 0)


def test_generator_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr("bench.load.GRACE", 0)
    with pytest.raises(LoadFailedError, match="did not end"):
        generate([sys.executable, "-c", "import time; time.sleep(60)"], 0.2, 0)
