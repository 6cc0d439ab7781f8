"""How long an instance works on a request."""

from __future__ import annotations

from math import exp, log, log1p
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.simulate.world import ServiceTime


_EDGE = 1e-12  # a bell curve has no value at 0 and 1
_P99 = NormalDist().inv_cdf(0.99)


def duration_of(wanted: ServiceTime) -> Callable[[float], float]:
    """Return the inverse of the distribution function: from a number in [0, 1) to seconds, 0 or more.

    The number is the request's, so that the same request takes as long under each policy.
    """
    if wanted.constant is not None:
        always = wanted.constant
        return lambda drawn: always
    if wanted.exponential is not None:
        mean = wanted.exponential
        return lambda drawn: -mean * log1p(-drawn)
    if wanted.normal is not None:
        if wanted.normal.deviation == 0:
            same = wanted.normal.mean
            return lambda drawn: same
        bell = NormalDist(wanted.normal.mean, wanted.normal.deviation).inv_cdf
        return lambda drawn: max(0.0, bell(max(drawn, _EDGE)))
    if wanted.lognormal is not None:
        median, p99 = wanted.lognormal.median, wanted.lognormal.p99
        sigma, unit = log(p99 / median) / _P99, NormalDist().inv_cdf
        return lambda drawn: median * exp(sigma * unit(max(drawn, _EDGE)))
    assert wanted.bimodal is not None
    fast, slow, rest = wanted.bimodal.fast, wanted.bimodal.slow, 1.0 - wanted.bimodal.slow_share
    return lambda drawn: fast if drawn < rest else slow
