"""The metrics of takeovers. The counters of the process that was taken over from go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from proxy.takeover.failing import FAILED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from proxy.takeover.claim import Claim
    from proxy.takeover.offer import Offer


def takeover_metrics(offer: Offer | None, claim: Claim | None) -> Iterator[Metric]:
    """Read what came to nothing, and how this process got its place."""
    failed = CounterMetricFamily(
        "pointsman_takeovers", "Takeovers by other processes that came to nothing, by what became of them.",
        labels=["result"],
    )  # fmt: skip
    for result in (FAILED, REFUSED):
        failed.add_metric([result], offer.counts[result] if offer is not None else 0)
    yield failed
    yield GaugeMetricFamily(
        "pointsman_takeover_under_way",
        "1 while another process is taking over.",
        value=offer is not None and offer.busy is not None,
    )
    yield GaugeMetricFamily(
        "pointsman_takeover_generation",
        "How many processes had this place before, one taking over from the other.",
        value=claim.generation if claim is not None else 0,
    )
    yield GaugeMetricFamily(
        "pointsman_takeover_duration_seconds",
        "How long it took this process to take over; 0 for one that did not.",
        value=claim.took if claim is not None else 0.0,
    )
