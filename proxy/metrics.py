"""The Prometheus metrics: read from the plain counters when somebody scrapes, and from nowhere else.

An endpoint's series exist as long as the endpoint does.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector as CollectorBase

from discovery.freshness import DELAY_BOUNDS
from proxy.build_info import build_info
from proxy.counters import LATENCY_BOUNDS
from proxy.edge.guard_metrics import guard_metrics
from proxy.edge.mirror_metrics import mirror_metrics
from proxy.reloading import REFUSED
from proxy.takeover.metrics import takeover_metrics
from proxy.tcp.metrics import raw_connections
from proxy.tls.acme.sight import acme_metrics
from proxy.tls.showing import tls_metrics
from proxy.workers.metrics import worker_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from proxy.application import Application

_LONGEST_INDEX = 20  # digits; 64 bits have no more


class Collector(CollectorBase):
    """Turns the application's counters into metrics."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        build = build_info()
        del build["reason"]
        yield InfoMetricFamily("pointsman_build", "What is running.", value=build)
        yield from self._traffic()
        yield from raw_connections(self._application.services)
        yield from self._listeners()
        yield from self._splits()
        yield from self._access_log()
        yield from acme_metrics(self._application.renewals)
        yield from self._endpoints()
        yield from self._discovery()
        yield from self._catalogs()
        yield from self._configuration()
        yield from takeover_metrics(self._application.offer, self._application.claim)
        yield from mirror_metrics(self._application.services.values())
        yield from guard_metrics(self._application.guards)
        workers = self._application.workers
        yield from worker_metrics(workers.sight if workers else None, time.monotonic())

    def _traffic(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "pointsman_requests", "Requests answered, by the class of the status.", labels=["service", "code"]
        )
        durations = HistogramMetricFamily(
            "pointsman_request_duration_seconds",
            "From a request's head to the end of its response.",
            labels=["service"],
        )
        in_flight = GaugeMetricFamily("pointsman_requests_in_flight", "Requests under way.", labels=["service"])
        abandoned = CounterMetricFamily(
            "pointsman_requests_abandoned",
            "Requests whose client left before the response was whole.",
            labels=["service"],
        )
        broken = CounterMetricFamily(
            "pointsman_responses_broken", "Responses that broke off in their middle.", labels=["service"]
        )
        retries = CounterMetricFamily("pointsman_retries", "Requests sent once more.", labels=["service"])
        exhausted = CounterMetricFamily(
            "pointsman_retries_refused", "Retries that the budget did not allow.", labels=["service"]
        )
        hedges = CounterMetricFamily(
            "pointsman_hedges",
            "Requests sent to a second endpoint for want of an answer; retries too.",
            labels=["service"],
        )
        queued = GaugeMetricFamily("pointsman_requests_queued", "Requests that wait for a place.", labels=["service"])
        overflow = CounterMetricFamily(
            "pointsman_requests_overflowed",
            "Requests that found neither a place nor room to wait for one.",
            labels=["service"],
        )
        tunnels = GaugeMetricFamily(
            "pointsman_tunnels", "Connections that were upgraded, WebSockets for one.", labels=["service"]
        )
        tunnelled = CounterMetricFamily(
            "pointsman_tunnel_bytes", "Bytes through tunnels, from clients (in) and to them (out).",
            labels=["service", "direction"],
        )  # fmt: skip
        for name, service in self._application.services.items():
            traffic = service.traffic
            for digit in range(1, 6):
                requests.add_metric([name, f"{digit}xx"], traffic.by_class[digit])
            bounds = [*map(str, LATENCY_BOUNDS), "+Inf"]
            counts = accumulate(traffic.latency)
            durations.add_metric([name], list(zip(bounds, counts, strict=True)), traffic.latency_sum)
            in_flight.add_metric([name], traffic.in_flight)
            abandoned.add_metric([name], traffic.abandoned)
            broken.add_metric([name], traffic.broken)
            retries.add_metric([name], traffic.retries)
            exhausted.add_metric([name], service.budget.exhausted)
            hedges.add_metric([name], traffic.hedges)
            places = service.places
            queued.add_metric([name], places.queued if places is not None else 0)
            overflow.add_metric([name], places.refused if places is not None else 0)
            tunnels.add_metric([name], traffic.tunnels)
            tunnelled.add_metric([name, "in"], traffic.tunnel_bytes_in)
            tunnelled.add_metric([name, "out"], traffic.tunnel_bytes_out)
        yield from (requests, durations, in_flight, abandoned, broken, retries, exhausted, hedges, queued, overflow)
        yield from (tunnels, tunnelled)

    def _listeners(self) -> Iterator[Metric]:
        open_ = GaugeMetricFamily("pointsman_downstream_connections", "Clients connected.", labels=["listener"])
        accepted = CounterMetricFamily(
            "pointsman_downstream_connections_accepted", "Clients accepted so far.", labels=["listener"]
        )
        refused = CounterMetricFamily(
            "pointsman_requests_refused",
            "Requests answered without asking an instance: malformed, or without a route.",
            labels=["listener"],
        )
        answered = CounterMetricFamily(
            "pointsman_requests_answered",
            "Requests answered here as the configuration wants: redirects, fixed answers and the like.",
            labels=["listener", "code"],
        )
        overflowed = CounterMetricFamily(
            "pointsman_downstream_connections_refused", "Clients that were one too many.", labels=["listener"]
        )
        headers = CounterMetricFamily(
            "pointsman_proxy_headers", "PROXY headers, by what became of them.", labels=["listener", "result"]
        )
        paused = CounterMetricFamily(
            "pointsman_accept_pauses",
            "How often accepting paused for want of file descriptors.",
            labels=["listener"],
        )
        for listener in self._application.listeners:
            labels = [str(listener.bind)]
            open_.add_metric(labels, listener.clients)
            accepted.add_metric(labels, listener.accepted)
            refused.add_metric(labels, listener.refused)
            for digit in range(2, 6):
                answered.add_metric([*labels, f"{digit}xx"], listener.answered[digit])
            overflowed.add_metric(labels, listener.overflowed)
            paused.add_metric(labels, listener.exhausted)
            if listener.proxied is not None:
                for result, count in listener.proxied.results.items():
                    headers.add_metric([*labels, result], count)
        yield from (open_, accepted, refused, answered, overflowed, headers, paused)
        yield from tls_metrics(self._application.listeners, time.time())

    def _splits(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "pointsman_split_requests", "Requests of a split, by the service that they fell to.",
            labels=["split", "service"],
        )  # fmt: skip
        weight = GaugeMetricFamily(
            "pointsman_split_weight", "The weight of a service in a split.", labels=["split", "service"]
        )
        for name, split in self._application.splits.items():
            for service, count in split.requests.items():
                requests.add_metric([name, service], count)
                weight.add_metric([name, service], split.weights[service])
        yield from (requests, weight)

    def _access_log(self) -> Iterator[Metric]:
        log = self._application.access_log
        lines = CounterMetricFamily(
            "pointsman_access_log_lines", "Lines of the access log, by what became of them.", labels=["result"]
        )
        if log is not None:
            lines.add_metric(["written"], log.written)
            lines.add_metric(["dropped"], log.dropped)
            lines.add_metric(["failed"], log.failed)
        yield lines

    def _endpoints(self) -> Iterator[Metric]:
        labels = ["service", "endpoint", "address"]
        healthy = GaugeMetricFamily(
            "pointsman_endpoint_healthy", "1 when the endpoint may take traffic, else 0.", labels=labels
        )
        weight = GaugeMetricFamily("pointsman_endpoint_weight", "Its weight in the registry.", labels=labels)
        in_flight = GaugeMetricFamily("pointsman_endpoint_requests_in_flight", "Requests it has.", labels=labels)
        drained = GaugeMetricFamily(
            "pointsman_endpoint_drained", "1 for each that an operator took out by hand.", labels=labels
        )
        requests = CounterMetricFamily(
            "pointsman_endpoint_requests", "Requests sent to it, retries included.", labels=labels
        )
        failures = CounterMetricFamily(
            "pointsman_endpoint_failures", "How often it failed a request, by what failed.", labels=[*labels, "reason"]
        )
        ejections = CounterMetricFamily(
            "pointsman_ejections", "How often an endpoint was ejected, by what spoke against it.",
            labels=["service", "reason"],
        )  # fmt: skip
        connections = GaugeMetricFamily(
            "pointsman_upstream_connections", "Connections to instances.", labels=["service", "state"]
        )
        panic = GaugeMetricFamily(
            "pointsman_panic", "1 while too few endpoints are healthy and all are used.", labels=["service"]
        )
        for name, service in self._application.services.items():
            idle = open_ = 0
            for endpoint in service.pool.endpoints:
                instance = endpoint.instance
                values = [name, instance.id, instance.authority]
                healthy.add_metric(values, endpoint.pickable)
                weight.add_metric(values, instance.weight)
                if endpoint.drained:
                    drained.add_metric(values, 1)
                in_flight.add_metric(values, endpoint.in_flight)
                requests.add_metric(values, endpoint.requests)
                failures.add_metric([*values, "connect"], endpoint.connect_failures)
                failures.add_metric([*values, "broken"], endpoint.broken)
                failures.add_metric([*values, "timeout"], endpoint.timeouts)
                failures.add_metric([*values, "malformed"], endpoint.malformed)
                failures.add_metric([*values, "5xx"], endpoint.server_errors)
                idle += service.connections[endpoint].idle
                open_ += service.connections[endpoint].open
            for cause, count in service.pool.ejections_by.items():
                ejections.add_metric([name, cause], count)
            connections.add_metric([name, "idle"], idle)
            connections.add_metric([name, "active"], open_ - idle)
            panic.add_metric([name], service.pool.panic)
        yield from (healthy, weight, drained, in_flight, requests, failures, ejections, connections, panic)

    def _discovery(self) -> Iterator[Metric]:
        labels = ["service", "registry"]
        updates = CounterMetricFamily(
            "pointsman_discovery_updates",
            "Answers of the registry, by what became of them; failed counts watches that ended with an error.",
            labels=[*labels, "result"],
        )
        age = GaugeMetricFamily(
            "pointsman_discovery_snapshot_age_seconds", "Since the registry's last good answer.", labels=labels
        )
        stale = GaugeMetricFamily(
            "pointsman_discovery_stale_seconds", "Of that, since a cache that answered was cut off.", labels=labels
        )
        instances = GaugeMetricFamily("pointsman_discovery_instances", "Instances in force.", labels=labels)
        index = GaugeMetricFamily(
            "pointsman_discovery_index", "The registry's own index of the set in force, where that is a number.",
            labels=labels,
        )  # fmt: skip
        superseded = CounterMetricFamily(
            "pointsman_discovery_superseded", "Answers that a later one overtook within 50 ms.", labels=labels
        )
        reconnects = CounterMetricFamily(
            "pointsman_discovery_reconnects", "How often the watch was begun again.", labels=labels
        )
        unreadable = CounterMetricFamily(
            "pointsman_discovery_unreadable", "Registered entries left out as unreadable.", labels=labels
        )
        held = GaugeMetricFamily(
            "pointsman_discovery_held", "1 while an answer that lost too many instances is held back.", labels=labels
        )
        kept = GaugeMetricFamily(
            "pointsman_discovery_kept", "Instances in force that the answer held back does not name.", labels=labels
        )
        stored = GaugeMetricFamily(
            "pointsman_discovery_stored", "1 while the set in force is what an earlier process stored.", labels=labels
        )
        delays = HistogramMetricFamily(
            "pointsman_discovery_publication_delay_seconds",
            "From the arrival of an answer that changed something until requests are routed by it.",
            labels=labels,
        )
        bounds = [*map(str, DELAY_BOUNDS), "+Inf"]
        now = time.monotonic()
        for name, service in self._application.services.items():
            for source in service.sources:
                keeper, values = source.keeper, [name, source.name]
                for result, count in keeper.updates.items():
                    updates.add_metric([*values, result], count)
                if keeper.last_answer is not None and source.kind != "static":  # which never needs to answer again
                    age.add_metric(values, now - keeper.last_answer)
                stale.add_metric(values, keeper.current.age if keeper.current else 0)
                instances.add_metric(values, len(keeper.current.instances) if keeper.current else 0)
                if keeper.current is not None and keeper.current.index.isdecimal() and keeper.current.index.isascii():
                    index.add_metric(values, int(keeper.current.index[:_LONGEST_INDEX]))
                superseded.add_metric(values, keeper.superseded)
                reconnects.add_metric(values, keeper.reconnects)
                unreadable.add_metric(values, keeper.unreadable_total)
                held.add_metric(values, keeper.held_since is not None)
                kept.add_metric(values, keeper.kept)
                stored.add_metric(values, keeper.stored)
                counts = accumulate(keeper.delays.buckets)
                delays.add_metric(values, list(zip(bounds, counts, strict=True)), keeper.delays.total)
        yield from (
            updates,
            superseded,
            age,
            stale,
            index,
            instances,
            reconnects,
            unreadable,
            held,
            kept,
            stored,
            delays,
        )
        writes = CounterMetricFamily(
            "pointsman_state_writes", "Files of state_dir, by what became of them.", labels=["result"]
        )
        state = self._application.state
        if state is not None:
            writes.add_metric(["written"], state.written)
            writes.add_metric(["failed"], state.failed)
        yield writes

    def _catalogs(self) -> Iterator[Metric]:
        whole, now = self._application.catalogs, time.monotonic()
        routes = GaugeMetricFamily("pointsman_catalog_routes", "Routes in the table.", labels=["catalog"])
        services = GaugeMetricFamily("pointsman_catalog_services", "Services made of it.", labels=["catalog"])
        left_out = GaugeMetricFamily(
            "pointsman_catalog_left_out", "What its entries ask for and do not get.", labels=["catalog"]
        )
        age = GaugeMetricFamily(
            "pointsman_catalog_age_seconds", "Since its last good list of services.", labels=["catalog"]
        )
        updates = CounterMetricFamily(
            "pointsman_catalog_updates", "Lists of services, by what became of them.", labels=["catalog", "result"]
        )
        leaving = GaugeMetricFamily("pointsman_services_leaving", "Services gone whose last requests are under way.")
        counts = Counter(entry.catalog for entry in whole.entries)
        for catalog in whole.catalogs:
            routes.add_metric([catalog.name], counts[catalog.name])
            services.add_metric([catalog.name], sum(1 for _ in catalog.services))
            left_out.add_metric([catalog.name], sum(1 for _ in catalog.left_out))
            if catalog.last_answer is not None:
                age.add_metric([catalog.name], now - catalog.last_answer)
            for result, count in catalog.updates.items():
                updates.add_metric([catalog.name, result], count)
        leaving.add_metric([], len(whole.leaving))
        yield from (routes, services, left_out, age, updates, leaving)

    def _configuration(self) -> Iterator[Metric]:
        reloader = self._application.reloader
        reloads = CounterMetricFamily(
            "pointsman_config_reloads", "Reloads of the configuration, by what became of them.", labels=["result"]
        )
        for result, count in reloader.counts.items():
            reloads.add_metric([result], count)
        yield reloads
        last = reloader.last
        yield GaugeMetricFamily(
            "pointsman_config_last_reload_success",
            "0 when the last reload was refused, else 1.",
            value=last is None or last.result != REFUSED,
        )
        yield GaugeMetricFamily(
            "pointsman_config_last_reload_timestamp_seconds",
            "When it was last read, at the start or for a reload, refused or not; seconds since 1970.",
            value=last.time if last else reloader.since,
        )
        digest = reloader.loaded.text_hash if reloader.loaded else ""
        yield InfoMetricFamily("pointsman_config", "The configuration at work.", value={"hash": digest})
