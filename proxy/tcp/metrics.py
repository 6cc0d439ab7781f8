"""What the metrics tell of raw connections, for the services to which TCP listeners lead."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from proxy.tcp.counts import DURATION_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from proxy.service import Service


def raw_connections(services: Mapping[str, Service]) -> Iterator[Metric]:
    """Read the counts of all services and their endpoints once."""
    begun = CounterMetricFamily("pointsman_tcp_connections", "Raw connections so far.", labels=["service"])
    open_ = GaugeMetricFamily("pointsman_tcp_connections_open", "Raw connections open.", labels=["service"])
    passed = CounterMetricFamily(
        "pointsman_tcp_bytes", "Bytes from clients (in) and to them (out).", labels=["service", "direction"]
    )
    durations = HistogramMetricFamily(
        "pointsman_tcp_connection_duration_seconds", "How long raw connections lasted.", labels=["service"]
    )
    failures = CounterMetricFamily(
        "pointsman_tcp_failures", "Raw connections that came to a bad end, by what.", labels=["service", "reason"]
    )
    labels = ["service", "endpoint", "address"]
    of_endpoint = CounterMetricFamily("pointsman_endpoint_tcp_connections", "Raw connections to it.", labels=labels)
    open_to = GaugeMetricFamily("pointsman_endpoint_tcp_connections_open", "Raw connections it has.", labels=labels)
    passed_by = CounterMetricFamily(
        "pointsman_endpoint_tcp_bytes", "Bytes from clients (in) and to them (out).", labels=[*labels, "direction"]
    )
    bounds = [*map(str, DURATION_BOUNDS), "+Inf"]
    for name, service in services.items():
        counts = service.traffic.raw
        if counts is None:
            continue
        begun.add_metric([name], counts.begun)
        open_.add_metric([name], counts.open)
        passed.add_metric([name, "in"], counts.bytes_in)
        passed.add_metric([name, "out"], counts.bytes_out)
        buckets = list(zip(bounds, accumulate(counts.durations), strict=True))
        durations.add_metric([name], buckets, counts.durations_sum)
        for reason, count in counts.failures.items():
            failures.add_metric([name, reason], count)
        for endpoint, connections in service.connections.items():
            if (raw := connections.raw) is not None:
                values = [name, endpoint.instance.id, endpoint.instance.authority]
                of_endpoint.add_metric(values, raw.begun)
                open_to.add_metric(values, raw.open)
                passed_by.add_metric([*values, "in"], raw.bytes_in)
                passed_by.add_metric([*values, "out"], raw.bytes_out)
    yield from (begun, open_, passed, durations, failures, of_endpoint, open_to, passed_by)
