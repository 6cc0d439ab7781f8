"""With several workers clients find one pointsman: what one of its processes knows is heeded by all."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from proxy.workers.running import workers_of
from tests.servers.instances import Site
from tests.servers.pointsman import Pointsman, in_consul
from tests.servers.ports import free_ports
from tests.servers.processes import Client, Processes, answered_by, established
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.consul import ConsulAgent

NAMES = ("failing", "workers-1", "workers-2")
PASSIVE = {"consecutive_5xx": 3, "base_ejection_time": "60s", "max_ejection_percent": "50%"}
SEVERAL = 16  # requests or connections


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), *NAMES) as instances:
        yield instances


@pytest.fixture
def both(instances: Site) -> list[dict[str, object]]:
    return [one for one in instances.addresses() if one["id"] != "failing"]


def pointsman(folder: Path, services: dict[str, Any], **more: Any) -> Pointsman:
    return Pointsman(folder, services, **{"workers": 2, "drain_timeout": "3s", **more})


def test_an_instance_is_probed_as_often_as_by_one_process(tmp_path: Path) -> None:
    probes: Counter[str] = Counter()

    class Counts(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            probes[self.path] += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Counts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def probed(path: str, workers: int) -> Pointsman:
            probe = {"http": path, "interval": "100ms"}
            static = {"static": [f"127.0.0.1:{server.server_address[1]}"]}
            (tmp_path / path[1:]).mkdir()
            web = {"discovery": static, "health": {"probe": probe}}
            return pointsman(tmp_path / path[1:], {"web": web}, workers=workers)

        with probed("/one", 1), probed("/four", 4):
            probes.clear()
            until(lambda: probes["/one"] >= 15, "there were probes")
            seen = dict(probes)
        server.shutdown()
    print(f"\nprobes: {seen}")
    assert seen["/four"] < 2 * seen["/one"]


def test_a_registry_is_asked_by_the_control_process_alone(consul: ConsulAgent, tmp_path: Path, instances: Site) -> None:
    services = [f"workers-web-{number}" for number in range(3)]
    tag, mine = "urlprefix-tagged.workers/", {"of": "several-workers"}
    for name in services:
        registration = {**instances.registration(name, "workers-1"), "ID": f"{name}-1"}
        consul.register({**registration, "Tags": [tag] if name == services[2] else [], "Meta": mine})
    catalog = {"consul": {"address": consul.address, "filter": 'Service.Meta.of == "several-workers"'}}
    try:
        with pointsman(
            tmp_path, {name: in_consul(consul.address, name) for name in services[:2]}, catalogs=[catalog]
        ) as proxy:
            processes = Processes(proxy, proxy.port)
            with processes.client_of_each(services[0]) as clients:
                for client in clients.values():
                    until(lambda client=client: answered_by(client, "tagged.workers") == {"workers-1"}, "the route")  # type: ignore[misc]
                control, workers = processes.control(), processes.workers().values()
                assert not any(established(pid, consul.port) for pid in workers)
                # A watch for each service, and one for the list of services.
                until(lambda: established(control, consul.port) == 4, "one watch each")
                for name in services:
                    consul.register({**instances.registration(name, "workers-2"), "ID": f"{name}-1", "Meta": mine,
                                     "Tags": [tag] if name == services[2] else []})  # fmt: skip
                for client in clients.values():
                    for host in (services[0], services[1], "tagged.workers"):
                        until(lambda client=client, host=host: answered_by(client, host) == {"workers-2"}, "the change")  # type: ignore[misc]
    finally:
        for name in services:
            consul.deregister(f"{name}-1")


def test_what_one_worker_finds_bad_no_other_one_asks(tmp_path: Path, instances: Site) -> None:
    some = [one for one in instances.addresses() if one["id"] != "workers-1"]
    web = {"discovery": {"static": some}, "health": {"passive": PASSIVE, "panic_threshold": "0%"}}
    ask(instances.ports["failing"], "/behave?how=500", "POST")
    with pointsman(tmp_path, {"ok": {"discovery": {"static": some[-1:]}}, "web": web}) as proxy:
        with Processes(proxy, proxy.port).client_of_each("ok") as clients:
            answers = [clients[1].ask(host="web").status for _ in range(SEVERAL)]
            assert answers.count(500) == 3
            # Which also asks the other worker what it has counted, so that it has heard of it.
            assert proxy.endpoints("web")["failing"]["state"] == "ejected"
            assert [clients[2].ask(host="web").status for _ in range(SEVERAL)] == [200] * SEVERAL
        assert len(proxy.events("ejected")) == 1
        assert proxy.metric('pointsman_ejections_total{reason="5xx",service="web"}') == 1
    ask(instances.ports["failing"], "/behave?how=well", "POST")


def test_what_an_operator_sets_is_heeded_by_all(tmp_path: Path, both: list[dict[str, object]]) -> None:
    web = {"discovery": {"static": both}}
    splits = {"all": {"services": {"web": 1, "other": 0}}}
    routes = [{"host": "split", "split": "all"}, {"service": "web"}]
    answer = {"discovery": {"static": both[:1]}}
    with pointsman(tmp_path, {"web": web, "other": answer}, splits=splits, routes=routes) as proxy:
        endpoints = "/api/v1/services/web/endpoints"

        def heard(host: str, expected: set[str]) -> None:
            for client in clients.values():
                until(lambda client=client: answered_by(client, host) == expected, f"{expected}")  # type: ignore[misc]

        with Processes(proxy, proxy.port).client_of_each() as clients:
            heard("web", {"workers-1", "workers-2"})
            assert ask(proxy.admin_port, f"{endpoints}/workers-1/drain", "POST").status == 200
            heard("web", {"workers-2"})
            assert ask(proxy.admin_port, f"{endpoints}/workers-1/undrain", "POST").status == 200
            heard("web", {"workers-1", "workers-2"})
            assert ask(proxy.admin_port, f"{endpoints}/workers-2", "PATCH", {"weight": 0}).status == 200
            heard("web", {"workers-1"})
            assert ask(proxy.admin_port, f"{endpoints}/workers-2", "PATCH", {"weight": None}).status == 200
            assert ask(proxy.admin_port, f"{endpoints}/workers-1", "PATCH", {"weight": 0}).status == 200
            heard("split", {"workers-2"})
            weights = {"services": {"web": 0, "other": 1}}
            assert ask(proxy.admin_port, "/api/v1/splits/all", "PATCH", weights).status == 200
            heard("split", {"workers-1"})


def test_a_rate_limit_is_shared_and_places_are_divided(tmp_path: Path, both: list[dict[str, object]]) -> None:
    static = {"discovery": {"static": both}}
    limited = {"host": "limited", "service": "web", "rate_limit": {"requests": 10, "per": "1h", "by": "route"}}
    slow = {**static, "limits": {"in_flight": 4, "queue": 0}}
    routes = [limited, {"host": "slow", "service": "slow"}, {"service": "web"}]
    with pointsman(tmp_path, {"web": static, "slow": slow}, routes=routes) as proxy:
        processes = Processes(proxy, proxy.port)
        with processes.client_of_each() as one, processes.client_of_each() as two, processes.client_of_each() as three:
            answers = Counter(one[number].ask(host="limited").status for _ in range(10) for number in (1, 2))
            assert answers == {200: 10, 429: 10}
            for clients in (one, two):
                for client in clients.values():
                    client.request("GET", "/slow?seconds=1", headers={"Host": "slow"})
            until(lambda: proxy.service("slow")["in_flight"] == 4, "all places are taken")
            assert [three[number].ask(host="slow").status for number in (1, 2)] == [503, 503]
            assert [client.getresponse().status for clients in (one, two) for client in clients.values()] == [200] * 4


def test_the_connections_of_a_listener_are_divided(tmp_path: Path, both: list[dict[str, object]]) -> None:
    (port,) = free_ports(1)
    listeners = [{"bind": f"127.0.0.1:{port}", "limits": {"connections": 6}}]
    with pointsman(tmp_path, {"web": {"discovery": {"static": both}}}, listeners=listeners) as proxy:
        found = []
        try:
            for _ in range(SEVERAL * 2):
                client = Client(port)
                found.append(client)
                assert client.ask().status in (200, 503)
            statuses = Counter(client.ask().status for client in found if is_open(client))
            owners = Counter(Processes(proxy, port).connections()[client.near] for client in found if is_open(client))
        finally:
            for client in found:
                client.close()
    assert statuses == {200: 6}
    assert owners == {1: 3, 2: 3}


def is_open(client: Client) -> bool:
    return client.sock is not None


def test_all_kinds_of_listeners_and_one_access_log(tmp_path: Path, both: list[dict[str, object]]) -> None:
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert.pem"))
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    plain, secure, raw = free_ports(3)
    listeners = [
        {"bind": f"127.0.0.1:{plain}"},
        {"bind": f"127.0.0.1:{secure}", "tls": {"certificates": [{"cert": "cert.pem"}]}},
        {"bind": f"127.0.0.1:{raw}", "tcp": {"service": "web"}},
        {"bind": f"unix:{tmp_path}/w.sock"},
    ]
    log = tmp_path / "access.log"
    web = {"discovery": {"static": both}}
    with pointsman(tmp_path, {"web": web}, listeners=listeners, access_log={"path": "access.log"}) as proxy:
        for port in (plain, raw):
            assert {ask(port, "/headers").status for _ in range(SEVERAL)} == {200}
        for _ in range(SEVERAL):
            assert https(secure, context) == 200
            assert by_unix_socket(str(tmp_path / "w.sock")).startswith(b"HTTP/1.1 200 ")
        assert Counter(Processes(proxy, raw).accepting()) == {1: 1, 2: 1}
        until(lambda: log.read_text().count("\n") == 4 * SEVERAL, "a line each")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert len({json.dumps(line, sort_keys=True) for line in lines}) == 4 * SEVERAL
        requests = [proxy.metric(f'pointsman_worker_requests_total{{worker="{number}"}}') for number in (1, 2)]
        assert sum(requests) == 4 * SEVERAL
        assert all(requests)
    assert not (tmp_path / "w.sock").exists()


def https(port: int, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=context)
    try:
        connection.request("GET", "/headers", headers={"Connection": "close"})
        with connection.getresponse() as answer:
            answer.read()
            return answer.status
    finally:
        connection.close()


def by_unix_socket(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(path)
        sock.sendall(b"GET /headers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_one_worker_is_the_only_process(tmp_path: Path, both: list[dict[str, object]]) -> None:
    with pointsman(tmp_path, {"web": {"discovery": {"static": both}}}, workers=1) as proxy:
        assert Processes(proxy, proxy.port).children() == {}
        assert "\npointsman_worker" not in ask(proxy.admin_port, "/metrics").text
        sockets = [os.readlink(f"/proc/{proxy.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{proxy.pid}/fd")]
        channels = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if " 0005 " in line}
        assert not [one for one in sockets if one.removeprefix("socket:[").rstrip("]") in channels]


def test_auto_is_as_many_as_processors(tmp_path: Path, both: list[dict[str, object]]) -> None:
    with pointsman(tmp_path, {"web": {"discovery": {"static": both}}}, workers="auto") as proxy:
        wanted = workers_of("auto")
        assert len(Processes(proxy, proxy.port).workers()) == (wanted if wanted > 1 else 0)
