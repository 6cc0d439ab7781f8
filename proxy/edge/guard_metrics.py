"""The counters of the guards, as Prometheus has them. Routes of the same host and path are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from proxy.assemble.guards import Guards


def guard_metrics(guards: Guards) -> Iterator[Metric]:
    """Read what the guards have counted."""
    labels = ["listener", "route"]
    counted: dict[str, dict[tuple[str, ...], int]] = {name: {} for name in ("denied", "limited", "buckets", "asked")}
    counted["unauthorized"] = {}

    def add(what: str, values: tuple[str, ...], number: int) -> None:
        counted[what][values] = counted[what].get(values, 0) + number

    parts = [(listener, "", access, limits) for listener, access, limits in guards.of_listeners.values()]
    parts += [("", guard.name, guard.access, guard.limits) for guard in guards.of_routes.values()]
    for listener, route, access, limits in parts:
        if access is not None:
            add("denied", (listener, route), access.refused)
        if limits is not None:
            add("limited", (listener, route), limits.refused)
            add("buckets", (listener, route), limits.known)
    for guard in guards.of_routes.values():
        if guard.basic is not None:
            add("unauthorized", (guard.name,), guard.basic.refused)
        if guard.forward is not None:
            for result in ("passed", "refused", "failed"):
                add("asked", (guard.name, result), getattr(guard.forward, result))
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {
        "denied": CounterMetricFamily(
            "pointsman_requests_denied",
            "Requests, and on a listener connections, of clients whose address may not pass.",
            labels=labels,
        ),
        "limited": CounterMetricFamily("pointsman_requests_limited", "Requests beyond a rate limit.", labels=labels),
        "buckets": GaugeMetricFamily(
            "pointsman_rate_limit_buckets", "Clients, or values of a header, that limits know of.", labels=labels
        ),
        "unauthorized": CounterMetricFamily(
            "pointsman_requests_unauthorized", "Requests without a name and password that are known.", labels=["route"]
        ),
        "asked": CounterMetricFamily(
            "pointsman_forward_auth", "Requests about which a service was asked, by its answer.",
            labels=["route", "result"],
        ),
    }  # fmt: skip
    for what, family in families.items():
        for values, number in counted[what].items():
            family.add_metric(list(values), number)
        yield family
    bad = GaugeMetricFamily(
        "pointsman_users_file_bad", "1 while a file of users cannot be used and those of before are.", labels=["file"]
    )
    reads = CounterMetricFamily(
        "pointsman_users_file_reads", "How often a file of users was read, by the result.", labels=["file", "result"]
    )
    checked = CounterMetricFamily("pointsman_passwords_checked", "Passwords compared with a hash.", labels=["file"])
    for path, file in guards.files.items():
        bad.add_metric([str(path)], bool(file.error))
        reads.add_metric([str(path), "read"], file.read)
        reads.add_metric([str(path), "failed"], file.failed)
        checked.add_metric([str(path)], file.checked)
    yield from (bad, reads, checked)
