from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.embedded.duration import nanoseconds

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "read"),
    [("10s", 10 * SECOND), ("1m30s", 90 * SECOND), ("1h2m3.5s", 3723 * SECOND + SECOND // 2), ("1.5ms", 1_500_000),
     ("10us", 10_000), ("10µs", 10_000), ("7ns", 7), (".5s", SECOND // 2), ("5.s", 5 * SECOND), ("+1s", SECOND),
     ("-1s", -SECOND), ("0", 0), ("0s", 0), (5, 5), (-5, -5)],
)  # fmt: skip
def test_a_duration_is_read_as_go_reads_it(text: object, read: int):
    assert nanoseconds(text) == read


@pytest.mark.parametrize(
    "text",
    ["", "s", "10", "1d", "10 s", " 10s", "1s ", "--1s", "+-1s", "1e3s", "٣s", ".s", "1s" * 40, "10000000h", 2**63,
     1.5, True, None, [], "\x00"],
)  # fmt: skip
def test_what_is_no_duration_says_so(text: object):
    with pytest.raises(ValueError, match=r"duration|longer than"):
        nanoseconds(text)


@given(st.text() | st.integers() | st.floats())
def test_nothing_else_comes_out(text: object):
    try:
        read = nanoseconds(text)
    except ValueError:
        return
    assert abs(read) < 2**63
