"""What a process has of memory when nothing happens, and what a connection adds on which nothing happens.

Each test prints what it measured.
"""

from __future__ import annotations

import json
import platform
import resource
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.servers.crowd import Crowd
from tests.servers.instances import Instances
from tests.servers.pointsman import COMMAND, Pointsman
from tests.servers.ports import free_ports
from tests.servers.program import Program, ask, resident, until

KIB, MIB = 1024, 2**20
AT_REST = 45 * MIB
IDLE = 2_000
A_CONNECTION = 4 * KIB

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or sys.implementation.name != "cpython",
    reason="the bounds are those of CPython on Linux on x86-64",
)


def probed(addresses: list[dict[str, object]]) -> dict[str, Any]:
    """A service as most are: probed, and with everything that is on by default."""
    return {"web": {"discovery": {"static": addresses}, "health": {"probe": {"http": "/", "interval": "100ms"}}}}


class Plain(Program):
    """A pointsman without an admin address."""

    def __init__(self, folder: Path, addresses: list[dict[str, object]]) -> None:
        [self.port] = free_ports(1)
        config = {
            "listeners": [{"bind": f"127.0.0.1:{self.port}"}],
            "routes": [{"service": "web"}],
            "services": probed(addresses),
        }
        file = folder / "plain.yaml"
        file.write_text(json.dumps(config))
        super().__init__([COMMAND, "run", "-c", str(file)], folder / "plain.log", self._accepts)

    def _accepts(self) -> bool:
        socket.create_connection(("127.0.0.1", self.port)).close()
        return True


def test_a_process_at_rest(tmp_path: Path) -> None:
    with Instances(tmp_path, "calm") as instances, Plain(tmp_path, instances.addresses()) as proxy:
        for _ in range(20):
            assert ask(proxy.port, "/").status == 200
        memory = proxy.memory()
    print(f"\nat rest, after 20 requests, with probes: {memory / MIB:.1f} MiB")
    assert memory < AT_REST


def test_a_process_at_rest_with_an_admin_address(tmp_path: Path) -> None:
    with Instances(tmp_path, "calm") as instances, Pointsman(tmp_path, probed(instances.addresses())) as proxy:
        for _ in range(20):
            assert ask(proxy.port, "/").status == 200
            assert ask(proxy.admin_port, "/metrics").status == 200
            assert proxy.endpoints("web")
        memory = proxy.memory()
    print(f"\nthe same with an admin address, after 20 scrapes: {memory / MIB:.1f} MiB")
    assert memory < AT_REST


def test_a_process_at_rest_that_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("shop.test")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "shop.pem")
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    [port] = free_ports(1)
    listener = {"bind": f"127.0.0.1:{port}", "tls": {"certificates": [{"cert": "shop.pem"}]}}
    with (
        Instances(tmp_path, "calm") as instances,
        Pointsman(tmp_path, probed(instances.addresses()), listeners=[listener]) as proxy,
    ):
        for _ in range(20):
            with (
                socket.create_connection(("127.0.0.1", port), timeout=10) as sock,
                context.wrap_socket(sock, server_hostname="shop.test") as client,
            ):
                client.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            assert ask(proxy.admin_port, "/metrics").status == 200
        memory = proxy.memory()
        [shown] = proxy.admin("/certificates")["certificates"]
        assert shown["names"] == ["shop.test"]
    print(f"\na listener with TLS, after 20 handshakes and scrapes: {memory / MIB:.1f} MiB")
    assert memory < AT_REST


def test_a_process_at_rest_that_can_be_taken_over(tmp_path: Path) -> None:
    with (
        Instances(tmp_path, "calm") as instances,
        Pointsman(tmp_path, probed(instances.addresses()), takeover={"socket": "t.sock"}) as proxy,
    ):
        for _ in range(20):
            assert ask(proxy.port, "/").status == 200
            assert ask(proxy.admin_port, "/metrics").status == 200
        memory = proxy.memory()
    print(f"\nwith a socket for takeovers, after 20 scrapes: {memory / MIB:.1f} MiB")
    assert memory < AT_REST


def test_several_workers_at_rest(tmp_path: Path) -> None:
    with (
        Instances(tmp_path, "calm") as instances,
        Pointsman(tmp_path, probed(instances.addresses()), workers=2) as proxy,
    ):
        for _ in range(20):
            assert ask(proxy.port, "/").status == 200
            assert ask(proxy.admin_port, "/metrics").status == 200
        children = [int(pid) for pid in Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read_text().split()]
        memory = {pid: resident(pid) for pid in (proxy.pid, *children)}
    print(
        f"\nthe supervisor, the control process and two workers: {[f'{one / MIB:.1f} MiB' for one in memory.values()]}"
    )
    assert len(memory) == 4
    assert max(memory.values()) < AT_REST


def test_an_idle_connection(tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < IDLE * 2:
        pytest.skip(f"a process may have no more than {most} file descriptors here")
    with (
        Instances(tmp_path, "patient") as instances,
        Pointsman(tmp_path, probed(instances.addresses()), descriptors=most) as proxy,
    ):
        with Crowd(tmp_path, proxy.port, 100, "idle"):  # what the first connections of all bring along
            pass
        until(lambda: not proxy.clients(), "they have left")
        before = proxy.memory()
        with Crowd(tmp_path, proxy.port, IDLE, "idle"):
            until(lambda: proxy.clients() == IDLE, "all are connected")
            grown = (proxy.memory() - before) / IDLE
    print(f"\nan idle connection, after a request: {grown / KIB:.2f} KiB, of {IDLE}")
    assert grown < A_CONNECTION
