"""TLS to clients, through a whole pointsman and real clients of TLS."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.http import client
from proxy.tls import certificates as followed
from proxy.tls.pair import CertificateError
from tests.proxy.running import Running, instance, running, until
from tests.servers.debian import DebianProgram, debian_program
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CA = trustme.CA()


def issue(folder: Path, name: str, *names: str, ca: trustme.CA = CA) -> dict[str, str]:
    """Write a certificate and its key to NAME.pem and NAME.key; return the keys that name them."""
    certificate = ca.issue_cert(*(names or (name,)))
    certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    (folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    return {"cert": f"{name}.pem", "key": f"{name}.key"}


def client_context(**options: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=CA.cert_pem.bytes().decode())
    for name, value in options.items():
        setattr(context, name, value)
    return context


@contextlib.asynccontextmanager
async def secured(folder: Path, tls: dict[str, Any], **more: Any) -> AsyncIterator[Running]:
    async with instance("web-1") as address:
        listener = {"bind": "127.0.0.1:0", "tls": tls, **more}
        config = {"listeners": [listener], "services": {"web": {"discovery": {"static": [address]}}}}
        async with running(config, folder) as proxy:
            yield proxy


async def connect(
    proxy: Running, context: ssl.SSLContext, name: str = "shop.test"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = proxy.application.listeners[0].ports[0]
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)


async def ask(proxy: Running, context: ssl.SSLContext, name: str = "shop.test", request: str = "") -> tuple[bytes, Any]:
    """Ask once, and close; return the answer and the certificate that was shown."""
    reader, writer = await connect(proxy, context, name)
    writer.write((request or f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    shown = writer.get_extra_info("peercert")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answer, shown


def names_of(shown: Any) -> set[str]:
    return {name for _, name in shown["subjectAltName"]}


async def test_requests_are_answered_by_tls_and_the_certificate_is_chosen_by_name(tmp_path: Path) -> None:
    pairs = [issue(tmp_path, "shop.test"), issue(tmp_path, "wild", "*.wild.test"), issue(tmp_path, "other.test")]
    async with secured(tmp_path, {"certificates": pairs}) as proxy:
        for name, shows in [
            ("shop.test", "shop.test"),
            ("a.wild.test", "*.wild.test"),
            ("OTHER.test", "other.test"),
        ]:
            answer, shown = await ask(proxy, client_context(), name)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"web-1")
            assert names_of(shown) == {shows}
        _, shown = await ask(proxy, client_context(check_hostname=False), "a.b.wild.test")
        assert names_of(shown) == {"shop.test"}


async def test_with_strict_sni_an_unknown_name_is_refused_by_an_alert(tmp_path: Path) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")], "strict_sni": True}) as proxy:
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            await ask(proxy, client_context(check_hostname=False), "unknown.test")
        answer, _ = await ask(proxy, client_context())
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_plain_http_is_told_that_tls_is_spoken(tmp_path: Path) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        status, text = await proxy.get()
        assert (status, "TLS is spoken on this port" in text) == (400, True)


async def test_certificates_that_changed_are_used_for_new_connections_and_bad_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "LOOK", 0.02)
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        certificates = proxy.application.listeners[0].certificates
        assert certificates is not None
        _, before = await ask(proxy, client_context())
        reader, writer = await connect(proxy, client_context())
        issue(tmp_path, "shop.test")
        await until(lambda: certificates.loads == 1)
        _, after = await ask(proxy, client_context())
        assert after["serialNumber"] != before["serialNumber"]
        (tmp_path / "shop.test.key").write_bytes(CA.issue_cert("x").private_key_pem.bytes())
        await until(lambda: certificates.refusals == 1)
        _, still = await ask(proxy, client_context())
        assert still["serialNumber"] == after["serialNumber"]
        assert "is not the key" in certificates.in_force[0][1]
        writer.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"web-1")
        writer.close()
        _, shown = await proxy.admin("/api/v1/certificates")
        [one] = shown["certificates"]
        assert one["names"] == ["shop.test"]
        assert "is not the key" in one["refused"]
        _, metrics = await proxy.admin("/metrics")
        assert "pointsman_certificate_expiry_seconds{" in metrics
        assert 'pointsman_certificate_changes_total{listener="127.0.0.1:0",result="refused"} 1.0' in metrics
        assert 'pointsman_tls_handshakes_total{listener="127.0.0.1:0",result="full"} 4.0' in metrics
        _, events = await proxy.admin("/api/v1/events")
        kinds = [event["kind"] for event in events["events"]]
        assert "certificate_loaded" in kinds
        assert "certificate_refused" in kinds


async def test_symbolic_links_that_are_swapped_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "LOOK", 0.02)
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        issue(tmp_path / version, "tls", "shop.test")
    (tmp_path / "data").symlink_to("1")
    async with secured(tmp_path, {"certificates": [{"cert": "data/tls.pem", "key": "data/tls.key"}]}) as proxy:
        certificates = proxy.application.listeners[0].certificates
        assert certificates is not None
        (tmp_path / "new").symlink_to("2")
        os.replace(tmp_path / "new", tmp_path / "data")
        await until(lambda: certificates.loads == 1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_resumed_also_after_a_change_of_certificates(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        listener = proxy.application.listeners[0]
        assert listener.certificates is not None
        assert listener.handshakes is not None
        context = client_context(maximum_version=version, minimum_version=version)

        def visit(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
            with (
                socket.create_connection(("127.0.0.1", listener.ports[0]), 10) as sock,
                context.wrap_socket(sock, server_hostname="shop.test", session=session) as tls,
            ):
                tls.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
                while tls.recv(65536):
                    pass
                return tls.session, tls.session_reused

        session, reused = await asyncio.to_thread(visit, None)
        assert not reused
        _, reused = await asyncio.to_thread(visit, session)
        assert reused
        issue(tmp_path, "shop.test")
        listener.certificates.look()
        assert listener.certificates.loads == 1
        _, reused = await asyncio.to_thread(visit, session)
        assert reused
        assert listener.handshakes.results["resumed"] == 2


async def test_clients_show_certificates_and_instances_are_told_of_them(tmp_path: Path) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = {"certificates": [issue(tmp_path, "shop.test")], "client_ca": "ca.pem", "forward_certificate": True}
    context = client_context()
    issue(tmp_path, "alice.test")
    context.load_cert_chain(tmp_path / "alice.test.pem", tmp_path / "alice.test.key")
    forged = (
        "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Client-Cert-Subject: CN=root\r\nX_Client_Cert_Verified: SUCCESS\r\n"
        "Client-Cert: :x:\r\nConnection: close, X-Client-Cert-Fingerprint\r\n\r\n"
    )
    seen = asyncio.get_running_loop().create_future()

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.set_result(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(tell, "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        listener = {"bind": "127.0.0.1:0", "tls": tls}
        config = {"listeners": [listener], "services": {"web": {"discovery": {"static": [address]}}}}
        async with running(config, tmp_path) as proxy:
            await ask(proxy, context, request=forged)
            head = (await seen).decode()
            assert head.count("X-Client-Cert-Subject: ") == 1
            assert "CN=root" not in head
            assert "X_Client" not in head
            assert head.count("Client-Cert: :") == 1
            assert "X-Client-Cert-Verified: SUCCESS\r\n" in head
            assert "X-Client-Cert-San: DNS:alice.test\r\n" in head
            assert "X-Client-Cert-Fingerprint: " in head
            assert "X-Forwarded-Proto: https\r\n" in head
            with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"):
                await ask(proxy, client_context())


async def test_handshakes_count_as_connections_and_end_by_a_deadline(tmp_path: Path) -> None:
    tls = {"certificates": [issue(tmp_path, "shop.test")]}
    more = {"limits": {"connections": 2}, "timeouts": {"request_head": "1s"}}
    async with secured(tmp_path, tls, **more) as proxy:
        listener = proxy.application.listeners[0]
        assert listener.handshakes is not None
        port = listener.ports[0]
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        idle[0][1].write(b"\x16\x03\x01")
        await until(lambda: listener.clients == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        assert listener.overflowed == 1
        writer.close()
        await until(lambda: listener.clients == 0)
        assert listener.handshakes.results["timeout"] == 2
        answer, _ = await ask(proxy, client_context())
        assert answer.startswith(b"HTTP/1.1 200 ")
        for _, each in idle:
            each.close()


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda folder: (folder / "shop.test.key").unlink(), "listeners[0].tls.certificates[0].key: "),
        (lambda folder: (folder / "shop.test.pem").write_text("x"), "holds no certificate in PEM"),
        (lambda folder: (folder / "shop.test.key").write_text("x"), "holds no private key in PEM"),
        (
            lambda folder: CA.issue_cert("x").private_key_pem.write_to_path(folder / "shop.test.key"),
            "is not the key of the certificate",
        ),
        (
            lambda folder: CA.issue_cert("x", key_type=trustme.KeyType.RSA).private_key_pem.write_to_path(
                folder / "shop.test.key"
            ),
            "is not the key of the certificate",
        ),
    ],
)
async def test_what_is_wrong_with_the_files_is_told_at_the_start(tmp_path: Path, break_it: Any, says: str) -> None:
    pair = issue(tmp_path, "shop.test")
    break_it(tmp_path)
    with pytest.raises(CertificateError) as raised:
        async with secured(tmp_path, {"certificates": [pair]}):
            pass
    assert says in str(raised.value)


@pytest.fixture
def sslscan(request: pytest.FixtureRequest) -> DebianProgram:
    return had_or_skipped(request.config, "sslscan", lambda: debian_program("sslscan"))


async def test_sslscan_finds_nothing_weak(tmp_path: Path, sslscan: DebianProgram) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        port = proxy.application.listeners[0].ports[0]
        options = ["--no-colour", "--xml=-", "--sni-name=shop.test", "--ipv4"]
        done = await asyncio.to_thread(sslscan.run, *options, f"127.0.0.1:{port}", timeout=60)
        report = ET.fromstring(done.stdout)
        spoken = {one.attrib["version"] for one in report.iter("protocol") if one.attrib["enabled"] == "1"}
        assert spoken == {"1.2", "1.3"}
        ciphers = list(report.iter("cipher"))
        assert len(ciphers) >= 4
        for cipher in ciphers:
            assert cipher.attrib["strength"] in ("strong", "acceptable"), cipher.attrib
            name = cipher.attrib["cipher"]
            assert name.startswith("TLS_") or ("ECDHE" in name and ("GCM" in name or "CHACHA20" in name))
        assert all(one.attrib["supported"] == "0" for one in report.iter("compression"))
        assert all(one.attrib["supported"] == "0" for one in report.iter("renegotiation"))
        assert all(one.attrib["vulnerable"] == "0" for one in report.iter("heartbleed"))


@pytest.mark.parametrize("size", [100, 3_000_000])
async def test_large_bodies_pass_both_ways(tmp_path: Path, size: int) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for piece in request.content.iter_any():
            await response.write(piece)
        return response

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/", echo)
    async with TestServer(app) as server:
        listener = {"bind": "127.0.0.1:0", "tls": {"certificates": [issue(tmp_path, "localhost")]}}
        discovery = {"static": [f"127.0.0.1:{server.port}"]}
        config = {"listeners": [listener], "services": {"web": {"discovery": discovery}}}
        async with running(config, tmp_path) as proxy:
            body = os.urandom(size)
            url = f"https://localhost:{proxy.application.listeners[0].ports[0]}/"
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, data=io.BytesIO(body), ssl=client_context()) as response,
            ):
                assert await response.read() == body


async def test_a_response_that_breaks_off_is_no_orderly_end(tmp_path: Path) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        listener = {"bind": "127.0.0.1:0", "tls": {"certificates": [issue(tmp_path, "shop.test")]}}
        config = {"listeners": [listener], "services": {"web": {"discovery": {"static": [address]}}}}
        async with running(config, tmp_path) as proxy:
            reader, writer = await connect(proxy, client_context())
            writer.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                await asyncio.wait_for(reader.read(), 10)
            writer.close()


async def test_websockets_pass_and_are_asked_to_leave(tmp_path: Path) -> None:
    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/", talk)
    async with TestServer(app) as server:
        listener = {"bind": "127.0.0.1:0", "tls": {"certificates": [issue(tmp_path, "localhost")]}}
        discovery = {"static": [f"127.0.0.1:{server.port}"]}
        config = {"listeners": [listener], "services": {"web": {"discovery": discovery}}}
        async with running(config, tmp_path) as proxy:
            url = f"https://localhost:{proxy.application.listeners[0].ports[0]}/"
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(url, ssl=client_context()) as client:
                    await client.send_str("x" * 100_000)
                    assert await client.receive_str() == "x" * 100_000
                    drained = asyncio.create_task(proxy.application.drain())
                    assert (await client.receive()).data == 1001
                await asyncio.wait_for(drained, 10)


async def test_a_slow_client_gets_all_of_the_last_response(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_LINGER", 0.05)
    body = os.urandom(400_000)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app) as server:
        listener = {"bind": "127.0.0.1:0", "tls": {"certificates": [issue(tmp_path, "shop.test")]}}
        discovery = {"static": [f"127.0.0.1:{server.port}"]}
        config = {"listeners": [listener], "services": {"web": {"discovery": discovery}}}
        async with running(config, tmp_path) as proxy:
            port = proxy.application.listeners[0].ports[0]

            def receive() -> bytes:
                with socket.socket() as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    sock.settimeout(10)
                    sock.connect(("127.0.0.1", port))
                    with client_context().wrap_socket(sock, server_hostname="shop.test") as tls:
                        tls.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
                        received = bytearray()
                        while piece := tls.recv(16384):
                            received += piece
                            time.sleep(0.02)
                        return bytes(received)

            assert (await asyncio.to_thread(receive)).endswith(body)


async def test_half_a_thousand_handshakes_leave_nothing_behind(tmp_path: Path) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        listener = proxy.application.listeners[0]
        context = client_context()
        for _ in range(10):
            answers = await asyncio.gather(*(ask(proxy, context) for _ in range(50)))
            assert all(answer.endswith(b"web-1") for answer, _ in answers)
        assert listener.handshakes is not None
        assert listener.handshakes.results["full"] == 500
        await until(lambda: listener.clients == 0)
        assert not listener.handshakes._by_address


async def test_openssl_and_clients_of_http_2_alone_are_served(tmp_path: Path) -> None:
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        port = proxy.application.listeners[0].ports[0]
        for offered, spoken in (("http/1.1", b"ALPN protocol: http/1.1"), ("h2", b"No ALPN negotiated")):
            process = await asyncio.create_subprocess_exec(
                "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "shop.test", "-alpn", offered,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            request = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(request)
            shown = await asyncio.wait_for(process.stdout.read(), 10)
            process.stdin.close()
            await process.wait()
            assert spoken in shown
            assert b"HTTP/1.1 200 OK" in shown


async def test_the_access_log_tells_what_was_spoken_and_an_optional_certificate_may_be_missing(tmp_path: Path) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    pair = issue(tmp_path, "shop.test")
    tls = {"certificates": [pair], "client_ca": "ca.pem", "client_auth": "optional"}
    async with instance("web-1") as address:
        config = {
            "listeners": [{"bind": "127.0.0.1:0", "tls": tls}],
            "services": {"web": {"discovery": {"static": [address]}}},
            "access_log": {"path": str(tmp_path / "access.log")},
        }
        async with running(config, tmp_path) as proxy:
            answer, _ = await ask(proxy, client_context())
            assert answer.startswith(b"HTTP/1.1 200 ")
            stranger = client_context()
            issue(tmp_path, "mallory", ca=trustme.CA())
            stranger.load_cert_chain(tmp_path / "mallory.pem", tmp_path / "mallory.key")
            with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
                await ask(proxy, stranger)
        [line] = (tmp_path / "access.log").read_text().splitlines()
        assert '"tls_version":"TLSv1.3","tls_cipher":"TLS_AES_256_GCM_SHA384"' in line
