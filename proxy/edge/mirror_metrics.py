"""The metrics of the copies that services get from mirrors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from proxy.service import Service


def mirror_metrics(services: Iterable[Service]) -> Iterator[Metric]:
    """Read the counters of those services that some route sends copies to."""
    sent = CounterMetricFamily("pointsman_mirrored", "Copies of requests sent to a service.", labels=["service"])
    under_way = GaugeMetricFamily("pointsman_mirrored_in_flight", "Copies under way.", labels=["service"])
    dropped = CounterMetricFamily(
        "pointsman_mirrored_dropped", "Copies that were not sent, by the reason.", labels=["service", "reason"]
    )
    failed = CounterMetricFamily(
        "pointsman_mirrored_failed", "Copies sent that were not answered, by the reason.", labels=["service", "reason"]
    )
    for service in services:
        copies = service.copies
        if not copies.wanted:
            continue
        sent.add_metric([service.name], copies.sent)
        under_way.add_metric([service.name], copies.in_flight + copies.in_flight_elsewhere)
        for reason, count in copies.dropped.items():
            dropped.add_metric([service.name, reason], count)
        for reason, count in copies.failed.items():
            failed.add_metric([service.name, reason], count)
    yield from (sent, under_way, dropped, failed)
