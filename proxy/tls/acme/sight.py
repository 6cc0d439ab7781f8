"""What metrics and the admin API show of certificates that are got from an authority."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from proxy.tls.acme.renewals import Domain, Renewals


def acme_metrics(renewals: Renewals | None) -> Iterator[Metric]:
    """Read how the certificates stand."""
    orders = CounterMetricFamily(
        "pointsman_acme_orders", "Tries to get a certificate, by their end.", labels=["result"]
    )
    ends = GaugeMetricFamily(
        "pointsman_acme_certificate_end_seconds",
        "When the certificate ends, in seconds since 1970; 0 until the first one has come.",
        labels=["domain"],
    )
    failures = GaugeMetricFamily(
        "pointsman_acme_failures", "Tries in a row that failed; 0 while all is well.", labels=["domain"]
    )
    if renewals is not None:
        orders.add_metric(["issued"], renewals.issued)
        orders.add_metric(["failed"], renewals.failed)
        for name, domain in renewals.domains.items():
            standing = domain.standing
            ends.add_metric([name], 0 if standing is None or standing.placeholder else standing.not_after)
            failures.add_metric([name], domain.failures)
    yield from (orders, ends, failures)


def acme_shown(renewals: Renewals | None) -> dict[str, Any]:
    """Show how each domain stands."""
    if renewals is None:
        return {"directory": None, "domains": []}
    return {
        "directory": renewals.directory,
        "domains": [_shown(domain) for domain in renewals.domains.values()],
    }


def _shown(domain: Domain) -> dict[str, Any]:
    standing = domain.standing
    return {
        "name": domain.name,
        "state": domain.state,
        "valid_until": _moment(standing.not_after) if standing else None,
        "next_order": _moment(domain.next),
        "failures": domain.failures,
        "error": domain.error,
    }


def _moment(seconds: float) -> str | None:
    return (
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if seconds else None
    )
