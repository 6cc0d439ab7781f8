"""The control process is killed under load: workers go on, and another one finds all as it was."""

from __future__ import annotations

import json
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from tests.servers.embedded import EmbeddedRegistry
from tests.servers.instances import Site
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.ports import free_port
from tests.servers.processes import Processes, answered_by, requests_of, runs
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.processes import Client

NAMES = ("sick", "workers-1", "workers-2")
PASSIVE = {"consecutive_5xx": 3, "base_ejection_time": "60s", "max_ejection_percent": "50%"}


def told(path: Path, addresses: list[dict[str, object]]) -> None:
    """Write a registry's file anew."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(addresses))
    new.rename(path)


def versioned(folder: Path, version: str) -> None:
    """Write a configuration that responses tell apart."""
    file = folder / "pointsman.yaml"
    config = json.loads(file.read_text())
    config["listeners"][0]["response_headers"] = {"set": {"X-Version": version}}
    file.write_text(json.dumps(config))


def pointsman(folder: Path, instances: Site) -> Pointsman:
    both = [one for one in instances.addresses() if one["id"] != "sick"]
    sick = [one for one in instances.addresses() if one["id"] != "workers-1"]
    told(folder / "web.json", both)
    services = {
        "web": {"discovery": {"file": str(folder / "web.json")}},
        "drained": {"discovery": {"static": both}},
        "weighed": {"discovery": {"static": both}},
        "sick": {"discovery": {"static": sick}, "health": {"passive": PASSIVE, "panic_threshold": "0%"}},
    }
    routes = [{"host": name, "service": name} for name in services]
    port = free_port()
    proxy = Pointsman(
        folder,
        services,
        listeners=[{"bind": f"127.0.0.1:{port}"}, {"bind": f"unix:{folder}/s.sock"}],
        takeover={"socket": "t.sock"},
        routes=[{"host": "split", "split": "all"}, *routes, {"service": "web"}],
        splits={"all": {"services": {"web": 1, "drained": 0}}},
        reload={"watch": False},
        workers=2,
    )
    proxy.port = port
    return proxy


def by_hand(proxy: Pointsman, method: str, path: str, body: object = None) -> None:
    answer = ask(proxy.admin_port, path, method, body)
    assert answer.status == 200, answer


def all_is_in_force(client: Client) -> bool:
    """Tell whether what was set by hand, found and reloaded is heeded by whom this client has."""
    return (
        answered_by(client, "drained") == {"workers-2"}
        and answered_by(client, "weighed") == {"workers-1"}
        and answered_by(client, "split") == {"workers-2"}
        and answered_by(client, "sick") == {"workers-2"}
        and client.ask(host="weighed").headers["x-version"] == "2"
    )


def heeds_the_registry(client: Client) -> bool:
    return answered_by(client, "web") == {"workers-2"}


def test_another_control_process_finds_all_as_it_was(tmp_path: Path) -> None:
    with Site(tmp_path, *NAMES) as instances, pointsman(tmp_path, instances) as proxy:
        processes = Processes(proxy, proxy.port)
        ask(instances.ports["sick"], "/behave?how=500", "POST")
        versioned(tmp_path, "2")
        by_hand(proxy, "POST", "/-/reload")
        versioned(tmp_path, "3")  # which nobody is asked to read
        by_hand(proxy, "POST", "/api/v1/services/drained/endpoints/workers-1/drain")
        by_hand(proxy, "PATCH", "/api/v1/services/weighed/endpoints/workers-2", {"weight": 0})
        by_hand(proxy, "PATCH", "/api/v1/splits/all", {"services": {"web": 0, "drained": 1}})
        with processes.client_of_each("drained") as clients:
            for client in clients.values():
                answered_by(client, "sick")
                until(partial(all_is_in_force, client), "all is in force")

            with Load(tmp_path, f"{proxy.url}/headers") as load:
                control, workers = processes.control(), processes.workers()
                processes.kill_control()
                until(lambda: ready(proxy), "ready again")
                assert processes.control() not in (0, control)
                assert processes.workers() == workers
                time.sleep(0.3)  # of traffic
                result = load.finish()
            assert not result.failed
            assert requests_of(proxy, "web") == len(result.answered)
            assert "the control process (process" in proxy.output()
            (event,) = proxy.events("control_ended")
            assert event["reason"] == "the control process before this one was ended by SIGKILL"

            assert all(all_is_in_force(client) for client in clients.values())
            assert proxy.endpoints("sick")["sick"]["state"] == "ejected"
            left = [one for one in instances.addresses() if one["id"] == "workers-2"]
            told(tmp_path / "web.json", left)
            for client in clients.values():
                until(partial(heeds_the_registry, client), "the registry is heeded")

        processes.kill_worker(1)
        until(lambda: proxy.metric('pointsman_workers{state="serving"}') == 2, "another worker serves")
        with processes.client_of_each("drained") as clients:
            assert all_is_in_force(clients[1])
            assert answered_by(clients[1], "web") == {"workers-2"}
        pids = processes.children()
        proxy.signal(signal.SIGTERM)
        assert proxy.wait(15) == 0
        assert not any(runs(pid) for pid in pids)
        assert not [path.name for path in tmp_path.glob("*.sock")]


def test_routes_of_a_catalog_that_another_control_process_cannot_ask_stay(tmp_path: Path) -> None:
    """Workers go on with what they were told, until the registry is there again."""
    with Site(tmp_path, "workers-1") as instances, EmbeddedRegistry(tmp_path) as registry:
        registration = instances.registration("tagged", "workers-1")
        registry.register({**registration, "Tags": ["urlprefix-tagged.example/"]})
        proxy = Pointsman(
            tmp_path,
            {"web": {"discovery": {"static": instances.addresses()}}},
            routes=[{"host": "web", "service": "web"}],
            catalogs=[{"consul": {"address": registry.address, "connections": 0}}],
            workers=2,
        )
        with proxy, Processes(proxy, proxy.port).client_of_each("web") as clients:
            processes = Processes(proxy, proxy.port)
            for client in clients.values():
                until(partial(_answers, client, "tagged.example"), "the route")
            registry.kill()
            processes.kill_control()
            until(lambda: processes.control() and _started(proxy), "another control process")
            until(lambda: proxy.events("watch_failed"), "it asks the registry, which is away")
            for client in clients.values():
                assert answered_by(client, "tagged.example") == {"workers-1"}
            registry.start()
            registry.register({**registration, "Tags": ["urlprefix-other.example/"]})
            for client in clients.values():
                until(partial(_answers, client, "other.example"), "the new route")
                until(lambda client=client: client.ask(host="tagged.example").status == 404, "the old one's end")  # type: ignore[misc]


def _answers(client: Client, host: str) -> bool:
    return client.ask(host=host).status == 200


def _started(proxy: Pointsman) -> bool:
    try:
        return bool(proxy.events("control_ended"))
    except OSError:
        return False


def ready(proxy: Pointsman) -> bool:
    try:
        return proxy.readyz().status == 200
    except OSError:
        return False
