"""Durations as Consul takes them: text such as "1m30s", or whole nanoseconds."""

from __future__ import annotations

import re
from decimal import Decimal

SECOND = 1_000_000_000  # nanoseconds

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_TERM = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 2**63 - 1  # Go's time.Duration, some 292 years
_MOST_TEXT = 64


def nanoseconds(value: object) -> int:
    """Read a duration the way Go's time.ParseDuration does; a plain number is nanoseconds.

    Raises ValueError with a text for the one who wrote it.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        read = value
    elif isinstance(value, str):
        read = _parse(value)
    else:
        raise ValueError('should be a duration such as "10s", or whole nanoseconds')
    if abs(read) > _LONGEST:
        raise ValueError("is longer than 292 years")
    return read


def _parse(text: str) -> int:
    unsigned = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if unsigned == "0":
        return 0
    total = Decimal(0)
    position = 0
    while position < len(unsigned) <= _MOST_TEXT:
        term = _TERM.match(unsigned, position)
        if term is None:
            break
        total += Decimal(term[1]) * _NANOSECONDS[term[2]]
        position = term.end()
    if not position or position < len(unsigned):
        raise ValueError(f'{text[:_MOST_TEXT]!r} is not a duration such as "10s" or "1m30s"')
    return -int(total) if text.startswith("-") else int(total)
