"""What Prometheus sees."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.proxy.running import Running, instance, running, until

Samples = dict[str, list[tuple[dict[str, str], float]]]


async def scrape(pointsman: Running) -> Samples:
    status, text = await pointsman.admin("/metrics")
    assert status == 200
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("pointsman_")
        assert family.documentation
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return samples


def value(samples: Samples, name: str, **labels: str) -> float:
    found = [number for shown, number in samples[name] if labels.items() <= shown.items()]
    assert len(found) == 1, (name, labels, samples[name])
    return found[0]


async def test_requests_by_service_and_status_class() -> None:
    async with instance("a") as a:
        services = {"web": {"discovery": {"static": [a]}}, "shop": {"discovery": {"static": ["127.0.0.1:9"]}}}
        routes = [{"path": "/shop", "service": "shop"}, {"host": "web.test", "service": "web"}]
        async with running({"services": services, "routes": routes}) as pointsman:
            await until(lambda: not pointsman.application.unready())
            for _ in range(3):
                assert (await pointsman.get(headers={"Host": "web.test"}))[0] == 200
            assert (await pointsman.get("/shop"))[0] == 502
            assert (await pointsman.get("/nowhere"))[0] == 404
            found = await scrape(pointsman)
    assert value(found, "pointsman_requests_total", service="web", code="2xx") == 3
    assert value(found, "pointsman_requests_total", service="web", code="5xx") == 0
    assert value(found, "pointsman_requests_total", service="shop", code="5xx") == 1
    assert value(found, "pointsman_requests_refused_total") == 1
    assert value(found, "pointsman_request_duration_seconds_count", service="web") == 3
    assert 0 < value(found, "pointsman_request_duration_seconds_sum", service="web") < 10
    buckets = [
        number for labels, number in found["pointsman_request_duration_seconds_bucket"] if labels["service"] == "web"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 3
    assert value(found, "pointsman_requests_in_flight", service="web") == 0
    assert value(found, "pointsman_endpoint_requests_total", service="web") == 3
    assert value(found, "pointsman_endpoint_failures_total", service="shop", reason="connect") == 1
    assert value(found, "pointsman_upstream_connections", service="web", state="idle") == 1
    assert value(found, "pointsman_downstream_connections") == 1
    assert value(found, "pointsman_build_info") == 1


async def test_health_and_ejections() -> None:
    async with instance("a") as a, instance("b", health=lambda: 503) as b:
        probe = {"http": "/healthz", "interval": "20ms", "timeout": "1s"}
        services = {"web": {"discovery": {"static": [a, b]}, "health": {"probe": probe, "panic_threshold": "60%"}}}
        async with running({"services": services}) as pointsman:
            await until(lambda: pointsman.application.services["web"].pool.ejections == 1)
            found = await scrape(pointsman)
    assert value(found, "pointsman_endpoint_healthy", endpoint=a) == 1
    assert value(found, "pointsman_endpoint_healthy", endpoint=b) == 0
    assert value(found, "pointsman_ejections_total", service="web", reason="probe") == 1
    assert value(found, "pointsman_panic", service="web") == 1


async def test_series_of_an_instance_that_left_disappear(tmp_path: Path) -> None:
    file = tmp_path / "instances.yaml"
    file.write_text("[127.0.0.1:9001, 127.0.0.1:9002]")
    async with running({"services": {"web": {"discovery": {"file": "instances.yaml"}}}}, tmp_path) as pointsman:
        pool = pointsman.application.services["web"].pool
        await until(lambda: len(pool.endpoints) == 2)
        assert "127.0.0.1:9001" in (await pointsman.admin("/metrics"))[1]
        file.write_text("[127.0.0.1:9002, 127.0.0.1")
        await until(lambda: pointsman.application.services["web"].sources[0].keeper.error)
        file.write_text("[127.0.0.1:9002]")
        await until(lambda: len(pool.endpoints) == 1)
        found = await scrape(pointsman)
        assert "127.0.0.1:9001" not in (await pointsman.admin("/metrics"))[1]
    assert value(found, "pointsman_discovery_updates_total", service="web", registry="file", result="changed") == 2
    assert value(found, "pointsman_discovery_updates_total", service="web", result="failed") == 1
    assert value(found, "pointsman_discovery_instances", service="web") == 1
    assert 0 <= value(found, "pointsman_discovery_snapshot_age_seconds", service="web") < 60


async def test_a_static_set_never_ages() -> None:
    async with running({"services": {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}}) as pointsman:
        await until(lambda: not pointsman.application.unready())
        assert "pointsman_discovery_snapshot_age_seconds" not in await scrape(pointsman)


async def test_a_scraper_may_ask_for_open_metrics() -> None:
    async with running({"services": {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}}) as pointsman:
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with pointsman.session.get(pointsman.admin_url + "/metrics", headers=accept) as response:
            assert response.content_type == "application/openmetrics-text"
            assert (await response.text()).endswith("# EOF\n")


async def test_the_documentation_names_every_metric_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "admin_api.md").read_text()
    documented = set(re.findall(r"`(pointsman_\w+)`", page)) | {"pointsman_downstream_connections_accepted_total"}
    services = {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}
    async with running({"services": services}) as pointsman:
        await until(lambda: not pointsman.application.unready())
        text = (await pointsman.admin("/metrics"))[1]
    present = set()
    for family in text_string_to_metric_families(text):
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        present.add(family.name.removesuffix(suffix) + suffix)
    assert present | {"pointsman_discovery_snapshot_age_seconds"} == documented


@pytest.mark.parametrize(
    ("index", "shown"), [("18446744073709551615", 2.0**64), ("abc", None), ("", None), ("\u0663", None)]
)
async def test_an_index_that_is_a_number_is_shown(index: str, shown: float | None) -> None:
    async with running({"services": {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}}) as pointsman:
        await until(lambda: not pointsman.application.unready())
        guard = pointsman.application.services["web"].sources[0].keeper._guard
        assert guard.current is not None
        guard.current = dataclasses.replace(guard.current, index=index)
        found = await scrape(pointsman)
    if shown is None:
        assert "pointsman_discovery_index" not in found
    else:
        assert value(found, "pointsman_discovery_index", service="web") == shown
