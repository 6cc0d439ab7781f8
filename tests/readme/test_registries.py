"""Who is there, and what happens when nobody can tell."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from tests.discovery.engine.scripted import ScriptedEngine, container
from tests.discovery.eureka.test_answers import apps, one
from tests.discovery.kubernetes.service import slice_of
from tests.discovery.mesos.recorded import record, subscribed, task
from tests.proxy.running import until
from tests.readme.consoles import dialogue
from tests.readme.instances import serving
from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_port, free_ports
from tests.servers.program import Program, ask
from tests.servers.program import until as wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.readme.snippets import Snippet
    from tests.readme.staging import Stage, Staged
    from tests.servers.embedded import EmbeddedRegistry
    from tests.servers.etcd import EtcdServer
    from tests.servers.unbound import Unbound
    from tests.servers.zookeeper import ZooKeeperServer

WEB, WEB_2, NEXT = "10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"
CONSUL = "http://127.0.0.1:8500"


def place(address: str, service: str, **more: object) -> dict[str, object]:
    host, _, port = address.rpartition(":")
    return {"Name": service, "ID": f"{service}-1", "Address": host, "Port": int(port), **more}


async def answered(staged: Stage, name: str, **options: Any) -> None:
    """Wait until this one does."""
    async with asyncio.timeout(10):
        while (await staged.ask(**options)).text != name:
            pass


@pytest.mark.runs("pointsman")
def test_the_first_minute(parts: list[Snippet], tmp_path: Path) -> None:
    """What README promises of `make run`, which is `pointsman demo`; its numbers of processes and times are made up."""
    listen, admin, registry = free_ports(3)
    log = tmp_path / "log"
    command = [COMMAND, "demo", "--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}"]
    command += ["--registry", f"127.0.0.1:{registry}"]
    with Program(command, log, lambda: "Ctrl-C ends all of it" in log.read_text()) as demo:
        (first, turns), (kill, _), (again, left), (events, told) = dialogue(parts[0].text)
        assert first.count("curl localhost:8080") == len(turns.splitlines()) == 4
        says = [ask(listen, "/").text.strip() for _ in range(4)]
        assert in_turn(says) == in_turn(turns.splitlines()) == [0, 1, 2, 0]
        found = re.search(r"web-1 \(process (\d+)\)", turns)
        ours = re.search(r"web-1 \(process (\d+)\)", "".join(says))
        assert found is not None
        assert ours is not None
        assert kill == f"kill {found[1]}"
        os.kill(int(ours[1]), signal.SIGTERM)
        wait_for_left(admin)
        assert again.count("curl localhost:8080") == len(left.splitlines())
        says = [ask(listen, "/").text for _ in left.splitlines()]
        assert in_turn(says) == in_turn(left.splitlines()) == [0, 1, 0]
        assert "web-1" not in "".join(says) + left
        assert events.startswith("curl -s localhost:9900/api/v1/events")
        last = json.dumps(ask(admin, "/api/v1/events").json, indent=4).splitlines()[-9:]
        assert [line.split(":")[0] for line in last] == [line.split(":")[0] for line in told.splitlines()]
        demo.signal(signal.SIGINT)
        assert demo.wait(15) == 0


def in_turn(lines: list[str]) -> list[int]:
    """Who says hello, by numbers in the order in which they appear: of `hello from web-1 (process 123)` and so on."""
    names = [line.split()[2] for line in lines]
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


def wait_for_left(admin: int) -> None:
    wait_until(lambda: any(one["kind"] == "left" for one in ask(admin, "/api/v1/events").json["events"]), "it left")


@pytest.mark.runs("Use it")
async def test_a_first_file(stage: Staged, embedded_registry: EmbeddedRegistry, tmp_path: Path) -> None:
    async with serving("web-1", tmp_path) as web_1:
        embedded_registry.register(place(web_1.address, "web"))
        async with stage(at={CONSUL: embedded_registry.address}) as staged:
            await answered(staged, "web-1")
            turns = await staged.answers(4, "/api/x", host="shop.example.com")
            assert sorted(turns) == ["127.0.0.1:9001", *["127.0.0.1:9002"] * 3]
        embedded_registry.deregister("web-1")


@pytest.mark.runs("Discovery")
async def test_discovery(
    stage: Staged, embedded_registry: EmbeddedRegistry, etcd: EtcdServer, zookeeper: ZooKeeperServer,
    name_server: Unbound, tmp_path: Path,
) -> None:  # fmt: skip
    """Real registries where they are quickly there; Kubernetes, Eureka, Docker and Mesos are scripted."""
    async with serving("there", tmp_path) as there:
        host, port = "127.0.0.1", int(there.address.rpartition(":")[2])
        embedded_registry.register(place(there.address, "a"))
        etcd.put("/services/d/1", there.address)
        zookeeper.put("/services/c/1", {"name": "c", "id": "1", "address": host, "port": port, "enabled": True})
        name_server.serve(["h A 127.0.0.1"])
        (tmp_path / "instances.yaml").write_text(yaml.safe_dump([there.address]))
        ended = asyncio.Event()

        async def scripted(request: web.BaseRequest) -> web.StreamResponse:
            path = request.path
            if path == "/targets.json":
                return web.json_response([{"targets": [there.address]}])
            if path.startswith("/eureka/apps"):
                up = one("e-1", ipAddr=host, port={"$": port, "@enabled": "true"}, app="E")
                told = apps("UP_1_", up)
                told["applications"]["application"][0]["name"] = "E"
                return web.json_response(told)
            stream = web.StreamResponse()
            if path.endswith("/endpointslices") and "watch" not in request.query:
                slices = [{"metadata": {"name": "b-1", "resourceVersion": "1"},
                           **slice_of(host, ports=[{"name": "http", "port": port}])}]  # fmt: skip
                return web.json_response({"metadata": {"resourceVersion": "1"}, "items": slices})
            await stream.prepare(request)
            if path == "/api/v1":
                ports = [{"name": "ports", "ranges": {"range": [{"begin": port, "end": port}]}}]
                state = json.dumps(subscribed(task("1", name="g", resources=ports))).replace("10.0.0.1", host)
                await stream.write(record(json.loads(state)))
            await ended.wait()
            return stream

        engine = ScriptedEngine()
        engine.put(container("1", port=port, address=host, service="f"))
        async with RawTestServer(scripted) as server, RawTestServer(engine.handle) as docker:
            url = str(server.make_url("")).rstrip("/")
            kubeconfig = {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "k", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
            }
            (tmp_path / "kubeconfig.yaml").write_text(yaml.safe_dump(kubeconfig))
            at = {
                CONSUL: embedded_registry.address,
                "10.0.0.9:2181": zookeeper.address,
                "http://10.0.0.9:2379": etcd.address,
                "http://10.0.0.9:8761/eureka": f"{url}/eureka",
                "unix:///var/run/docker.sock": f"tcp://127.0.0.1:{docker.port}",
                "http://10.0.0.9:5050": url,
                "10.0.0.9:53": str(name_server.address),
                "http://10.0.0.9/targets.json": f"{url}/targets.json",
                WEB: there.address,
                "8000": str(port),
            }
            routes = [{"host": name, "service": name} for name in "abcdefghijk"]
            async with stage(at=at, beside={"routes": routes}) as staged:
                try:
                    for name in "abcdefghij":
                        await answered(staged, "there", host=name)
                    assert sorted(await staged.answers(4, host="k")) == [*[WEB_2] * 3, "there"]
                finally:
                    ended.set()
                    engine.end()


@pytest.mark.runs("Several registries")
async def test_several_registries(stage: Staged, embedded_registry: EmbeddedRegistry, tmp_path: Path) -> None:
    async with serving("in consul", tmp_path) as there:
        embedded_registry.register(place(there.address, "web"))
        async with stage(at={CONSUL: embedded_registry.address}) as staged:
            await answered(staged, "in consul")
            answers = await staged.answers(20)
            assert (answers.count("in consul"), answers.count(NEXT)) == (18, 2)
        embedded_registry.deregister("web-1")


@pytest.mark.runs("Services and routes from tags")
async def test_services_and_routes_from_tags(
    stage: Staged, embedded_registry: EmbeddedRegistry, tmp_path: Path
) -> None:
    async with serving("tagged", tmp_path) as there, serving("ruled", tmp_path) as ruled:
        embedded_registry.register(place(there.address, "tagged", Tags=["urlprefix-tagged.example.com/"]))
        rule = "traefik.http.routers.r.rule=Host(`ruled.example.com`)"
        embedded_registry.register(place(ruled.address, "ruled", Tags=["traefik.enable=true", rule]))
        async with stage(at={CONSUL: embedded_registry.address}) as staged:
            await answered(staged, "tagged", host="tagged.example.com")
            await answered(staged, "ruled", host="ruled.example.com")
            assert (await staged.ask()).text in {WEB, WEB_2}


@pytest.mark.runs("The embedded registry")
async def test_the_embedded_registry(stage: Staged, tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    async with serving("embedded", tmp_path) as there:
        async with stage(at={"127.0.0.1:8500": bind, CONSUL: f"http://{bind}"}) as staged:
            url = f"http://{bind}/v1/agent/service/register"
            async with staged.pointsman.session.put(url, json=place(there.address, "web")) as answer:
                assert answer.status == 200
            await answered(staged, "embedded")
        assert list((tmp_path / "registry").iterdir())


@pytest.mark.runs("Registration")
async def test_registration(stage: Staged, embedded_registry: EmbeddedRegistry, tmp_path: Path) -> None:
    async with serving("10.0.0.5:8080", tmp_path) as sidecar:
        port = int(sidecar.address.rpartition(":")[2])
        at = {CONSUL: embedded_registry.address, "10.0.0.5": "127.0.0.1", "8080": str(port)}
        async with stage(at=at, beside={"register": {"deregister_delay": "0s"}}) as staged:
            await until(lambda: "gateway" in str(embedded_registry.services()))
            sidecar.healthy = False
            await until(lambda: "gateway" not in str(embedded_registry.services()))
            sidecar.healthy = True
            await until(lambda: "gateway" in str(embedded_registry.services()))
            await staged.application.drain()
        assert "gateway" not in str(embedded_registry.services())


@pytest.mark.runs("Without the registry")
async def test_without_the_registry(stage: Staged, own_embedded_registry: EmbeddedRegistry, tmp_path: Path) -> None:
    at = {CONSUL: own_embedded_registry.address}
    async with serving("kept", tmp_path) as there:
        own_embedded_registry.register(place(there.address, "web"))
        async with stage(at=at) as staged:
            await answered(staged, "kept")
            await asyncio.to_thread(own_embedded_registry.kill)
            assert await staged.answers(4) == ["kept"] * 4
        async with stage(at=at) as staged:  # it starts without it, by what was stored
            await answered(staged, "kept")
            assert (await staged.pointsman.admin("/readyz"))[0] == 200
            own_embedded_registry.wipe()
            await asyncio.to_thread(own_embedded_registry.start)
            async with asyncio.timeout(10):  # its answer, which holds nobody, is held back
                while not (await staged.pointsman.admin("/api/v1/services/web"))[1]["registry"]["held"]:
                    pass
            assert await staged.answers(4) == ["kept"] * 4
