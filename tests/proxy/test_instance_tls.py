"""TLS to instances, through a whole pointsman and real servers of TLS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
import trustme
from aiohttp import WSMsgType, web

from discovery.instance import Instance as InstanceValue
from discovery.instance import Snapshot
from proxy.tls import instances as module
from proxy.tls.pair import CertificateError
from tests.proxy.running import Running, running, until
from tests.servers.grpc_health import SERVING, GrpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from proxy.http.connections import Connections

CA = trustme.CA()
OTHER_CA = trustme.CA()


def server_context(*names: str, ca: trustme.CA = CA, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        CA.configure_trust(context)
    return context


class Instance:
    """An instance behind TLS; what it knows of the connections on which it was asked."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.address = ""
        self.names: list[str | None] = []  # SNI of each handshake
        self.asked: Counter[str] = Counter()  # by path
        self.resumed = 0
        self.connections: set[object] = set()
        self.protocols: set[str | None] = set()
        self.subjects: set[Any] = set()
        context.sni_callback = lambda speaker, name, context: self.names.append(name)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        speaker = transport.get_extra_info("ssl_object")
        if transport not in self.connections:
            self.connections.add(transport)
            self.resumed += speaker.session_reused
        self.protocols.add(speaker.selected_alpn_protocol())
        self.subjects.add(str(speaker.getpeercert()))
        self.asked[request.path] += 1
        if request.path == "/ws":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(f"you said {message.data}")
            return socket
        if request.path == "/big":
            return web.Response(body=await request.read() * 20)
        response = web.Response(text=f"hello by {speaker.version()}")
        if request.path == "/close":
            response.force_close()
        return response


@contextlib.asynccontextmanager
async def secured(context: ssl.SSLContext, path: str = "") -> AsyncIterator[Instance]:
    one = Instance(context)
    app = web.Application(client_max_size=2**26)
    app.add_routes([web.route("*", "/{path:.*}", one.answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = (
        web.UnixSite(runner, path, ssl_context=context)
        if path
        else web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    )
    await site.start()
    one.address = f"unix:{path}" if path else f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def asking(folder: Path, address: str, tls: dict[str, Any], **more: Any) -> AsyncIterator[Running]:
    CA.cert_pem.write_to_path(folder / "ca.pem")
    service = {"discovery": {"static": [address]}, "tls": tls, **more}
    async with running({"services": {"web": service}}, folder) as proxy:
        yield proxy


def connections_of(proxy: Running) -> Connections:
    [connections] = proxy.application.services["web"].connections.values()
    return connections


async def test_an_instance_is_verified_by_its_address_and_asked_for_no_name(tmp_path: Path) -> None:
    async with secured(server_context("127.0.0.1")) as one, asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
        assert await proxy.get() == (200, "hello by TLSv1.3")
        assert await proxy.get() == (200, "hello by TLSv1.3")
        assert (one.names, one.protocols, len(one.connections)) == ([None], {"http/1.1"}, 1)


async def test_an_instance_is_verified_by_its_host_name_and_asked_for_it(tmp_path: Path) -> None:
    async with secured(server_context("localhost")) as one:
        address = one.address.replace("127.0.0.1", "localhost")
        async with asking(tmp_path, address, {"ca": "ca.pem"}) as proxy:
            assert (await proxy.get())[0] == 200
            assert one.names == ["localhost"]


async def test_server_name_takes_the_place_of_the_address(tmp_path: Path) -> None:
    tls = {"ca": "ca.pem", "server_name": "web.internal"}
    async with secured(server_context("web.internal")) as one, asking(tmp_path, one.address, tls) as proxy:
        assert (await proxy.get())[0] == 200
        assert one.names == ["web.internal"]


@pytest.mark.parametrize(
    ("context", "tls", "reasons"),
    [
        (server_context("web.internal"), {"ca": "ca.pem"}, ["IP address mismatch", "the name wanted: 127.0.0.1"]),
        (
            server_context("web.internal"),
            {"ca": "ca.pem", "server_name": "shop.internal"},
            ["not valid for 'shop.internal'", "the name wanted: shop.internal"],
        ),
        (server_context("127.0.0.1", ca=OTHER_CA), {"ca": "ca.pem"}, ["issuer certificate", "those in ", "ca.pem"]),
        (server_context("127.0.0.1"), {}, ["the authorities: the system's"]),
    ],
    ids=["address", "name", "authority", "system"],
)
async def test_an_instance_that_cannot_be_trusted_is_not_asked(
    tmp_path: Path, context: ssl.SSLContext, tls: dict[str, Any], reasons: list[str]
) -> None:
    async with secured(context) as one, asking(tmp_path, one.address, tls) as proxy:
        status, text = await proxy.get()
        assert status == 502
        assert all(reason in text for reason in reasons), text
        assert one.asked == {}


async def test_the_journal_says_that_an_instance_was_ejected_for_its_certificate(tmp_path: Path) -> None:
    health = {"passive": {"consecutive_local_failures": 1}}
    async with secured(server_context("web.internal")) as one, secured(server_context("127.0.0.1")) as other:
        service = {"discovery": {"static": [one.address, other.address]}, "tls": {"ca": "ca.pem"}, "health": health}
        CA.cert_pem.write_to_path(tmp_path / "ca.pem")
        async with running({"services": {"web": service}}, tmp_path) as proxy:
            for _ in range(2):
                assert (await proxy.get())[0] == 200  # the other one answers
            _, told = await proxy.admin("/api/v1/events")
            [ejected] = [event for event in told["events"] if event["kind"] == "ejected"]
            assert "IP address mismatch" in ejected["reason"]
            assert ejected["endpoint"] == one.address


async def test_without_verification_anybody_will_do_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with secured(server_context("web.internal", ca=OTHER_CA)) as one:
        with caplog.at_level(logging.WARNING):
            async with asking(tmp_path, one.address, {"verify": False}) as proxy:
                for _ in range(2):
                    assert (await proxy.get("/close"))[0] == 200
        said = [record.message for record in caplog.records if "services.web.tls.verify is false" in record.message]
        assert len(said) == 1


async def test_an_instance_that_wants_a_certificate_gets_ours(tmp_path: Path) -> None:
    ours = CA.issue_cert("pointsman@example.com")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "ours.pem")
    async with secured(server_context("127.0.0.1", wants_client=True)) as one:
        async with asking(tmp_path, one.address, {"ca": "ca.pem", "cert": "ours.pem"}) as proxy:
            assert (await proxy.get())[0] == 200
            assert "pointsman@example.com" in str(one.subjects)
        async with asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
            assert (await proxy.get())[0] == 502


async def test_an_instance_that_speaks_no_tls_is_told_of(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asking(tmp_path, address, {"ca": "ca.pem"}) as proxy:
            status, text = await proxy.get()
            assert (status, "the instance does not speak it on this port" in text) == (502, True)


async def test_a_handshake_counts_within_the_time_to_connect(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asking(tmp_path, address, {"ca": "ca.pem"}, timeouts={"connect": "100ms"}) as proxy:
            status, text = await proxy.get()
            assert (status, "no connection within 0.1 s" in text) == (504, True)


async def test_the_oldest_version_holds(tmp_path: Path) -> None:
    context = server_context("127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with secured(context) as one:
        async with asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
            assert await proxy.get() == (200, "hello by TLSv1.2")
        async with asking(tmp_path, one.address, {"ca": "ca.pem", "min_version": "1.3"}) as proxy:
            assert (await proxy.get())[0] == 502


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_resumed(tmp_path: Path, version: ssl.TLSVersion) -> None:
    context = server_context("127.0.0.1")
    context.maximum_version = version
    async with secured(context) as one, asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
        for _ in range(3):
            assert (await proxy.get("/close"))[0] == 200
            await until(lambda: not connections_of(proxy).open)
        assert (len(one.connections), one.resumed) == (3, 2)


async def test_large_bodies_go_both_ways(tmp_path: Path) -> None:
    sent = os.urandom(1_000_003)
    async with (
        secured(server_context("127.0.0.1")) as one,
        asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy,
        proxy.session.post(proxy.url + "/big", data=sent) as response,
    ):
        assert await response.read() == sent * 20


async def test_many_requests_at_once_reuse_their_connections(tmp_path: Path) -> None:
    async with secured(server_context("127.0.0.1")) as one, asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
        for _ in range(5):
            answers = await asyncio.gather(*(proxy.get() for _ in range(20)))
            assert {status for status, _ in answers} == {200}
        assert len(one.connections) <= 25  # a ticket on its way costs a connection at the very worst
        assert proxy.application.services["web"].traffic.retries == 0


async def test_a_websocket_is_a_tunnel_that_either_side_can_end(tmp_path: Path) -> None:
    async with secured(server_context("127.0.0.1")) as one, asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
        async with proxy.session.ws_connect(proxy.url + "/ws") as client:
            await client.send_str("hello")
            message = await client.receive(timeout=5)
            assert (message.type, message.data) == (WSMsgType.TEXT, "you said hello")
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.application.listeners[0].ports[0])
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b" 101 " in await reader.readline()
        writer.write_eof()  # with TLS on the other side, half a connection is none
        await asyncio.wait_for(reader.read(), 5)
        await until(lambda: not proxy.application.services["web"].traffic.tunnels)
        writer.close()


@contextlib.asynccontextmanager
async def raw(answer: Any, port: int = 0) -> AsyncIterator[str]:
    async with await asyncio.start_server(answer, "127.0.0.1", port, ssl=server_context("127.0.0.1")) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("proper", [True, False])
async def test_a_response_that_ends_with_the_connection_needs_the_end_of_tls(tmp_path: Path, proper: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        await writer.drain()
        if not proper:
            transport: Any = writer.transport  # ends TCP and says nothing of it in TLS
            with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as end:
                end.shutdown(socket.SHUT_WR)
        writer.close()

    async with raw(answer) as address, asking(tmp_path, address, {"ca": "ca.pem"}) as proxy:
        if proper:
            assert await proxy.get() == (200, "half of it")
        else:
            with pytest.raises(aiohttp.ClientError):
                await proxy.get()
            assert proxy.application.services["web"].traffic.broken == 1


async def test_a_connection_with_an_unread_ticket_is_neither_lent_nor_thrown_away(tmp_path: Path) -> None:
    async with secured(server_context("127.0.0.1")) as one, asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
        await proxy.get()
        connections = connections_of(proxy)
        await until(lambda: connections.idle == 1)
        [upstream] = connections._idle
        assert not upstream.look(0)
        # What the loop has not read yet may be a ticket of TLS 1.3, or an answer that nobody asked for: who knows?
        [transport] = one.connections
        upstream.transport.pause_reading()
        await asyncio.sleep(0)
        transport.write(b"x")  # type: ignore[attr-defined]
        await until(lambda: upstream.look(0))
        assert upstream.is_doubtful()
        assert connections.take() is None
        assert connections.idle == 1  # its turn comes once the loop has read what there is
        upstream.transport.resume_reading()
        await until(lambda: connections.open == 0)  # which was no ticket, but an answer that nobody asked for
        assert (await proxy.get())[0] == 200


async def test_a_connection_that_the_instance_has_closed_is_not_lent(tmp_path: Path) -> None:
    async with secured(server_context("127.0.0.1")) as one, asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
        await proxy.get()
        [transport] = one.connections
        transport.close()  # type: ignore[attr-defined]
        await until(lambda: connections_of(proxy).idle == 0)
        assert (await proxy.get())[0] == 200
        assert len(one.connections) == 2


async def test_changed_files_are_taken_up_and_bad_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.0)
    context = server_context("127.0.0.1", ca=OTHER_CA)
    async with secured(context) as one, asking(tmp_path, one.address, {"ca": "ca.pem"}) as proxy:
        assert (await proxy.get())[0] == 502
        OTHER_CA.cert_pem.write_to_path(tmp_path / "ca.pem")
        assert (await proxy.get("/close"))[0] == 200
        (tmp_path / "ca.pem").write_text("nonsense")
        assert (await proxy.get("/close"))[0] == 200
        assert "services.web.tls.ca: " in caplog.text
        assert "what was there before stays in force" in caplog.text


async def test_files_that_cannot_be_used_are_told_of_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nonsense")
    for tls, wrong in [
        ({"ca": "none.pem"}, "services.web.tls.ca: .*none.pem cannot be read: No such file"),
        ({"ca": "bad.pem"}, "services.web.tls.ca: .*bad.pem holds no certificates in PEM"),
        ({"cert": "bad.pem"}, "services.web.tls.cert: .*bad.pem holds no certificate in PEM"),
    ]:
        with pytest.raises(CertificateError, match=wrong):
            async with asking(tmp_path, "127.0.0.1:1", tls):
                pass


@pytest.mark.parametrize("probe", [{"http": "/healthz"}, {"tcp": True}])
async def test_probes_speak_tls_too(tmp_path: Path, probe: dict[str, Any]) -> None:
    health = {"probe": {**probe, "interval": "20ms", "initial": "fail", "rise": 1}}
    async with secured(server_context("web.internal")) as one:
        tls = {"ca": "ca.pem", "server_name": "web.internal"}
        async with asking(tmp_path, one.address, tls, health=health) as proxy:
            [endpoint] = proxy.application.services["web"].pool.endpoints
            await until(lambda: endpoint.health.state == "healthy")
        async with asking(tmp_path, one.address, {"ca": "ca.pem"}, health=health) as proxy:
            [endpoint] = proxy.application.services["web"].pool.endpoints
            await until(lambda: endpoint.health.last_probe)
            assert "IP address mismatch" in endpoint.health.last_probe
            assert endpoint.health.state == "waiting"


async def test_probes_by_grpc_speak_tls_and_http_2(tmp_path: Path) -> None:
    pair = CA.issue_cert("127.0.0.1")
    certificate = b"".join(blob.bytes() for blob in pair.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(pair.private_key_pem.bytes(), certificate)])
    health = {"probe": {"grpc": "", "interval": "20ms", "initial": "fail"}}
    with GrpcServer(credentials=credentials) as server:
        server.set("", SERVING)
        async with asking(tmp_path, f"127.0.0.1:{server.port}", {"ca": "ca.pem"}, health=health) as proxy:
            await until(lambda: proxy.application.services["web"].pool.candidates)
            [endpoint] = proxy.application.services["web"].pool.endpoints
            assert endpoint.health.last_probe == "SERVING"


async def test_what_a_registry_says_is_secure_is_asked_by_tls_without_a_key_for_it(tmp_path: Path) -> None:
    async with secured(server_context("127.0.0.1")) as one:
        port = int(one.address.rpartition(":")[2])
        async with running({"services": {"web": {"discovery": {"static": ["127.0.0.1:1"]}}}}) as proxy:
            service = proxy.application.services["web"]
            service.follow(Snapshot("web", (InstanceValue("a", "127.0.0.1", port, secure=True),)))
            status, text = await proxy.get()
            assert (status, "TLS: the instance's certificate is not to be trusted" in text) == (502, True)
            service.follow(Snapshot("web", (InstanceValue("a", "127.0.0.1", port),)))
            assert (await proxy.get())[0] == 502  # in plain HTTP it gets no answer there, either
            assert "early" in (await proxy.get())[1]


async def test_an_instance_on_a_unix_socket_is_verified_as_localhost(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    async with secured(server_context("localhost"), path) as one:
        health = {"probe": {"http": "/healthz", "interval": "20ms", "initial": "fail"}}
        async with asking(tmp_path, one.address, {"ca": "ca.pem"}, health=health) as proxy:
            await until(lambda: proxy.application.services["web"].pool.candidates)
            assert (await proxy.get())[0] == 200
            assert set(one.names) == {"localhost"}
