"""From a name in the DNS, and from a document at a URL, to answered requests."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from tests.servers.document import DocumentServer
from tests.servers.instances import Instances
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.unbound import Unbound


def who_answers(proxy: Pointsman, host: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_the_instances_of_all_kinds_of_records_and_of_a_document_are_asked(
    name_server: Unbound, tmp_path: Path
) -> None:
    document = DocumentServer()
    document.start()
    servers = [str(name_server.address)]
    try:
        with Instances(tmp_path, "one", "two") as instances:
            one, two = (f"127.0.0.1:{instances.ports[name]}" for name in ("one", "two"))
            name_server.serve(["web A 127.0.0.1", f"_http._tcp.web SRV 1 3 {instances.ports['two']} web"])
            document.document = [{"targets": [one], "labels": {"weight": "5"}}]
            services = {
                "a": {"dns": {"name": "web.lan", "port": instances.ports["one"], "servers": servers}},
                "srv": {"dns": {"name": "_http._tcp.web.lan", "type": "srv", "servers": servers}},
                "http": {"http": {"url": document.url, "interval": "100ms", "headers": {"X-Key": "a"}, "token": "b"}},
            }
            found = {name: {"discovery": how} for name, how in services.items()}
            with Pointsman(tmp_path, found) as proxy:
                until(lambda: all(proxy.endpoints(name) for name in services), "each service has an instance")
                assert [who_answers(proxy, name) for name in services] == ["one", "two", "one"]
                assert [proxy.endpoints(name)[at]["weight"] for name, at in (("srv", two), ("http", one))] == [3, 5]
                assert [proxy.service(name)["registry"]["kind"] for name in services] == ["dns", "dns", "http"]
                document.document = [two]
                until(lambda: proxy.in_traffic("http") == {two}, "the change is seen")
                assert who_answers(proxy, "http") == "two"
    finally:
        document.stop()
