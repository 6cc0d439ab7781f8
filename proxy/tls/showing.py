"""What operators see of TLS: the certificates in force and how long they are good, and how handshakes went."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from proxy.listener import Listener
    from proxy.tcp.listener import TcpListener


def tls_metrics(listeners: Iterable[Listener | TcpListener], now: float) -> Iterator[Metric]:
    """Read the metrics; `now` in seconds since 1970."""
    expiry = GaugeMetricFamily(
        "pointsman_certificate_expiry_seconds",
        "Until the certificate in force expires; negative once it has.",
        labels=["listener", "certificate"],
    )
    changes = CounterMetricFamily(
        "pointsman_certificate_changes",
        "Changes of certificates' files, by what became of them.",
        labels=["listener", "result"],
    )
    handshakes = CounterMetricFamily(
        "pointsman_tls_handshakes", "Handshakes with clients, by what became of them.", labels=["listener", "result"]
    )
    for listener in listeners:
        if listener.certificates is None or listener.handshakes is None:
            continue
        name = str(listener.bind)
        for loaded, _ in listener.certificates.in_force:
            expiry.add_metric([name, str(loaded.pair.cert)], loaded.certificate.not_after - now)
        changes.add_metric([name, "loaded"], listener.certificates.loads)
        changes.add_metric([name, "refused"], listener.certificates.refusals)
        for result, count in listener.handshakes.results.items():
            handshakes.add_metric([name, result], count)
    yield from (expiry, changes, handshakes)


def certificates_of(listeners: Iterable[Listener | TcpListener], now: float) -> Iterator[dict[str, Any]]:
    """Show the certificates in force; `now` in seconds since 1970. It takes a while, the first time."""
    for listener in listeners:
        if listener.certificates is None:
            continue
        for loaded, refused in listener.certificates.in_force:
            certificate = loaded.certificate
            try:
                whole = certificate.read()
            except ValueError:  # OpenSSL is less strict: it serves what cannot be read here
                whole = None
            yield {
                "listener": listener.address,
                "certificate": str(loaded.pair.cert),
                "names": list(certificate.names),
                "subject": whole and whole.subject,
                "issuer": whole and whole.issuer,
                "serial": whole and whole.serial,
                "fingerprint": sha256(certificate.der).hexdigest(),
                "not_before": _time(certificate.not_before),
                "not_after": _time(certificate.not_after),
                "expiry_seconds": round(certificate.not_after - now),
                "loaded": _time(loaded.since),
                "refused": refused or None,
            }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
