"""With several workers, configurations are changed, processes take over and all ends, under load: no request fails."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.test_takeover_under_load import Next
from tests.servers.instances import Site
from tests.servers.load import REFUSED, Load
from tests.servers.pointsman import Pointsman
from tests.servers.ports import free_ports
from tests.servers.processes import Processes, runs
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.program import Answer, Program

NAMES = ("workers-1", "workers-2")


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, *NAMES) as instances:
        yield instances


def pointsman(folder: Path, instances: Site, **more: Any) -> Pointsman:
    web = {"discovery": {"static": instances.addresses()}}
    return Pointsman(folder, {"web": web, "slow": web}, **{"workers": 2, "drain_timeout": "5s", **more})


def write(folder: Path, **keys: Any) -> None:
    """Change these keys in the configuration file."""
    file = folder / "pointsman.yaml"
    new = file.with_suffix(".new")
    new.write_text(json.dumps({**json.loads(file.read_text()), **keys}))
    new.rename(file)


def test_takeovers_from_one_to_two_and_three_workers_and_back(tmp_path: Path, instances: Site) -> None:
    with (
        pointsman(tmp_path, instances, workers=1, takeover={"socket": "t.sock"}) as proxy,
        Load(tmp_path, f"{proxy.url}/headers", clients=12) as reading,
        Load(tmp_path, f"{proxy.url}/slow?seconds=0.1", clients=3, method="POST", body=10**5, name="slow") as writing,
    ):
        runs: Program = proxy
        for workers in (2, 3, 1):
            write(tmp_path, workers=workers)
            successor = Next(tmp_path, workers)
            successor.start()
            assert runs.wait(15) == 0, runs.output()
            assert "Traceback" not in runs.output()
            runs = successor
            assert len(Processes(successor, proxy.port).workers()) == (workers if workers > 1 else 0)
            time.sleep(0.2)  # of traffic
        failed = [one.reason for load in (reading, writing) for one in load.finish().failed]
        assert proxy.metric("pointsman_takeover_generation") == 3
        runs.signal(signal.SIGTERM)
        assert runs.wait(15) == 0, runs.output()
        assert "Traceback" not in runs.output()
        assert not (tmp_path / "t.sock").exists()
        proxy.kill()
    assert not failed


def served(port: int, times: int = 12) -> set[str]:
    """Return the statuses of so many new connections, of which each worker accepts some."""
    return {str(ask(port, "/headers").status) for _ in range(times)}


def test_reloads_by_signal_and_by_request_reach_all_workers(tmp_path: Path, instances: Site) -> None:
    first, second, third = free_ports(3)
    tcp = {"bind": f"127.0.0.1:{third}", "tcp": {"service": "web"}}
    with (
        pointsman(tmp_path, instances, reload={"watch": False}) as proxy,
        Processes(proxy, proxy.port).client_of_each() as clients,
        Load(tmp_path, f"{proxy.url}/headers") as load,
    ):
        plain = {"bind": f"127.0.0.1:{proxy.port}"}
        workers = Processes(proxy, proxy.port).workers()

        def reload() -> Answer:
            return ask(proxy.admin_port, "/-/reload", "POST")

        # Listeners come and go.
        write(tmp_path, listeners=[plain, {"bind": f"127.0.0.1:{first}"}, tcp])
        assert reload().status == 200
        assert served(first) == served(third) == {"200"}
        assert set(Processes(proxy, first).accepting()) == {1, 2}
        write(tmp_path, listeners=[{"bind": f"127.0.0.1:{second}"}, plain])
        assert reload().status == 200
        assert served(second) == {"200"}
        for port in (first, third):
            with pytest.raises(ConnectionRefusedError):
                ask(port, "/headers")

        # Routes change for those connected, when the answer says so.
        routes = [{"path_exact": "/tea", "answer": {"status": 418}}, {"service": "web"}]
        write(tmp_path, routes=routes)
        assert clients[1].ask("/tea").status == 404
        assert reload().status == 200
        assert {client.ask("/tea").status for client in clients.values()} == {418}
        write(tmp_path, routes=[{"path_exact": "/tea", "answer": {"status": 410}}, routes[1]])
        proxy.signal(signal.SIGHUP)
        until(lambda: {client.ask("/tea").status for client in clients.values()} == {410}, "SIGHUP is heeded")

        # What is refused leaves all as it was.
        with socket.create_server(("127.0.0.1", 0)) as taken:
            for keys, status, why in (
                ({"routes": "none"}, 400, "routes"),
                ({"workers": 3}, 409, "workers"),
                ({"listeners": [plain, {"bind": f"127.0.0.1:{taken.getsockname()[1]}"}]}, 500, "in use"),
            ):
                before = json.loads((tmp_path / "pointsman.yaml").read_text())
                write(tmp_path, **keys)
                answer = reload()
                print(f"\n{answer.status} {answer.text}")
                assert answer.status == status
                assert why in answer.text
                write(tmp_path, **before)
        assert served(second) == served(proxy.port) == {"200"}
        assert {client.ask("/tea").status for client in clients.values()} == {410}
        assert Processes(proxy, proxy.port).workers() == workers
        result = load.finish()
    assert not [one.reason for one in result.failed]


def by_signal(proxy: Pointsman) -> None:
    proxy.signal(signal.SIGTERM)


def by_request(proxy: Pointsman) -> None:
    assert ask(proxy.admin_port, "/-/drain", "POST").status in (200, 202)


def by_ctrl_c(proxy: Pointsman) -> None:
    os.killpg(proxy.pid, signal.SIGINT)  # which reaches all processes of a terminal


def by_death(proxy: Pointsman) -> None:
    proxy.signal(signal.SIGKILL)


@pytest.mark.parametrize("end", [by_signal, by_request, by_ctrl_c, by_death])
def test_what_is_under_way_on_all_workers_finishes(
    tmp_path: Path, instances: Site, end: Callable[[Pointsman], None]
) -> None:
    with (
        pointsman(tmp_path, instances) as proxy,
        Processes(proxy, proxy.port).client_of_each() as clients,
        Load(tmp_path, f"{proxy.url}/headers", clients=8) as load,
    ):
        pids = Processes(proxy, proxy.port).children()
        assert len(pids) == 3
        for client in clients.values():
            client.request("GET", "/slow?seconds=1", headers={"Host": "slow"})
        until(lambda: proxy.service("slow")["in_flight"] == 2, "both are under way")
        end(proxy)
        until(lambda: refused(proxy.port), "nobody is accepted any more")
        answers = [client.getresponse() for client in clients.values()]
        assert [(answer.status, len(answer.read()) > 0) for answer in answers] == [(200, True)] * 2
        assert {answer.getheader("Connection") for answer in answers} == {"close"}
        status = proxy.wait(10)
        until(lambda: not any(runs(pid) for pid in pids), "all have ended")
        result = load.finish()
        assert "Traceback" not in proxy.output()
    assert status == (-signal.SIGKILL if end is by_death else 0)
    assert not [one.reason for one in result.failed if one.reason != REFUSED]


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_second_signal_ends_all_workers_at_once(tmp_path: Path, instances: Site) -> None:
    with (
        pointsman(tmp_path, instances, drain_timeout="60s") as proxy,
        Processes(proxy, proxy.port).client_of_each() as clients,
    ):
        pids = Processes(proxy, proxy.port).children()
        for client in clients.values():
            client.request("GET", "/slow?seconds=30", headers={"Host": "slow"})
        until(lambda: proxy.service("slow")["in_flight"] == 2, "both are under way")
        proxy.signal(signal.SIGTERM)
        until(lambda: proxy.readyz().status == 503, "it drains")
        proxy.signal(signal.SIGTERM)
        assert proxy.wait(10) == 0
        for client in clients.values():
            with pytest.raises((OSError, http.client.HTTPException)):
                client.getresponse()
        assert not any(runs(pid) for pid in pids)
