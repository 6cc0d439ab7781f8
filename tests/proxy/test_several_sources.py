"""One service whose instances are found in several registries."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import parse
from proxy.assemble.checks import CHECKS
from tests.proxy.running import Running, instance, running, until


async def answers(pointsman: Running, requests: int = 100) -> Counter[str]:
    return Counter([(await pointsman.get())[1] for _ in range(requests)])


async def reweigh(pointsman: Running, weights: object, service: str = "web", **headers: str) -> tuple[int, Any]:
    url = f"{pointsman.admin_url}/api/v1/services/{service}/sources"
    async with pointsman.session.patch(url, data=json.dumps(weights), headers=headers) as response:
        return response.status, await response.json()


async def test_requests_are_shared_by_the_sources_weights_and_moved_live(tmp_path: Path) -> None:
    async with instance("old-1") as one, instance("old-2") as two, instance("new") as new:
        (tmp_path / "new.json").write_text(json.dumps([new]))
        sources = [{"static": [one, two], "weight": 90}, {"file": "new.json", "weight": 10}]
        async with running({"services": {"web": {"discovery": sources}}}, tmp_path) as pointsman:
            await until(lambda: len(pointsman.application.services["web"].pool.candidates) == 3)
            assert await answers(pointsman) == {"old-1": 45, "old-2": 45, "new": 10}
            assert (await reweigh(pointsman, {"static": 50, "file": 50}))[0] == 200
            assert await answers(pointsman) == {"old-1": 25, "old-2": 25, "new": 50}
            _, shown = await reweigh(pointsman, {"static": 0})
            assert await answers(pointsman) == {"new": 100}
            assert [(one["source"], one["weight"], one["priority"]) for one in shown["sources"]] == [
                ("static", 0, 0),
                ("file", 50, 0),
            ]
            assert (await reweigh(pointsman, {"static": 100, "file": 0}))[0] == 200
            assert await answers(pointsman) == {"old-1": 50, "old-2": 50}
            _, body = await pointsman.admin("/api/v1/events")
            events = [event["reason"] for event in body["events"] if event["kind"] == "reweighed"]
            assert events[-1] == "the weights of sources were set: static 100, file 0"


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ({"consul": 1}, "there is no source 'consul'; there are: static, static-2"),
        ({"static": 1001}, "the body must be an object of weights, whole numbers from 0 to 1000"),
        ([1], "the body must be an object of weights, whole numbers from 0 to 1000"),
    ],
)
async def test_weights_that_make_no_sense_change_nothing(weights: object, error: str) -> None:
    sources = [{"static": ["127.0.0.1:9"], "weight": 1}, {"static": ["127.0.0.1:10"], "weight": 1}]
    services = {"web": {"discovery": sources}, "shop": {"discovery": {"static": ["127.0.0.1:9"]}}}
    async with running({"services": services}) as pointsman:
        assert await reweigh(pointsman, weights) == (400, {"error": error})
        one_source = (400, {"error": "it has one source, which gets all requests"})
        assert await reweigh(pointsman, {"static": 1}, "shop") == one_source
        assert (await reweigh(pointsman, {}, "nowhere"))[0] == 404
        url = f"{pointsman.admin_url}/api/v1/services/web/sources"
        for text in ("{", "[" * 50_000):
            async with pointsman.session.patch(url, data=text) as response:
                assert response.status == 400
                assert (await response.json())["error"].startswith("the body is no JSON: ")
        refused = await reweigh(pointsman, {"static": 0}, Origin="http://elsewhere.test")
        assert refused == (403, {"error": "pages of a browser may not do this"})
        _, shown = await pointsman.admin("/api/v1/services/web")
        assert [one["weight"] for one in shown["sources"]] == [1, 1]


async def test_a_later_priority_is_for_when_the_first_is_unwell() -> None:
    state = 200
    async with instance("main", health=lambda: state) as main, instance("backup") as backup:
        sources = [{"static": [main]}, {"static": [backup], "priority": 1}]
        probe = {"http": "/healthz", "interval": "20ms", "timeout": "1s", "fall": 1, "rise": 1}
        services = {"web": {"discovery": sources, "health": {"probe": probe}}}
        async with running({"services": services}) as pointsman:
            await until(lambda: len(pointsman.application.services["web"].pool.endpoints) == 2)
            assert await answers(pointsman, 10) == {"main": 10}
            state = 500
            pool = pointsman.application.services["web"].pool
            await until(lambda: {one.instance.authority for one in pool.candidates} == {backup})
            assert await answers(pointsman, 10) == {"backup": 10}
            state = 200
            await until(lambda: {one.instance.authority for one in pool.candidates} == {main})


async def test_it_is_ready_once_one_has_answered_and_the_others_had_their_chance(tmp_path: Path) -> None:
    sources = [{"file": "missing.json"}, {"file": "missing-too.json"}]
    async with running({"services": {"web": {"discovery": sources}}}, tmp_path) as pointsman:
        service = pointsman.application.services["web"]
        await until(lambda: all(source.keeper.error for source in service.sources))
        assert pointsman.application.unready()[0].startswith("service web: no snapshot from file yet: ")
        (tmp_path / "missing-too.json").write_text('["127.0.0.1:9"]')
        await until(lambda: not pointsman.application.unready())
        _, body = await pointsman.admin("/api/v1/services/web")
        assert [(one["source"], one["instances"]) for one in body["sources"]] == [("file", 0), ("file-2", 1)]
        _, metrics = await pointsman.admin("/metrics")
        assert 'pointsman_discovery_instances{registry="file-2",service="web"} 1.0' in metrics
        _, events = await pointsman.admin("/api/v1/events")
        failed = [event["reason"] for event in events["events"] if event["kind"] == "watch_failed"]
        assert any(reason.startswith("file-2: ") for reason in failed)


def test_a_balancer_that_heeds_no_weights_is_refused_beside_shares() -> None:
    text = """
listeners: [{bind: ":1"}]
routes: [{service: web}]
services: {web: {balancer: random, discovery: [{file: x, weight: 1}, {file: y, weight: 1}]}}
"""
    with pytest.raises(ConfigError, match="random does not heed the weights of the sources; take weighted_round_robin"):
        parse(text, name="test", folder=Path.cwd(), environ={}, checks=CHECKS)
