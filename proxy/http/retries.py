"""What is tried again, how often, and what keeps that from making an outage worse."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from balancers.endpoint import Endpoint
    from proxy.http.heads import RequestHead

IDEMPOTENT = frozenset([b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"PROPFIND", b"REPORT", b"SEARCH"])
MAX_STALE = 2  # kept connections that turn out to be closed, one after the other, for one request
WINDOW = 10.0  # seconds of which the budget is a share
_LONGEST_BACKOFF = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What a service wants to be tried again; `attempts` is how often, connections that failed not counted.

    Whatever it says, a request that is not idempotent is not sent again once a byte of it was written. Times are
    seconds, `buffer` is bytes, `hedge_after` infinite for never.
    """

    attempts: int = 2
    on_reset: bool = True
    on_timeout: bool = False
    statuses: frozenset[int] = frozenset()
    backoff: float = 0.025
    buffer: int = 65536
    hedge_after: float = float("inf")


@dataclass(slots=True)
class Tries:
    """What became of a request's tries so far; there is one only once something has failed."""

    tried: set[Endpoint] = field(default_factory=set)  # those not to be asked again while another one is left
    retries: int = 0  # sent again after a reset, a time-out or an answer that was to be tried again
    stale: int = 0  # sent again because a kept connection was closed
    unconnected_since: float | None = None  # when the first connection in a row failed
    # What the last try came to: the reason, the status that answers for it, and the word for the access log.
    failure: str = ""
    status: int = 502
    upstream_end: str = ""

    def pause(self, policy: RetryPolicy) -> float:
        """Return the seconds to wait before an endpoint is asked that has failed this request before."""
        return min(policy.backoff * 2.0 ** max(self.retries - 1, 0), _LONGEST_BACKOFF)


class RetryBudget:
    """Keeps a service's retries below a share of its requests, so that they cannot multiply an outage.

    In the last ten seconds there may be `share` times as many retries as there were requests, and `floor` a second
    however few there were. Counted by the sweep and when something is tried again; a request that goes well costs it
    nothing. As in Finagle and Envoy; the latter takes a share of the requests under way instead.
    """

    def __init__(self, share: float, floor: float) -> None:
        self._share = share
        self._floor = floor
        self._spent = 0
        self.exhausted = 0  # how often it refused
        self._past: deque[tuple[float, int, int]] = deque([(0.0, 0, 0)])  # time, requests and retries until then

    def adopt(self, other: RetryBudget) -> None:
        """Allow as much as another one from now on; what was spent stays spent."""
        self._share, self._floor = other._share, other._floor

    def sweep(self, now: float, requests: int) -> None:
        """Remember how many requests there were until now, and forget what is out of the window."""
        past = self._past
        past.append((now, requests, self._spent))
        while len(past) > 1 and past[1][0] <= now - WINDOW:
            past.popleft()

    def spend(self, requests: int) -> bool:
        """Take one retry out of the budget, when there is one left; `requests` is how many there were so far."""
        _, requests_then, spent_then = self._past[0]
        allowed = max(self._share * (requests - requests_then), self._floor * WINDOW)
        if self._spent - spent_then + 1 > allowed:
            self.exhausted += 1
            return False
        self._spent += 1
        return True


def repeatable(request: RequestHead, replay: bytes | bytearray | None) -> bool:
    """Tell whether a request may be sent twice: it is idempotent, and what was sent of its body is still there."""
    return request.method in IDEMPOTENT and replay is not None


def kind_of(status: int) -> str:
    """Say what a response with a status of 500 or more counts as against its endpoint: see Pool.failed."""
    return "gateway" if 502 <= status <= 504 else "5xx"


def untried(candidates: Collection[Endpoint], tried: Collection[Endpoint]) -> bool:
    """Tell whether an endpoint is left that was not tried."""
    return any(endpoint not in tried for endpoint in candidates)
