"""Plain counters, written on the hot path and read by the metrics' collector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.tcp.counts import ServiceCounts

# Upper bounds in seconds: what a proxy on the same network sees, up to what a person still waits for.
LATENCY_BOUNDS: Final[tuple[float, ...]] = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip


class Traffic:
    """What passed through a service. All integers only grow, but `in_flight` and `tunnels`."""

    __slots__ = (
        "abandoned",
        "broken",
        "by_class",
        "hedges",
        "in_flight",
        "latency",
        "latency_sum",
        "raw",
        "retries",
        "tunnel_bytes_in",
        "tunnel_bytes_out",
        "tunnels",
    )

    def __init__(self) -> None:
        self.in_flight = 0
        self.tunnels = 0  # open at present; they are in flight too
        self.tunnel_bytes_in = self.tunnel_bytes_out = 0  # from and to clients
        self.hedges = 0  # requests sent to a second endpoint for want of an answer; they are retries too
        self.by_class = [0] * 6  # by the first digit of the status; none has the digit 0
        self.latency = [0] * (len(LATENCY_BOUNDS) + 1)  # exchanges whose latency lies in the bucket
        self.latency_sum = 0.0  # seconds
        self.abandoned = 0  # the client left before its response was whole
        self.broken = 0  # the response broke off in its middle
        self.retries = 0
        self.raw: ServiceCounts | None = None  # of raw connections, where a listener has some for the service

    @property
    def requests(self) -> int:
        """How many requests and raw connections there were so far, those under way included."""
        ended = self.raw.ended if self.raw is not None else 0
        return self.in_flight + sum(self.by_class) + self.abandoned + self.broken + ended

    def ended(self, status: int, seconds: float) -> None:
        """Count an exchange whose response was whole."""
        self.by_class[status // 100] += 1
        bucket = 0
        for bound in LATENCY_BOUNDS:  # a bisection takes longer: nearly all are in the first few
            if seconds <= bound:
                break
            bucket += 1
        self.latency[bucket] += 1
        self.latency_sum += seconds
