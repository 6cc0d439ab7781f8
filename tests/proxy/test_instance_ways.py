"""PROXY headers to instances, unix sockets, IPv6, and the neighbours that pointsman must get on with."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiohttp import web

from config.units import Bind
from discovery.instance import Instance, Snapshot
from proxy.http.connections import UpstreamOptions
from proxy.http.heads import HeadLimits, ResponseReader
from proxy.proxy_protocol import V2_FIXED, Ends, Version, header, length_v2, own_header, parse_v1, parse_v2
from proxy.sockets import listen
from tests.proxy.http.scripted import GET, OK, OK_SENT, Peer, Proxy, proxying
from tests.proxy.running import running, until
from tests.servers import beside
from tests.servers.debian import DebianProgram, debian_program
from tests.servers.ports import free_port
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

FAR = Ends(("192.0.2.7", 5555), ("203.0.113.1", 80))
FAR_6 = Ends(("2001:db8::7", 5555), ("2001:db8::1", 80))


@pytest.fixture
def program(pytestconfig: pytest.Config) -> Callable[[str], DebianProgram]:
    return lambda name: had_or_skipped(pytestconfig, name, lambda: debian_program(name))


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


async def proxy_header(peer: Peer, version: Version) -> Ends | None:
    """Take the header that an instance gets."""
    if version == "v1":
        return parse_v1(await peer.through(b"\r\n"))
    fixed = await peer.exactly(V2_FIXED)
    return parse_v2(fixed + await peer.exactly(length_v2(fixed)))


def tell_instances(proxy: Proxy, version: Version) -> None:
    """Have them told of clients from now on."""
    limits = HeadLimits()
    options = UpstreamOptions(ResponseReader(limits), limits, 5.0, 60.0, proxy_protocol=version)
    proxy.service._options = options
    snapshot = Snapshot("shop", tuple(Instance("new", one.address, one.port) for one in proxy.instances))
    proxy.service.follow(snapshot)
    proxy.endpoints = list(proxy.service.pool.endpoints)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_instances_are_told_of_the_client_and_no_connection_is_kept(version: Version) -> None:
    async with proxying() as proxy:
        tell_instances(proxy, version)
        client = await proxy.client()
        for _ in range(2):
            await client.send(GET)
            peer = await proxy.instance.accept()
            expected = Ends(client.sock.getsockname(), client.sock.getpeername())
            assert await proxy_header(peer, version) == expected
            assert (await peer.through()).startswith(b"GET / HTTP/1.1\r\n")
            await peer.send(OK)
            await client.gets(OK_SENT)
            await peer.gone()
        assert proxy.idle == 0


async def test_a_client_of_a_unix_socket_is_told_of_as_one_without_an_address(tmp_path: Path) -> None:
    async with proxying(bind=Bind(path=str(tmp_path / "web.sock"))) as proxy:
        tell_instances(proxy, "v1")
        _, peer = await proxy.asking()
        assert await peer.through(b"\r\n") == b"PROXY UNKNOWN\r\n"


@contextlib.asynccontextmanager
async def told(address: str, **service: Any) -> AsyncIterator[Any]:
    config = {
        "listeners": [{"bind": "127.0.0.1:0", "proxy_protocol": ["127.0.0.1"]}],
        "services": {"web": {"discovery": {"static": [address]}, **service}},
    }
    async with running(config) as proxy:
        yield proxy


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("ends", [FAR, FAR_6], ids=["TCP4", "TCP6"])
async def test_haproxy_in_front_and_behind(
    program: Callable[[str], DebianProgram], tmp_path: Path, version: Version, ends: Ends
) -> None:
    """A header of ours to HAProxy, which passes it on to pointsman, which passes it on to HAProxy, which shows it."""
    front, behind = free_port(), free_port()
    shows = beside.haproxy(
        program("haproxy"), tmp_path, behind, "", bind=f"127.0.0.1:{behind} accept-proxy",
        rules="http-request return status 200 content-type text/plain lf-string %[src]:%[src_port]:%[dst]:%[dst_port]",
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        shows.start()
        stack.callback(shows.kill)
        async with told(f"127.0.0.1:{behind}", proxy_protocol=version) as proxy:
            port = proxy.application.listeners[0].ports[0]
            send = "send-proxy" if version == "v1" else "send-proxy-v2"
            passes = beside.haproxy(
                program("haproxy"), tmp_path, front, f"server us 127.0.0.1:{port} {send}", mode="tcp",
                bind=f"127.0.0.1:{front} accept-proxy",
            )  # fmt: skip
            await asyncio.to_thread(passes.start)
            stack.callback(passes.kill)
            reader, writer = await asyncio.open_connection("127.0.0.1", front)
            writer.write(header(version, ends) + b"GET / HTTP/1.0\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            (source, source_port), (destination, destination_port) = ends.source, ends.destination
            assert answer.endswith(f"{source}:{source_port}:{destination}:{destination_port}".encode()), answer


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_probes_say_that_they_speak_for_nobody(version: Version) -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        expected = own_header(version)
        seen.append(await reader.readexactly(len(expected)))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        health = {"probe": {"http": "/", "interval": "20ms", "initial": "fail"}}
        service = {"discovery": {"static": [address]}, "proxy_protocol": version, "health": health}
        async with running({"services": {"web": service}}) as proxy:
            await until(lambda: proxy.application.services["web"].pool.candidates)
            assert set(seen) == {own_header(version)}


async def test_nginx_wants_a_header_tls_and_our_certificate(
    program: Callable[[str], DebianProgram], tmp_path: Path
) -> None:
    ca, port = trustme.CA(), free_port()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("web.internal").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    ca.issue_cert("us.internal", common_name="pointsman").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "us.pem"
    )
    server = f"""listen 127.0.0.1:{port} ssl proxy_protocol;
    ssl_certificate {tmp_path}/server.pem;
    ssl_certificate_key {tmp_path}/server.pem;
    ssl_client_certificate {tmp_path}/ca.pem;
    ssl_verify_client on;"""
    health = {"probe": {"http": "/", "interval": "50ms", "initial": "fail"}}
    tls = {"ca": "ca.pem", "server_name": "web.internal", "cert": "us.pem"}
    service = {
        "discovery": {"static": [f"127.0.0.1:{port}"]}, "tls": tls, "proxy_protocol": "v2", "health": health
    }  # fmt: skip
    nginx = beside.nginx(program("nginx"), tmp_path, port, server)
    listeners = [{"bind": "127.0.0.1:0", "proxy_protocol": ["127.0.0.1"]}]
    with contextlib.ExitStack() as stack:
        nginx.start()
        stack.callback(nginx.kill)
        async with running({"listeners": listeners, "services": {"web": service}}, tmp_path) as proxy:
            await until(lambda: proxy.application.services["web"].pool.candidates)  # the probe got through too
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.application.listeners[0].ports[0])
            stack.callback(writer.close)
            for number in range(2):
                writer.write(header("v2", FAR) + GET if not number else GET)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                assert head.startswith(b"HTTP/1.1 200 "), head
                words = (await reader.readline()).decode().split()
                assert words[0] == "192.0.2.7"
                assert ("CN=pointsman" in words[2], words[-2]) == (True, "web.internal")
                assert words[-1] == ("r" if number else ".")  # the second connection resumed the first one's session


async def test_openssl_refuses_us_without_a_certificate(
    program: Callable[[str], DebianProgram], tmp_path: Path
) -> None:
    ca, port = trustme.CA(), free_port()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("127.0.0.1", "pointsman").private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    asks = ("-cert", str(tmp_path / "both.pem"), "-Verify", "2", "-CAfile", str(tmp_path / "ca.pem"))
    server = beside.s_server(program("openssl"), tmp_path, port, "-verify_return_error", "-quiet", *asks)
    with contextlib.ExitStack() as stack:
        server.start()
        stack.callback(server.kill)
        for more, status in [({}, 502), ({"cert": "both.pem"}, 200)]:
            tls = {"ca": "ca.pem", **more}
            service = {"discovery": {"static": [f"127.0.0.1:{port}"]}, "tls": tls}
            async with running({"services": {"web": service}}, tmp_path) as proxy:
                assert (await proxy.get())[0] == status


@contextlib.asynccontextmanager
async def unix_instance(path: Path) -> AsyncIterator[list[str]]:
    """An instance on a unix socket; yields the Host of each request."""
    hosts: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        hosts.append(request.headers["Host"])
        return web.Response(text="from the socket")

    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield hosts
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("probe", [{"http": "/healthz"}, {"tcp": True}])
async def test_instances_on_unix_sockets(tmp_path: Path, probe: dict[str, Any]) -> None:
    path = tmp_path / "app.sock"
    log = tmp_path / "access.log"
    config = {
        "services": {
            "web": {
                "discovery": {"static": [f"unix:{path}"]},
                "health": {"probe": {**probe, "interval": "20ms", "initial": "fail"}},
            }
        },
        "access_log": {"path": str(log)},
    }
    async with unix_instance(path) as hosts, running(config) as proxy:
        await until(lambda: proxy.application.services["web"].pool.candidates)
        assert await proxy.get() == (200, "from the socket")
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.application.listeners[0].ports[0])
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"from the socket")
        writer.close()
        assert hosts[-1] == "localhost"
        _, shown = await proxy.admin("/api/v1/services/web")
        [endpoint] = shown["endpoints"]
        assert (endpoint["id"], endpoint["address"]) == (f"unix:{path}", f"unix:{path}")
        _, metrics = await proxy.admin("/metrics")
        assert f"unix:{path}" in metrics
    assert f"unix:{path}" in log.read_text()


async def test_instances_on_unix_sockets_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    (tmp_path / "web.yaml").write_text(
        f"- unix:{path}\n- {{address: 'unix:{path}2', id: other, weight: 0}}\n- unix:x\n"
    )
    async with (
        unix_instance(path),
        running({"services": {"web": {"discovery": {"file": "web.yaml"}}}}, tmp_path) as proxy,
    ):
        await until(lambda: proxy.application.services["web"].pool.endpoints)
        assert await proxy.get() == (200, "from the socket")
        ids = {endpoint.instance.id for endpoint in proxy.application.services["web"].pool.endpoints}
        assert ids == {f"unix:{path}", "other"}


async def test_a_socket_that_nobody_listens_on_is_a_failed_connection(tmp_path: Path) -> None:
    async with running({"services": {"web": {"discovery": {"static": [f"unix:{tmp_path}/none"]}}}}) as proxy:
        status, text = await proxy.get()
        assert (status, "connection failed: No such file or directory" in text) == (502, True)


async def test_a_listener_s_socket_gets_the_rights_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "front.sock"
    for sock in listen(Bind(path=str(path)), 0o606):
        assert stat.S_IMODE(path.stat().st_mode) == 0o606
        sock.close()


@ipv6
async def test_ipv6_from_end_to_end() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # a probe by TCP says nothing
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))
        writer.close()

    async with await asyncio.start_server(answer, "::1", 0) as server:
        address = f"[::1]:{server.sockets[0].getsockname()[1]}"
        config = {
            "listeners": [{"bind": "[::1]:0", "proxy_protocol": ["::1"], "forwarded": "both"}],
            "services": {
                "web": {
                    "discovery": {"static": [address]},
                    "health": {"probe": {"tcp": True, "interval": "20ms", "initial": "fail"}},
                }
            },
        }
        async with running(config) as proxy:
            await until(lambda: proxy.application.services["web"].pool.candidates)
            for first, client in [(own_header("v2"), "::1"), (header("v1", FAR_6), "2001:db8::7")]:
                reader, writer = await asyncio.open_connection("::1", proxy.application.listeners[0].ports[0])
                writer.write(first + b"GET / HTTP/1.0\r\n\r\n")
                got = await asyncio.wait_for(reader.read(), 10)
                writer.close()
                assert f"X-Forwarded-For: {client}\r\n".encode() in got
                assert f'Forwarded: for="[{client}]"'.encode() in got
                assert f"Host: {address}\r\n".encode() in got
