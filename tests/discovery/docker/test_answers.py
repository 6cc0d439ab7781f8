"""The Docker registry against a scripted engine, which misbehaves as a real one would not on demand, and is quicker."""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiohttp import web

from discovery.docker import DockerRegistry, containers
from discovery.docker.registry import PACE
from discovery.engine import client, events
from discovery.engine.client import Engine
from discovery.instance import Availability
from discovery.registry import RegistryError
from tests.discovery.engine.scripted import VERSION, ScriptedEngine, container, event, scripted
from tests.discovery.watching import eventually, first, has, ids, only, until, watching
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from discovery.instance import Snapshot


@asynccontextmanager
async def watched(folder: Path, *ones: dict[str, Any], **options: Any) -> AsyncIterator[tuple[ScriptedEngine, Any]]:
    async with scripted(folder, timeout=options.pop("timeout", 5.0)) as (engine, where):
        for one in ones:
            engine.put(one)
        async with watching(DockerRegistry(where, **options), "web") as watch:
            yield engine, watch


def aged(told: bytes, seconds: float) -> bytes:
    """Return an event that happened so long ago."""
    fields = json.loads(told)
    return json.dumps({**fields, "timeNano": fields["timeNano"] - int(seconds * 1e9)}).encode() + b"\n"


def states(snapshot: Snapshot) -> list[Availability]:
    return [one.availability for one in snapshot.instances]


async def test_the_events_are_followed_before_the_containers_are_listed(tmp_path: Path):
    async with watched(tmp_path, container("a")) as (engine, watch):
        assert has("a")(await first(watch))
        paths = [path for path, _ in engine.questions]
        assert paths == ["/_ping", "/events", "/containers/json", "/containers/a/json"]
        (query,) = engine.asked("/events")
        assert float(query["since"]) > 1_000_000_000
        (listed,) = engine.asked("/containers/json")
        assert listed == {"filters": '{"label": ["pointsman.service=web"], "status": ["running", "paused"]}'}


async def test_ten_thousand_changes_in_disorder_end_in_the_true_set_and_come_in_few_snapshots(tmp_path: Path):
    """A real engine needs a third of a second to run a container; no test has time for ten thousand."""
    source = random.Random(7)
    names = [f"c{number}" for number in range(200)]
    loop = asyncio.get_running_loop()
    snapshots: list[Snapshot] = []
    async with watched(tmp_path) as (engine, watch):
        await first(watch)

        async def churn() -> None:
            for number in range(10_000):
                name = source.choice(names)
                if name in engine.containers and source.random() < 0.6:
                    gone = engine.containers.pop(name)
                    engine.tell(event("kill", gone, signal="15"), event("die", gone), event("destroy", gone))
                else:
                    one = container(name, port=source.randrange(1, 65536))
                    engine.put(one)
                    engine.tell(event("start", one))
                if number % 50 == 0:
                    await asyncio.sleep(0)
            engine.put(container("last"))
            engine.tell(event("start", engine.containers["last"]))

        began = loop.time()
        churning = asyncio.ensure_future(churn())
        while not snapshots or "last" not in ids(snapshots[-1]):
            snapshots.append(await first(watch))
        took = loop.time() - began
        await churning
    truth = {name: one["Config"]["Labels"]["pointsman.port"] for name, one in engine.containers.items()}
    assert {one.id: str(one.port) for one in snapshots[-1].instances} == truth
    assert len(truth) > 50
    assert all(one.availability is Availability.UP for one in snapshots[-1].instances)
    assert all(snapshot.continuous for snapshot in snapshots)
    assert len(snapshots) <= took / PACE + 1


async def test_all_containers_replaced_at_once_leave_no_wrong_one(tmp_path: Path):
    olds, news = [container(f"old{n}") for n in range(300)], [container(f"new{n}") for n in range(300)]
    async with watched(tmp_path, *olds) as (engine, watch):
        assert len((await first(watch)).instances) == 300
        for old, new in zip(olds, news, strict=True):
            del engine.containers[old["Id"]]
            engine.put(new)
            engine.tell(event("die", old), event("start", new))
        await until(watch, has(*(new["Id"] for new in news)))


async def test_events_may_be_cut_anywhere(tmp_path: Path):
    ones = [container(name) for name in ("b", "c", "d")]
    async with watched(tmp_path, container("a")) as (engine, watch):
        await first(watch)
        told = b"".join(event("start", one) for one in ones)
        for one in ones:
            engine.put(one)
        for start in range(0, len(told), 100):
            engine.tell(told[start : start + 100])
            await asyncio.sleep(0.001)
        await until(watch, has("a", "b", "c", "d"))


async def test_events_of_other_services_ask_nothing(tmp_path: Path):
    async with watched(tmp_path, container("a")) as (engine, watch):
        await first(watch)
        engine.put(container("b", service="other"))
        engine.tell(*[event("start", engine.containers["b"])] * 100)
        engine.put(container("c"))
        engine.tell(event("start", engine.containers["c"]))
        assert has("a", "c")(await first(watch))
        assert not engine.asked("/containers/b/json")


async def test_events_that_nobody_takes_are_dropped_and_the_containers_listed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "UNREAD", 10)
    async with watched(tmp_path, container("a")) as (engine, watch):
        await first(watch)
        engine.put(container("b"))
        engine.tell(*(event("start", container(f"x{number}")) for number in range(30)))
        del engine.containers["a"]
        assert not (await until(watch, has("b"))).continuous
        assert len(engine.asked("/containers/json")) == 2


async def test_what_no_event_told_is_found_at_a_heartbeat(tmp_path: Path):
    async with watched(tmp_path, container("a"), container("b"), heartbeat=0.05) as (engine, watch):
        await first(watch)
        del engine.containers["a"]
        engine.put(container("c"))
        await until(watch, has("b", "c"))
        assert len(engine.asked("/containers/b/json")) == 1  # nothing shows that it changed


async def test_what_happened_before_tells_only_who_was_told_to_end(tmp_path: Path):
    one, two = container("a"), container("b")
    past = event("kill", two, signal="15"), event("die", two), event("start", two), event("kill", one, signal="15")
    async with scripted(tmp_path) as (engine, where):
        engine.put(one)
        engine.put(two)
        engine.past = [aged(told, 60.0) for told in past]
        async with watching(DockerRegistry(where), "web") as watch:
            await until(watch, lambda snapshot: states(snapshot) == [Availability.DRAINING, Availability.UP])
            assert len(engine.asked("/containers/b/json")) == 1


async def test_a_signal_that_ends_nothing_does_not_make_up_for_one_that_does(tmp_path: Path):
    one, two = container("a"), container("b")
    async with watched(tmp_path, one, two) as (engine, watch):
        await first(watch)
        engine.tell(event("kill", one, signal="15"), event("kill", one, signal="1"), event("kill", two, signal="1"))
        assert states(await first(watch)) == [Availability.DRAINING, Availability.UP]
        engine.tell(event("start", one))
        assert states(await first(watch)) == [Availability.UP, Availability.UP]


async def test_a_container_that_goes_on_after_the_signal_is_up_again_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(containers, "PATIENCE", 0.5)  # the engine's clock is known to a second
    one = container("a")
    async with watched(tmp_path, one, heartbeat=0.1) as (engine, watch):
        await first(watch)
        engine.tell(event("kill", one, signal="15"))
        await until(watch, lambda snapshot: only(snapshot).availability is Availability.DRAINING)
        await until(watch, lambda snapshot: only(snapshot).availability is Availability.UP)


async def test_one_container_that_hangs_is_named_and_the_others_are_used(tmp_path: Path):
    async with watched(tmp_path, container("a"), timeout=0.5, heartbeat=0.1) as (engine, watch):
        engine.put(container("b"))
        engine.silent.add("/containers/b/json")
        snapshot = await first(watch)
        assert has("a")(snapshot)
        assert snapshot.unreadable == ("b: no answer within 0.5 s",)
        engine.silent.clear()
        assert (await until(watch, has("a", "b"))).unreadable == ()


async def test_an_engine_that_hangs_is_an_error(tmp_path: Path):
    many = [container(f"c{number}") for number in range(20)]
    async with watched(tmp_path, *many, timeout=0.5) as (engine, watch):
        engine.silent.update(f"/containers/c{number}/json" for number in range(20))
        with pytest.raises(
            RegistryError, match=r"more than 10 containers cannot be looked at: no answer within 0\.5 s"
        ):
            await first(watch)


async def test_many_services_at_once_wait_for_their_turn_and_not_for_the_time_out(tmp_path: Path):
    async with scripted(tmp_path, timeout=1.5) as (engine, where):
        engine.pause = 0.03
        for number in range(1000):
            engine.put(container(f"c{number}", service=f"s{number % 50}"))
        registry = DockerRegistry(where)
        began = asyncio.get_running_loop().time()
        async with AsyncExitStack() as stack:
            watches = [await stack.enter_async_context(watching(registry, f"s{number}")) for number in range(50)]
            snapshots = await asyncio.gather(*map(first, watches))
            assert engine.streams == 1
        took = asyncio.get_running_loop().time() - began
    assert all(len(snapshot.instances) == 20 and not snapshot.unreadable for snapshot in snapshots)
    assert took > 1.5  # else it shows nothing


@pytest.mark.parametrize("path", ["/_ping", "/events", "/containers/json"])
async def test_a_question_that_is_not_answered_is_an_error(tmp_path: Path, path: str):
    async with watched(tmp_path, timeout=0.5) as (engine, watch):
        engine.silent.add(path)
        with pytest.raises(RegistryError, match=rf"Docker at unix://{tmp_path}/d.sock: no answer within 0\.5 s"):
            await first(watch)
    assert not events._sources


async def test_a_stream_that_breaks_off_is_an_error(tmp_path: Path):
    async with watched(tmp_path, container("a")) as (engine, watch):
        await first(watch)
        engine.break_off()
        with pytest.raises(RegistryError, match="the connection broke off"):
            await until(watch, has("never"))


async def test_a_stream_that_ends_is_an_error_for_all_who_follow_it(tmp_path: Path):
    async with scripted(tmp_path) as (engine, where):
        engine.put(container("a"))
        registry = DockerRegistry(where)
        async with watching(registry, "web") as one, watching(registry, "web") as two:
            await asyncio.gather(first(one), first(two))
            assert engine.streams == 1
            engine.end()
            for watch in (one, two):
                with pytest.raises(RegistryError, match="the stream of events ended"):
                    await until(watch, has("never"))
        await eventually(lambda: engine.streams == 0)
        async with watching(registry, "web") as watch:
            assert has("a")(await first(watch))
            assert engine.streams == 1
        await eventually(lambda: engine.streams == 0)


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/containers/json", b"<html>", "the answer is no JSON.*is this Docker's API"),
        ("/containers/json", b"[" * 100_000, "the answer is no JSON"),
        ("/containers/json", {}, "the list of containers must be a list of objects, not a mapping"),
        ("/containers/json", [5], "the list of containers must be a list of objects"),
        ("/events", b"<html>\n", "the answer is no JSON"),
        ("/events", b"[]\n", "an event must be an object, not a list"),
        ("/events", b"", "the stream of events ended"),
        ("/_ping", web.Response(text="OK", headers={"Api-Version": "one"}), "its API is of version 'one'; is this"),
        (
            "/_ping",
            web.Response(text="OK", headers={"Api-Version": "1.23"}),
            r"version 1\.23, and pointsman needs 1\.24",
        ),
        ("/_ping", web.Response(status=500, text="no \x1b\nmore"), "HTTP 500: no [?]$"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error(tmp_path: Path, path: str, answer: Any, said: str):
    async with watched(tmp_path) as (engine, watch):
        engine.answers[path] = answer
        with pytest.raises(RegistryError, match=said):
            await until(watch, has("never"))


@pytest.mark.parametrize("answer", [[], {"State": 5, "Config": []}, {"State": {"Status": "running"}, "Config": {}}])
async def test_a_container_that_makes_no_sense_harms_nobody(tmp_path: Path, answer: Any):
    async with watched(tmp_path, container("a"), container("b")) as (engine, watch):
        engine.answers["/containers/b/json"] = answer
        assert has("a")(await first(watch))


@pytest.mark.parametrize("status", [302, 400, 401, 403, 429, 500, 503])
async def test_a_refusal_is_an_error_with_its_first_line(tmp_path: Path, status: int):
    async with watched(tmp_path) as (engine, watch):
        engine.answers["/containers/json"] = web.json_response({"message": "no \x1b reason\nmore"}, status=status)
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert f"HTTP {status}: no ? reason" in str(caught.value)
    assert "more" not in str(caught.value)
    assert ("must let GET requests of /events" in str(caught.value)) == (status in (401, 403))


async def test_an_answer_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "ANSWER_LIMIT", 1000)
    monkeypatch.setattr(client, "EVENT_LIMIT", 1000)
    async with watched(tmp_path, *(container(str(number)) for number in range(50))) as (engine, watch):
        with pytest.raises(RegistryError, match="the answer is larger than"):
            await first(watch)
    async with watched(tmp_path) as (engine, watch):
        await first(watch)
        engine.tell(b"x" * 2000)
        with pytest.raises(RegistryError, match="an event is larger than"):
            await first(watch)


@pytest.mark.parametrize(
    ("theirs", "spoken"), [("1.24", "1.24"), ("1.41", "1.41"), ("1.51", "1.51"), ("1.56", "1.51"), ("2.0", "1.51")]
)
def test_the_older_of_both_versions_is_spoken(theirs: str, spoken: str):
    assert client.agree(theirs) == spoken


async def test_an_engine_that_refuses_our_version_is_an_error_that_names_it(tmp_path: Path):
    said = "client version 1.51 is too old. Minimum supported API version is 1.60, please upgrade your client"
    async with watched(tmp_path) as (engine, watch):
        engine.headers = {"Api-Version": "1.70"}
        engine.answers["/events"] = web.json_response({"message": said}, status=400)
        with pytest.raises(RegistryError, match=r"version 1\.51 is too old.*pointsman speaks versions 1\.24 to 1\.51"):
            await first(watch)


@pytest.mark.parametrize("status", [200, 403, 404])
async def test_a_proxy_that_hides_the_ping_is_asked_for_the_version(tmp_path: Path, status: int):
    async with watched(tmp_path, container("a")) as (engine, watch):
        engine.answers["/_ping"] = web.Response(status=status, text="-")
        engine.answers["/version"] = {"ApiVersion": VERSION}
        assert has("a")(await first(watch))
    async with watched(tmp_path) as (engine, watch):
        engine.answers["/_ping"] = web.Response(status=status, text="-")
        engine.answers["/version"] = {}
        with pytest.raises(RegistryError, match="the answer to /version names no ApiVersion"):
            await first(watch)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_socket_that_may_not_be_opened_is_an_error_that_says_what_to_do(tmp_path: Path):
    async with watched(tmp_path) as (_, watch):
        os.chmod(tmp_path, 0o711)
        os.chmod(tmp_path / "d.sock", 0o600)
        os.seteuid(65534)
        try:
            with pytest.raises(RegistryError, match="permission denied on the socket; give pointsman a read-only"):
                await first(watch)
        finally:
            os.seteuid(0)


async def test_tls_with_certificates_on_both_sides(tmp_path: Path):
    authority = trustme.CA()
    shown = authority.issue_cert("pointsman")
    for name, pem in (("cert", shown.cert_chain_pems[0]), ("key", shown.private_key_pem)):
        pem.write_to_path(tmp_path / name)
    authority.cert_pem.write_to_path(tmp_path / "ca")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    engine, port = ScriptedEngine(), free_port()
    engine.put(container("a"))
    runner = web.ServerRunner(web.Server(engine.handle, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        where = Engine(f"https://127.0.0.1:{port}", tmp_path / "ca", tmp_path / "cert", tmp_path / "key")
        async with watching(DockerRegistry(where), "web") as watch:
            assert has("a")(await first(watch))
        for wrong, said in (
            (Engine(f"https://127.0.0.1:{port}"), "certificate verify failed"),
            (Engine(f"https://127.0.0.1:{port}", tmp_path / "none"), "the certificates cannot be used"),
            (Engine(f"https://127.0.0.1:{port}", tmp_path / "ca"), ""),
            (Engine(f"tcp://127.0.0.1:{port}", timeout=1.0), ""),
        ):
            async with watching(DockerRegistry(wrong), "web") as watch:
                with pytest.raises(RegistryError, match=f"Docker at {wrong.address}: .*{said}"):
                    await first(watch)
    finally:
        engine.end()
        await runner.cleanup()


def test_the_host_of_an_engine_that_is_reached_by_tcp_is_that_of_its_containers():
    assert Engine("tcp://192.0.2.7:2375").host == "192.0.2.7"
    assert Engine("https://docker.internal:2376").host == "docker.internal"
    assert Engine("unix:///var/run/docker.sock").host == "127.0.0.1"
