"""A Consul agent in dev mode: server and agent in one, nothing kept on disk."""

from __future__ import annotations

import functools
import json
import os
import shutil
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tests.servers.fetch import UnavailableError, debian_package
from tests.servers.ports import free_ports
from tests.servers.process import ServerProcess
from tests.servers.program import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAM_FROM_USER = "POINTSMAN_TEST_CONSUL"
SUITE = "bullseye"  # the last Debian release that holds Consul: 1.8.7

# A proxy that the environment names is not for servers on this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@functools.cache
def program() -> Path:
    """Return the path of the program; UnavailableError when it cannot be had.

    It is the cached one even where the system has a Consul, so that results are the same everywhere; the environment
    variable POINTSMAN_TEST_CONSUL names another.
    """
    named = os.environ.get(PROGRAM_FROM_USER)
    if named:
        found = shutil.which(named)
        if found is None:
            raise UnavailableError(f"{PROGRAM_FROM_USER}={named} is not a program")
        return Path(found)
    return debian_package("consul", SUITE) / "usr/bin/consul"


class ConsulApi:
    """What an agent is told by HTTP. The calls block for a few milliseconds each, which a test's loop can bear."""

    port: int
    acl_token = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Send one request and return the decoded JSON of the answer, or None for an empty one."""
        url = f"{self.address}{path}?{urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"X-Consul-Token": self.acl_token}, method=method)
        try:
            with _open(request, timeout=10) as response:
                answer = response.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")
            raise AssertionError(f"{method} {path}: HTTP {error.code}: {said}") from None
        return json.loads(answer) if answer else None

    def register(self, definition: Mapping[str, object]) -> None:
        """Register a service: `{"Name": "web", "ID": "web-1", "Address": "10.0.0.1", "Port": 80}` and so on."""
        self.call("PUT", "/v1/agent/service/register", definition)

    def deregister(self, service_id: str) -> None:
        self.call("PUT", f"/v1/agent/service/deregister/{quote(service_id, safe='')}")

    def maintenance(self, service_id: str, enable: bool, reason: str = "") -> None:
        path = f"/v1/agent/service/maintenance/{quote(service_id, safe='')}"
        self.call("PUT", path, enable=str(enable).lower(), reason=reason)

    def set_check(self, check_id: str, status: str, output: str = "") -> None:
        """Tell a TTL check its status: `passing`, `warning` or `critical`."""
        path = f"/v1/agent/check/update/{quote(check_id, safe='')}"
        self.call("PUT", path, {"Status": status, "Output": output})

    def services(self) -> dict[str, Any]:
        """Return what is registered with this agent, by ID."""
        services: dict[str, Any] = self.call("GET", "/v1/agent/services")
        return services


class ConsulAgent(ConsulApi):
    """One agent on ports of its own. It is started by `start`, and comes back empty on the same ports by another one.

    With a `server` it is a client agent of that one's datacenter, as there is one on each machine.
    `acl_token` turns ACLs on, with nothing allowed to those who do not show this token. Agents of two datacenters know
    each other after `federate`.
    """

    def __init__(
        self, folder: Path, acl_token: str = "", datacenter: str = "dc1", server: ConsulAgent | None = None
    ) -> None:
        self.acl_token = acl_token
        self.port, self.dns_port, server_port, self.lan_port, self.wan_port = free_ports(5)
        mode = ["-dev"]
        if server is not None:
            mode = ["-data-dir", str(folder / "data"), "-node", "client", "-retry-join", f"127.0.0.1:{server.lan_port}"]
        command = [
            str(program()), "agent", *mode, "-bind", "127.0.0.1", "-client", "127.0.0.1", "-log-level", "warn",
            "-http-port", str(self.port), "-server-port", str(server_port), "-serf-lan-port", str(self.lan_port),
            "-serf-wan-port", str(self.wan_port), "-grpc-port", "-1", "-dns-port", str(self.dns_port),
            "-datacenter", datacenter,
        ]  # fmt: skip
        if acl_token:
            tokens = {"master": acl_token, "agent": acl_token}
            config = folder / "acl.json"
            config.write_text(json.dumps({"acl": {"enabled": True, "default_policy": "deny", "tokens": tokens}}))
            command += ["-config-file", str(config)]
        self._process = ServerProcess(command, folder / "consul.log", self._is_ready)
        self.start = self._process.start
        self.stop = self._process.stop
        self.kill = self._process.kill
        self.freeze = self._process.freeze
        self.thaw = self._process.thaw
        self.output = self._process.output

    @property
    def pid(self) -> int:
        return self._process.pid

    def federate(self, other: ConsulAgent) -> None:
        """Have this datacenter and the other one's agent ask each other."""
        self.call("PUT", f"/v1/agent/join/127.0.0.1:{other.wan_port}", wan="1")

    def _is_ready(self) -> bool:
        """Ready when a leader is elected and has written this node and its health to the catalog."""
        request = urllib.request.Request(f"{self.address}/v1/health/service/consul?passing=true")
        request.add_header("X-Consul-Token", self.acl_token)
        with _open(request, timeout=5) as response:
            return bool(json.load(response))


@contextmanager
def two_datacenters(folder: Path) -> Iterator[tuple[ConsulAgent, ConsulAgent]]:
    """Run the only agents of dc1 and dc2, which know each other, while the block lasts."""
    with ExitStack() as stack:
        both = []
        for name in ("dc1", "dc2"):
            (folder / name).mkdir()
            agent = ConsulAgent(folder / name, datacenter=name)
            agent.start()
            stack.callback(agent.stop)
            both.append(agent)
        here, there = both
        here.federate(there)
        until(lambda: sorted(here.call("GET", "/v1/catalog/datacenters")) == ["dc1", "dc2"], "both are known")
        yield here, there
