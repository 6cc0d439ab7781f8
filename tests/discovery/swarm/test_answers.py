"""The Swarm registry against a scripted manager, whose tasks change as fast as the test likes."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from discovery.registry import RegistryError
from discovery.swarm import SwarmRegistry, registry
from tests.discovery.engine.scripted import ScriptedEngine, scripted
from tests.discovery.watching import first, has, ids, only, until, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from discovery.instance import Snapshot

LONG = 60.0  # seconds; an interval in which no look falls


def service(name: str = "web", **labels: str) -> dict[str, Any]:
    said = {f"pointsman.{key}": value for key, value in {"port": "80", **labels}.items()}
    return {"ID": f"id-{name}", "Spec": {"Name": name, "Labels": said}, "Endpoint": {"Spec": {"Mode": "vip"}}}


def task(name: str, of: str = "web", address: str = "10.0.0.5/24", **more: Any) -> dict[str, Any]:
    network = {"Network": {"Spec": {"Name": "backend"}}, "Addresses": [address]}
    return {
        "ID": name,
        "ServiceID": f"id-{of}",
        "Slot": 1,
        "Status": {"State": "running"},
        "DesiredState": "running",
        "NetworksAttachments": [network],
        **more,
    }


def hint(kind: str = "service", name: str = "web", **attributes: str) -> bytes:
    told = {"Type": kind, "Action": "update", "Actor": {"ID": "x", "Attributes": {"name": name, **attributes}}}
    return json.dumps({**told, "timeNano": time.time_ns()}).encode() + b"\n"


@asynccontextmanager
async def watched(folder: Path, *tasks: dict[str, Any], **options: Any) -> AsyncIterator[tuple[ScriptedEngine, Any]]:
    name = options.pop("name", "web")
    async with scripted(folder, timeout=options.pop("timeout", 5.0)) as (engine, where):
        engine.answers.update({"/services": [service()], "/tasks": list(tasks), "/networks": [], "/nodes": []})
        async with watching(SwarmRegistry(where, **{"interval": LONG, **options}), name) as watch:
            yield engine, watch


def named(*tasks: str) -> Any:
    return has(*(f"web.1.{name}" for name in tasks))


async def test_the_services_and_their_tasks_are_asked_for(tmp_path: Path):
    async with watched(tmp_path, task("a"), task("b", "other"), labels={"team": "x"}) as (engine, watch):
        engine.answers["/services"] = [service(), service("web-admin")]
        snapshot = await first(watch)
        assert named("a")(snapshot)  # b is of a service that was not asked for
        assert [path for path, _ in engine.questions] == ["/_ping", "/events", "/services", "/tasks"]
        (asked,) = engine.asked("/services")
        assert json.loads(asked["filters"]) == {"name": ["web"], "label": ["team=x"]}
        (asked,) = engine.asked("/tasks")
        assert json.loads(asked["filters"]) == {"service": ["id-web"]}


@pytest.mark.parametrize(
    ("kind", "name", "attributes"),
    [
        ("service", "web", {}),
        ("node", "node1", {}),
        ("container", "x", {"com.docker.swarm.service.name": "web"}),
    ],
)
async def test_after_a_hint_the_tasks_are_looked_at_often(
    tmp_path: Path, kind: str, name: str, attributes: dict[str, str]
):
    """What a hint tells of comes to be seconds after it."""
    async with watched(tmp_path) as (engine, watch):
        await first(watch)
        engine.tell(hint("service", "other"), hint("container", "other"), hint(kind, name, **attributes))
        looks = [await first(watch) for _ in range(3)]
        assert all(not look.instances for look in looks)
        engine.answers["/tasks"] = [task("a")]
        await until(watch, named("a"))


async def test_a_hint_on_another_service_is_none(tmp_path: Path):
    async with watched(tmp_path) as (engine, watch):
        await first(watch)
        other = {"com.docker.swarm.service.name": "other"}
        engine.tell(hint("service", "other"), hint("container", "x", **other), hint("container", "web"))
        waiting = asyncio.ensure_future(first(watch))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        engine.tell(hint())
        await waiting


async def test_quick_looks_end_when_nothing_changes_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "QUICK", 0.02)
    monkeypatch.setattr(registry, "QUICKLY_FOR", 0.2)
    async with watched(tmp_path) as (engine, watch):
        await first(watch)
        engine.tell(hint())
        await first(watch)
        looking = asyncio.ensure_future(until(watch, named("never")))
        await asyncio.wait([looking], timeout=0.6)
        looks = len(engine.asked("/tasks"))
        await asyncio.wait([looking], timeout=0.3)
        assert len(engine.asked("/tasks")) == looks
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def test_without_a_hint_they_are_looked_at_now_and_then(tmp_path: Path):
    async with watched(tmp_path, interval=0.1) as (engine, watch):
        await first(watch)
        engine.answers["/tasks"] = [task("a")]
        assert (await until(watch, named("a"))).continuous


async def test_ten_thousand_changes_in_disorder_end_in_the_true_set(tmp_path: Path):
    """A real Swarm needs a second to start a task and three to end one; no test has time for ten thousand."""
    source = random.Random(7)
    tasks: dict[str, dict[str, Any]] = {}
    snapshots: list[Snapshot] = []
    async with watched(tmp_path) as (engine, watch):
        await first(watch)

        async def churn() -> None:
            for number in range(10_000):
                name = f"t{source.randrange(200)}"
                if name in tasks and source.random() < 0.6:
                    del tasks[name]
                else:
                    tasks[name] = task(name, address=f"10.0.{number // 250}.{number % 250}/16")
                if number % 20 == 0:
                    engine.answers["/tasks"] = list(tasks.values())
                    engine.tell(hint())
                    await asyncio.sleep(0)
            tasks["last"] = task("last")
            engine.answers["/tasks"] = list(tasks.values())
            engine.tell(hint())

        churning = asyncio.ensure_future(churn())
        while not snapshots or "web.1.last" not in ids(snapshots[-1]):
            snapshots.append(await first(watch))
        await churning
    truth = {f"web.1.{one['ID']}": one["NetworksAttachments"][0]["Addresses"][0] for one in tasks.values()}
    assert {one.id: f"{one.address}/16" for one in snapshots[-1].instances if one.id != "web.1.last"} == {
        name: address for name, address in truth.items() if name != "web.1.last"
    }
    assert len(truth) > 50


async def test_a_service_that_is_removed_between_two_questions_is_gone(tmp_path: Path):
    async with watched(tmp_path, task("a")) as (engine, watch):
        await first(watch)

        def removed() -> web.Response:
            engine.answers["/services"] = []
            return web.json_response({"message": "service id-web not found"}, status=404)

        engine.answers["/tasks"] = removed
        engine.tell(hint())
        assert not (await first(watch)).instances


async def test_all_services_with_some_labels(tmp_path: Path):
    async with watched(tmp_path, task("a"), task("b", "shop"), by_name=False, labels={"team": "x", "y": ""}) as (
        engine,
        watch,
    ):
        engine.answers["/services"] = [service(weight="3"), service("shop"), service("bad", port="http")]
        snapshot = await first(watch)
        assert [(one.id, one.weight) for one in snapshot.instances] == [("shop.1.b", 1), ("web.1.a", 3)]
        assert snapshot.unreadable[0].startswith("bad: the label pointsman.port must be a whole number")
        (asked,) = engine.asked("/services")
        assert json.loads(asked["filters"]) == {"label": ["team=x", "y"]}


async def test_a_virtual_address_that_one_of_several_services_lacks_is_named(tmp_path: Path):
    async with watched(tmp_path, mode="vip", by_name=False, labels={"team": "x"}) as (engine, watch):
        engine.answers["/networks"] = [{"Id": "n1", "Name": "backend"}]
        good = service()
        good["Endpoint"]["VirtualIPs"] = [{"NetworkID": "n1", "Addr": "10.0.0.2/24"}]
        engine.answers["/services"] = [good, service("bad")]
        snapshot = await first(watch)
        assert only(snapshot).authority == "10.0.0.2:80"
        assert snapshot.unreadable == ("bad: it has no virtual address on any network but ingress",)


async def test_a_service_that_has_no_virtual_address_yet_is_named_until_it_has_one(tmp_path: Path):
    async with watched(tmp_path, mode="vip") as (engine, watch):
        engine.answers["/networks"] = [{"Id": "n1", "Name": "backend"}]
        snapshot = await first(watch)
        assert (snapshot.instances, snapshot.unreadable) == (
            (),
            ("web: it has no virtual address on any network but ingress",),
        )
        engine.answers["/services"][0]["Endpoint"]["VirtualIPs"] = [{"NetworkID": "n1", "Addr": "10.0.0.2/24"}]
        engine.tell(hint())
        assert only(await until(watch, has("web"))).authority == "10.0.0.2:80"


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/services", b"<html>", "the answer is no JSON"),
        ("/services", {}, "the services must be a list of objects, not a mapping"),
        ("/tasks", [[]], "the tasks must be a list of objects"),
        (
            "/tasks",
            [{"ServiceID": "id-web", "Status": {"State": "running"}, "NetworksAttachments": 5}],
            "Attachments must",
        ),
        (
            "/services",
            web.json_response({"message": "This node is not a swarm manager. Worker nodes can't"}, status=503),
            "HTTP 503: This node is not a swarm manager.*; name the engine of a manager node",
        ),
        (
            "/services",
            web.json_response({"message": "rpc error: The swarm does not have a leader"}, status=500),
            "HTTP 500: rpc error: The swarm does not have a leader",
        ),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error(tmp_path: Path, path: str, answer: Any, said: str):
    async with watched(tmp_path) as (engine, watch):
        engine.answers[path] = answer
        with pytest.raises(RegistryError, match=f"Docker at unix://.*{said}"):
            await first(watch)


async def test_too_many_tasks_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "TASK_LIMIT", 2)
    async with watched(tmp_path, task("a"), task("b"), task("c")) as (_, watch):
        with pytest.raises(RegistryError, match="there are more than 2 tasks of this service"):
            await first(watch)


async def test_a_task_that_makes_no_sense_is_named_and_the_others_are_used(tmp_path: Path):
    async with watched(tmp_path, task("a"), task("b", address="nonsense"), task("c", Status=5)) as (_, watch):
        snapshot = await first(watch)
        assert named("a")(snapshot)
        assert snapshot.unreadable == ("web.1.b: its address nonsense makes no sense",)
