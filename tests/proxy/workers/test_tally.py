"""What several applications have counted, summed up in another one that is scraped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.http.places import PlaceLimits, Places
from proxy.metrics import Collector
from proxy.tcp.counts import Counts
from proxy.workers.counted import KINDS
from proxy.workers.tally import Reporter, Totals, read
from tests.proxy.edge.test_basic_auth import ANN
from tests.proxy.running import instance, running, until
from tests.proxy.test_reload import at_work, configuration, write
from tests.proxy.test_tls import issue
from tests.proxy.workers.counting import (
    DISCOVERY,
    SMALL,
    application,
    endpoint,
    fill,
    follow,
    primes,
    samples,
    stop,
    tell,
    web,
)

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.application import Application

# What metrics show of the control process itself, and not of what workers count. A metric that is in neither of the
# two has no place yet: see proxy/workers/counted.py.
OWN = {
    "pointsman_build",
    "pointsman_certificate_expiry_seconds",
    "pointsman_certificate_changes",
    "pointsman_split_weight",
    "pointsman_acme_orders",
    "pointsman_acme_certificate_end_seconds",
    "pointsman_acme_failures",
    "pointsman_endpoint_healthy",
    "pointsman_endpoint_weight",
    "pointsman_endpoint_drained",
    "pointsman_ejections",
    "pointsman_panic",
    "pointsman_discovery_updates",
    "pointsman_discovery_snapshot_age_seconds",
    "pointsman_discovery_stale_seconds",
    "pointsman_discovery_instances",
    "pointsman_discovery_index",
    "pointsman_discovery_superseded",
    "pointsman_discovery_reconnects",
    "pointsman_discovery_unreadable",
    "pointsman_discovery_held",
    "pointsman_discovery_kept",
    "pointsman_discovery_stored",
    "pointsman_discovery_publication_delay_seconds",
    "pointsman_state_writes",
    "pointsman_catalog_routes",
    "pointsman_catalog_services",
    "pointsman_catalog_left_out",
    "pointsman_catalog_age_seconds",
    "pointsman_catalog_updates",
    "pointsman_services_leaving",
    "pointsman_config_reloads",
    "pointsman_config_last_reload_success",
    "pointsman_config_last_reload_timestamp_seconds",
    "pointsman_config",
    "pointsman_takeovers",
    "pointsman_takeover_under_way",
    "pointsman_takeover_generation",
    "pointsman_takeover_duration_seconds",
    "pointsman_users_file_bad",
    "pointsman_users_file_reads",
    "pointsman_workers",
    "pointsman_worker_restarts",
    "pointsman_worker_report_age_seconds",
    "pointsman_worker_requests",
}


def everything(folder: Path) -> dict[str, Any]:
    """Return a configuration with all that counts."""
    (folder / "users").write_bytes(ANN)
    limit = {"requests": 100, "per": "1s"}
    guards = {"rate_limit": limit, "deny": ["10.9.0.0/16"]}
    auth = {"basic_auth": {"file": "users"}, "forward_auth": {"service": "other"}}
    return {
        "listeners": [
            {"bind": "127.0.0.1:0", "proxy_protocol": ["10.0.0.0/8"], **guards},
            {"bind": "127.0.0.1:0", "tls": {"certificates": [issue(folder, "shop.test")]}},
            {"bind": "127.0.0.1:9", "tcp": {"service": "raw"}},
        ],
        "routes": [
            {"path": "/a", "service": "web", "mirror": {"service": "other"}, **guards, **auth},
            {"path": "/a", "methods": ["GET"], "service": "web", **guards},
            {"split": "both"},
        ],
        "splits": {"both": {"services": {"web": 90, "other": 10}}},
        "services": {"web": {**DISCOVERY, "limits": {"in_flight": 9}}, "other": DISCOVERY, "raw": DISCOVERY},
        "access_log": {"path": str(folder / "access.log")},
    }


@pytest.fixture
async def three(tmp_path: Path) -> Any:
    """Yield a control process and two workers with all that counts."""
    config = everything(tmp_path)
    made = [application(tmp_path, config) for _ in range(3)]
    for service in ("web", "other", "raw"):
        follow(["a", "b"], *made, service=service)
    yield made
    for one in made:
        await stop(one)


async def test_every_metric_is_a_total_or_the_control_process_own(three: list[Application]) -> None:
    control, first, second = three
    totals, numbers = Totals(), primes()
    before = samples(control)
    for number, worker in enumerate((first, second)):
        fill(worker, numbers)
        tell(totals, number, Reporter(), worker)
    totals.write(control)
    of_first, of_second, shown = samples(first), samples(second), samples(control)
    by_time = "pointsman_certificate_expiry_seconds"
    summed = {key for key in shown if shown[key] != before.get(key) and key[0] != by_time}
    assert {key: shown[key] for key in summed} == {key: of_first[key] + of_second[key] for key in summed}
    assert not shown.keys() - of_first.keys()
    families = {family: _is_a_total(family, summed) for family in _families(control)}
    assert {family for family, is_total in families.items() if not is_total} == OWN


def _families(control: Application) -> list[str]:
    return [family.name for family in Collector(control).collect()]


def _is_a_total(family: str, summed: set[Any]) -> bool:
    names = {family, *(f"{family}_{ending}" for ending in ("total", "bucket", "sum", "count"))}
    return any(name in names for name, _ in summed)


async def test_every_number_of_the_table_is_told_and_written(three: list[Application]) -> None:
    control, worker, _ = three
    counted = fill(worker, primes())
    assert {key[0] for key in counted} == KINDS.keys()
    totals = Totals()
    tell(totals, 1, Reporter(), worker)
    totals.write(control)
    shown = read(control)
    for key, values in counted.items():
        # How many wait, or are copied, decides about the next one, so there only what is here is read.
        own = 1 if key[0] in ("places", "copies") else 0
        assert shown[key][own:] == values[own:], key
    assert shown.keys() == counted.keys()


async def test_real_requests_of_two_workers_are_summed(tmp_path: Path) -> None:
    async with instance("a") as address:
        services = {"web": {"discovery": {"static": [address]}}}
        config = {"listeners": [{"bind": "127.0.0.1:0"}], "routes": [{"path": "/web", "service": "web"}]}
        control = application(tmp_path, {**config, "services": services})
        totals = Totals()
        async with running({**config, "services": services}) as one, running({**config, "services": services}) as other:
            for pointsman in (one, other):
                await until(lambda: not one.application.unready() and not other.application.unready())
                assert (await pointsman.get("/web"))[0] == 200
            assert (await one.get("/web"))[0] == 200
            assert (await one.get("/nowhere"))[0] == 404
            snapshot = web(one.application).sources[0].keeper.current
            assert snapshot is not None
            web(control).follow(snapshot)
            for number, pointsman in enumerate((one, other)):
                tell(totals, number, Reporter(), pointsman.application)
            totals.write(control)
            shown = {(name, *dict(labels).values()): value for (name, labels), value in samples(control).items()}
        await control.stop()
    assert shown["pointsman_requests_total", "web", "2xx"] == 3
    assert shown["pointsman_request_duration_seconds_count", "web"] == 3
    assert shown["pointsman_requests_refused_total", "127.0.0.1:0"] == 1
    assert shown["pointsman_downstream_connections", "127.0.0.1:0"] == 2
    assert shown["pointsman_endpoint_requests_total", "web", address, address] == 3
    assert shown["pointsman_upstream_connections", "web", "idle"] == 2
    assert shown["pointsman_upstream_connections", "web", "active"] == 0
    assert totals.requests == {0: 2, 1: 1}


class Pair:
    """A control process and two workers with one endpoint; each tells what has changed."""

    def __init__(self, folder: Path) -> None:
        self.control, self.first, self.second = (application(folder) for _ in range(3))
        self.totals = Totals()
        self.reporters = {1: Reporter(), 2: Reporter()}
        follow(["a"], self.control, self.first, self.second)

    def told(self) -> Application:
        for number, worker in ((1, self.first), (2, self.second)):
            if number in self.reporters:
                tell(self.totals, number, self.reporters[number], worker)
        self.totals.write(self.control)
        return self.control


@pytest.fixture
async def pair(tmp_path: Path) -> Any:
    found = Pair(tmp_path)
    yield found
    for one in (found.control, found.first, found.second):
        await one.stop()


async def test_what_a_dead_worker_counted_stays_and_what_it_had_under_way_ends(pair: Pair) -> None:
    for worker, requests in ((pair.first, 5), (pair.second, 7)):
        web(worker).traffic.in_flight = endpoint(worker).in_flight = 1
        endpoint(worker).requests = requests
        web(worker).connections[endpoint(worker)].open = 2
        web(worker).traffic.ended(200, 0.5)
    control = pair.told()
    assert (endpoint(control).requests, endpoint(control).in_flight) == (12, 2)
    pair.totals.ended(1)
    del pair.reporters[1]
    pair.told()
    assert (endpoint(control).requests, endpoint(control).in_flight) == (12, 1)
    assert (web(control).traffic.in_flight, web(control).connections[endpoint(control)].open) == (1, 2)
    assert (web(control).traffic.by_class[2], web(control).traffic.latency_sum) == (2, 1.0)


async def test_the_next_one_goes_on_where_a_dead_worker_stopped(pair: Pair, tmp_path: Path) -> None:
    endpoint(pair.first).requests, endpoint(pair.second).requests = 5, 7
    web(pair.first).traffic.by_class[2] = 5
    pair.told()
    pair.totals.ended(1)
    again = application(tmp_path)
    follow(["a"], again)
    pair.first, pair.reporters[1] = again, Reporter()
    assert endpoint(pair.told()).requests == 12
    endpoint(again).requests = web(again).traffic.by_class[2] = 3
    assert endpoint(pair.told()).requests == 15
    assert pair.totals.requests[1] == 8
    await again.stop()


async def test_a_control_process_made_anew_is_told_everything(pair: Pair, tmp_path: Path) -> None:
    endpoint(pair.first).requests, endpoint(pair.second).requests = 5, 7
    pair.told()
    control, totals = application(tmp_path), Totals()
    follow(["a"], control)
    for number, worker in ((1, pair.first), (2, pair.second)):
        pair.reporters[number].forget()
        tell(totals, number, pair.reporters[number], worker)
    totals.write(control)
    assert endpoint(control).requests == 12
    await control.stop()


async def test_only_what_has_changed_is_told(pair: Pair) -> None:
    reporter = pair.reporters[1]
    assert reporter.report(pair.first) == ({}, ())
    endpoint(pair.first).requests = 1
    web(pair.first).traffic.in_flight = 1
    changed, gone = reporter.report(pair.first)
    assert (set(changed), gone) == ({("service", "web"), ("endpoint", "web", "a", "10.0.0.1:80")}, ())
    assert reporter.report(pair.first) == ({}, ())
    web(pair.first).traffic.in_flight = 0
    assert set(reporter.report(pair.first)[0]) == {("service", "web")}


async def test_a_failure_is_told_when_its_request_ends(pair: Pair) -> None:
    one = endpoint(pair.first)
    one.requests, one.in_flight = 1, 1
    pair.told()
    one.server_errors, one.in_flight = 1, 0
    assert endpoint(pair.told()).server_errors == 1


async def test_an_endpoint_that_left_takes_its_counters_along(pair: Pair) -> None:
    follow(["a", "b"], pair.control, pair.first, pair.second)
    endpoint(pair.first, "b").requests, endpoint(pair.first).requests = 4, 1
    assert endpoint(pair.told(), "b").requests == 4
    follow(["a"], pair.control, pair.first, pair.second)
    pair.told()
    follow(["a", "b"], pair.control, pair.first, pair.second)
    assert endpoint(pair.told(), "b").requests == 0
    endpoint(pair.second, "b").requests = 2
    assert endpoint(pair.told(), "b").requests == 2
    assert endpoint(pair.control).requests == 1


async def test_an_endpoint_at_another_address_is_another_one(pair: Pair) -> None:
    endpoint(pair.first).requests = 4
    pair.told()
    follow(["a"], pair.control, port=81)
    assert endpoint(pair.told()).requests == 0  # the workers have the old one still
    follow(["a"], pair.first, pair.second, port=81)
    endpoint(pair.first).requests = 1
    assert endpoint(pair.told()).requests == 1


async def test_nothing_is_kept_of_what_is_not_there(pair: Pair) -> None:
    for number in range(50):
        follow([f"i{number}"], pair.control, pair.first, pair.second)
        endpoint(pair.first, f"i{number}").requests = 1
        pair.told()
    sizes = [len(pair.totals._totals), *map(len, pair.totals._of.values())]
    assert max(sizes) <= len(read(pair.control))


async def test_requests_of_a_drained_endpoint_that_left_are_seen_to_the_end(pair: Pair) -> None:
    for worker in (pair.first, pair.second):
        endpoint(worker).in_flight = endpoint(worker).requests = 1
    pair.told()
    for one in (pair.control, pair.first, pair.second):
        web(one).drain(endpoint(one), "by an operator")
    gone = endpoint(pair.first)
    follow([], pair.control, pair.first, pair.second)
    away = web(pair.told()).pool.drains.away["a"]
    assert away.in_flight == 2
    gone.in_flight = 0
    pair.told()
    assert away.in_flight == 1


async def test_a_service_that_leaves_is_there_until_its_last_request_has_ended_in_all_workers(pair: Pair) -> None:
    left = {}
    for one in (pair.control, pair.first, pair.second):
        web(one).traffic.in_flight = 0 if one is pair.control else 1
    pair.told()
    for one in (pair.control, pair.first, pair.second):
        left[one] = one.services.pop("web")
        one.catalogs.leave(left[one])
    pair.told()
    assert left[pair.control].traffic.in_flight == 2
    left[pair.first].traffic.in_flight = 0
    pair.first.catalogs.leaving.clear()
    pair.told()
    assert left[pair.control].traffic.in_flight == 1
    pair.totals.ended(2)
    del pair.reporters[2]
    pair.told()
    assert left[pair.control].traffic.in_flight == 0


async def test_a_service_that_leaves_while_another_one_has_its_name_does_not_stay(pair: Pair, tmp_path: Path) -> None:
    web(pair.first).traffic.in_flight = 1
    pair.told()
    fresh = application(tmp_path)
    before, pair.control.services["web"] = web(pair.control), web(fresh)
    pair.control.catalogs.leave(before)
    pair.told()
    assert before.traffic.in_flight == 0
    assert web(pair.control).traffic.in_flight == 1
    await fresh.stop()


async def test_a_listener_that_is_gone_waits_for_no_clients_of_workers(pair: Pair) -> None:
    listener = pair.control.listeners[0]
    listener.clients_elsewhere = 3
    pair.control.let_go(listener)
    pair.told()
    assert listener.clients == 0


async def test_what_a_worker_made_anew_goes_on_counting(pair: Pair) -> None:
    for one in (pair.control, pair.first, pair.second):
        web(one).places = Places(PlaceLimits(1))
    first, control = web(pair.first).places, web(pair.control).places
    assert first is not None
    assert control is not None
    first.refused = 3
    pair.told()
    web(pair.first).places = again = Places(PlaceLimits(1))
    again.refused = 1
    pair.told()
    assert control.refused == 4


async def test_what_the_control_process_made_anew_begins_with_the_totals(pair: Pair) -> None:
    for worker in (pair.first, pair.second):
        web(worker).places = Places(PlaceLimits(1))
        web(worker).places.refused = 3  # type: ignore[union-attr]
    web(pair.control).places = Places(PlaceLimits(1))
    pair.told()
    web(pair.control).places = again = Places(PlaceLimits(1))
    pair.told()
    assert again.refused == 6


async def test_connections_made_anew_begin_with_what_there_is(pair: Pair) -> None:
    one, shown = endpoint(pair.first), endpoint(pair.control)
    web(pair.first).connections[one].open = 3
    web(pair.first).connections[one].raw = raw = Counts()
    raw.begun = 2
    web(pair.first).traffic.raw = web(pair.control).traffic.raw = None
    pair.told()
    assert web(pair.control).connections[shown].open == 3
    for place in (pair.control, pair.first):
        web(place).connections[endpoint(place)] = type(web(place).connections[endpoint(place)])(
            endpoint(place).instance, web(place)._options
        )
    web(pair.first).connections[one].open = 1
    pair.told()
    assert web(pair.control).connections[shown].open == 1


async def test_a_reload_keeps_the_totals_of_what_stays(tmp_path: Path) -> None:
    async with instance("a") as a:
        config = configuration(a, splits={"both": {"services": {"web": 1, "other": 0}}})
        config["services"]["other"] = {"discovery": {"static": [a]}}
        config["routes"] = [{"path": "/web", "deny": ["10.0.0.0/8"], "service": "web"}, {"split": "both"}]
        async with at_work(tmp_path, config) as control, at_work(tmp_path, None) as one, at_work(tmp_path, None) as two:
            totals, reporters = Totals(), (Reporter(), Reporter())

            def told() -> dict[tuple[str, ...], float]:
                for number, worker in enumerate((one, two)):
                    tell(totals, number, reporters[number], worker.application)
                totals.write(control.application)
                shown = samples(control.application)
                return {(name, *dict(labels).values()): value for (name, labels), value in shown.items()}

            for pointsman in (one, two):
                assert (await pointsman.get("/web"))[0] == 200
                assert (await pointsman.get("/split"))[0] == 200
            before = told()
            config["services"]["third"] = {"discovery": {"static": [a]}}
            config["services"]["web"] |= {"limits": {"in_flight": 5}}
            config["splits"]["both"]["services"]["third"] = 1
            config["routes"][0]["methods"] = ["GET"]
            del config["services"]["other"], config["splits"]["both"]["services"]["other"]
            write(tmp_path, config)
            for pointsman in (one, control, two):  # one after the other, as real ones do
                outcome = await pointsman.application.reloader.reload("a test")
                assert outcome.result == "applied"
                during = told()
                assert during["pointsman_requests_total", "web", "2xx"] == 4
            after = told()
            for name, *labels in before:
                if "web" in labels and name.endswith(("_total", "_sum", "_count")) and "mirrored" not in name:
                    assert after[(name, *labels)] == before[(name, *labels)], (name, labels)
            assert after["pointsman_split_requests_total", "both", "web"] == 2
            assert after["pointsman_split_requests_total", "both", "third"] == 0
            assert not [key for key in after if "other" in key]
            assert (await one.get("/web"))[0] == 200
            assert told()["pointsman_requests_total", "web", "2xx"] == 5


async def test_the_admin_api_shows_totals(tmp_path: Path) -> None:
    services = {"web": {"discovery": {"static": ["127.0.0.1:9"]}, "limits": {"in_flight": 1}}}
    async with running({"services": services}) as control:
        await until(lambda: not control.application.unready())
        totals = Totals()
        for number in (1, 2):
            worker = application(tmp_path, {**SMALL, "services": services})
            snapshot = web(control.application).sources[0].keeper.current
            assert snapshot is not None
            web(worker).follow(snapshot)
            fill(worker, lambda: 3)
            tell(totals, number, Reporter(), worker)
            await stop(worker)
        totals.write(control.application)
        _, shown = await control.admin("/api/v1/services/web")
    assert (shown["in_flight"], shown["queued"], shown["tunnels"]) == (6, 6, 6)
    (one,) = shown["endpoints"]
    assert one["connections"] == {"open": 6, "idle": 6}
    names = ("in_flight", "requests", "connect_failures", "broken", "timeouts", "malformed", "server_errors")
    assert {one[name] for name in names} == {6}
    assert one["state"] == "healthy"


async def test_the_pace_of_probes_is_told_of_requests_elsewhere(pair: Pair) -> None:
    control = pair.told()
    before = web(control).traffic.requests
    web(pair.first).traffic.ended(200, 0.1)
    web(pair.second).traffic.in_flight = 1
    assert web(pair.told()).traffic.requests == before + 2
