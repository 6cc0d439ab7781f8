"""When a certificate is due, and when to try again: pure functions of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

HOUR = 3600.0
ORDERS_AN_HOUR = 4  # for one domain; Let's Encrypt has it fail five times an hour at most
_SOON, _SOON_MOST = 1.0, 600.0  # seconds between tries that came to no order
_LATE, _LATE_MOST = 300.0, 6 * HOUR  # seconds between orders that failed
_MOST_PATIENCE = 24 * HOUR  # an authority that asks for more is asked once a day
_LONGEST_LEAD = 0.75  # of the lifetime: a certificate that is due as it comes would be ordered for ever


@dataclass(frozen=True, slots=True)
class Standing:
    """A certificate as it lies in its file; times in seconds since 1970."""

    not_before: float
    not_after: float
    placeholder: bool = False


def due(standing: Standing | None, renew_before: float | None) -> float:
    """Return when a certificate is to be ordered, in seconds since 1970; 0 at once.

    That is `renew_before` seconds before its end, or a third of its lifetime, as Let's Encrypt advises.
    """
    if standing is None or standing.placeholder:
        return 0.0
    lifetime = standing.not_after - standing.not_before
    lead = lifetime / 3 if renew_before is None else min(renew_before, lifetime * _LONGEST_LEAD)
    return standing.not_after - lead


def pause(failures: int, *, ordered: bool, retry_after: float, source: random.Random) -> float:
    """Return how many seconds to wait after so many failures in a row, at least one.

    Doubling from a second where no order was made, from five minutes where one was; a quarter less or more by chance,
    so that those whom one fault has hit do not come back together. An authority's own word is a lower bound.
    """
    first, most = (_LATE, _LATE_MOST) if ordered else (_SOON, _SOON_MOST)
    wait = min(first * 2.0 ** min(failures - 1, 30), most) * source.uniform(0.75, 1.25)
    return max(wait, min(retry_after, _MOST_PATIENCE))


def room(orders: Sequence[float], now: float) -> float:
    """Return when the next order may be made after these, in seconds since 1970; `now` when at once."""
    recent = sorted(moment for moment in orders if now - HOUR < moment <= now)
    return recent[-ORDERS_AN_HOUR] + HOUR if len(recent) >= ORDERS_AN_HOUR else now
