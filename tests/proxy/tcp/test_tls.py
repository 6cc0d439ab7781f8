"""Raw connections with TLS that is ended here, and with TLS to the instances."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from proxy.tcp.client import Client
from tests.proxy.running import until
from tests.proxy.tcp.talking import PATIENCE, at, echo, metric, port_of, through
from tests.proxy.test_tls import CA, client_context, issue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proxy.running import Running

ROUTES = {"routes": [{"sni": "db.test", "service": "db"}, {"sni": "*.web.test", "service": "web"}]}


async def connect(
    proxy: Running, name: str, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = context or client_context()
    return await asyncio.open_connection("127.0.0.1", port_of(proxy), ssl=context, server_hostname=name)


async def talk(proxy: Running, name: str, context: ssl.SSLContext | None = None, text: bytes = b"hello") -> bytes:
    """Say something; return which instance echoed it."""
    reader, writer = await connect(proxy, name, context)
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(text)
            instance = await reader.readline()
            assert await reader.readexactly(len(text)) == text
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return instance.strip()


@contextlib.asynccontextmanager
async def ended_here(folder: Path, tcp: dict[str, Any], **more: Any) -> Any:
    """Run pointsman with TLS before two services."""
    pairs = [issue(folder, "db.test"), issue(folder, "wild", "*.web.test")]
    tls = {"certificates": pairs, **more.pop("tls", {})}
    async with echo("db") as db, echo("web") as web:
        services = {"db": at(db.address), "web": at(web.address)}
        async with through(folder, {"tls": tls, "tcp": tcp}, services, **more) as proxy:
            yield proxy


async def test_the_name_of_the_handshake_decides(tmp_path: Path) -> None:
    log = {"path": str(tmp_path / "log"), "format": "json"}
    async with ended_here(tmp_path, ROUTES, access_log=log) as proxy:
        assert await talk(proxy, "DB.test") == b"db"
        assert await talk(proxy, "a.web.test") == b"web"
        lenient = client_context(check_hostname=False)
        reader, writer = await connect(proxy, "other.test", lenient)
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()
        shaken = await metric(proxy, "pointsman_tls_handshakes_total")
        assert sum(count for labels, count in shaken.items() if 'result="full"' in labels) == 3
        await until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().count("\n") == 3)
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        assert {line["host"]: (line["service"], line["tls_version"]) for line in lines} == {
            "db.test": ("db", "TLSv1.3"),
            "a.web.test": ("web", "TLSv1.3"),
            "other.test": ("", "TLSv1.3"),
        }
        assert [line["error"] for line in lines if line["host"] == "other.test"] == ["no route has this name"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_is_routed_as_well(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with ended_here(tmp_path, ROUTES) as proxy:
        session = str(tmp_path / "session")
        for extra in (["-sess_out", session], ["-sess_in", session]):
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port_of(proxy)}", "-servername", "a.web.test"]
            command += ["-tls1_2" if version == ssl.TLSVersion.TLSv1_2 else "-tls1_3", *extra]
            done = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert done.stdin is not None
            assert done.stdout is not None
            seen = b""
            async with asyncio.timeout(PATIENCE):
                while b"\nweb\n" not in seen:  # the instance has the first word
                    seen += await done.stdout.read(4096)
                done.stdin.write(b"Q\n")
                seen += await done.stdout.read()
                await done.wait()
        shaken = await metric(proxy, "pointsman_tls_handshakes_total")
        assert sum(count for labels, count in shaken.items() if 'result="resumed"' in labels) == 1


async def test_without_routes_all_names_go_to_the_service(tmp_path: Path) -> None:
    async with ended_here(tmp_path, {"service": "web"}) as proxy:
        assert await talk(proxy, "db.test") == b"web"
        assert await talk(proxy, "any.test", client_context(check_hostname=False)) == b"web"


async def test_no_protocol_is_agreed_on(tmp_path: Path) -> None:
    context = client_context()
    context.set_alpn_protocols(["h2", "imap"])
    async with ended_here(tmp_path, {"service": "web"}) as proxy:
        _, writer = await connect(proxy, "db.test", context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
        writer.close()


async def test_who_speaks_no_tls_is_closed_and_counted(tmp_path: Path) -> None:
    async with ended_here(tmp_path, {"service": "web"}) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(proxy))
        writer.write(b"PING\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()
        assert proxy.application.listeners[0].refused == 1
        assert proxy.application.services["web"].traffic.requests == 0


async def test_clients_can_be_asked_for_certificates(tmp_path: Path) -> None:
    CA.cert_pem.write_to_path(tmp_path / "clients.pem")
    async with ended_here(tmp_path, {"service": "web"}, tls={"client_ca": "clients.pem"}) as proxy:
        context = client_context()
        CA.issue_cert("ann@example.com").configure_cert(context)
        assert await talk(proxy, "db.test", context) == b"web"
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await talk(proxy, "db.test")


async def test_what_a_slow_client_does_not_take_is_not_read(tmp_path: Path) -> None:
    """Back-pressure, through TLS on one side; nothing is lost once it goes on."""
    total = 48 << 20
    sent, end = 0, asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < total:
            writer.write(bytes(1 << 18))
            await writer.drain()
            sent += 1 << 18
        writer.close()
        end.set()

    pair = issue(tmp_path, "db.test")
    async with await asyncio.start_server(pour, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with through(tmp_path, {"tls": {"certificates": [pair]}}, {"db": at(address)}) as proxy:
            reader, writer = await connect(proxy, "db.test")
            raw = proxy.application.services["db"].traffic.raw
            assert raw is not None
            await until(lambda: raw.bytes_out)
            [client] = proxy.application.listeners[0]._clients
            assert isinstance(client, Client)
            assert client.conversation is not None
            pipe = client.conversation.pipe
            assert pipe is not None
            await until(lambda: pipe._to_client.full)
            assert client.transport.get_write_buffer_size() <= 256 * 1024
            assert sent < total
            got = 0
            async with asyncio.timeout(PATIENCE):
                while data := await reader.read(1 << 18):
                    got += len(data)
            assert got == raw.bytes_out == total
            writer.close()
            await end.wait()


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_instances_can_be_spoken_to_by_tls_and_must_be_whom_we_want(tmp_path: Path) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with (
        echo("good", server_context(CA, "db.internal")) as good,
        echo("bad", server_context(trustme.CA(), "db.internal")) as bad,
    ):
        tls = {"ca": "ca.pem", "server_name": "db.internal"}
        service = at(bad.address, good.address, tls=tls)
        async with through(tmp_path, {}, {"db": service}) as proxy:
            for _ in range(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", port_of(proxy))
                assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"good\n"
                writer.close()
            assert bad.connections == 0
            failed = await metric(proxy, "pointsman_endpoint_failures_total")
            [count] = [count for labels, count in failed.items() if bad.address in labels and '"connect"' in labels]
            assert count == proxy.application.services["db"].traffic.retries > 0
            assert good.writers[0].get_extra_info("ssl_object").selected_alpn_protocol() is None


async def test_by_tls_on_both_sides_all_arrives(tmp_path: Path) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    pair, text = issue(tmp_path, "db.test"), bytes(range(256)) * 16 * 1024
    async with echo("db", server_context(CA, "127.0.0.1")) as db:
        listener = {"tls": {"certificates": [pair]}}
        async with through(tmp_path, listener, {"db": at(db.address, tls={"ca": "ca.pem"})}) as proxy:
            reader, writer = await connect(proxy, "db.test")
            assert await reader.readline() == b"db\n"
            writer.write(text)
            assert await asyncio.wait_for(reader.readexactly(len(text)), PATIENCE) == text
            writer.close()
            raw = proxy.application.services["db"].traffic.raw
            assert raw is not None
            await until(lambda: not raw.open)


async def test_an_instance_by_tls_answers_a_client_that_has_said_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be told by half: it has its time to answer, and then the connection is over, well."""
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with echo("db", server_context(CA, "127.0.0.1")) as db:
        service = at(db.address, tls={"ca": "ca.pem"})
        async with through(tmp_path, {}, {"db": service}) as proxy:
            monkeypatch.setattr("proxy.tcp.conversation._LAST_WORDS", 0.2)
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(proxy))
            writer.write(b"question")
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b"db\nquestion"
            raw = proxy.application.services["db"].traffic.raw
            assert raw is not None
            await until(lambda: not raw.open)
            assert not any(raw.failures.values())
            writer.close()


async def test_what_a_slow_instance_does_not_take_is_not_read(tmp_path: Path) -> None:
    """Back-pressure the other way, by TLS on both sides."""
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    total, go_on, got = 48 << 20, asyncio.Event(), 0

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await go_on.wait()
        while data := await reader.read(1 << 18):
            got += len(data)
        writer.close()

    listener = {"tls": {"certificates": [issue(tmp_path, "db.test")]}}
    async with await asyncio.start_server(take, "127.0.0.1", 0, ssl=server_context(CA, "127.0.0.1")) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with through(tmp_path, listener, {"db": at(address, tls={"ca": "ca.pem"})}) as proxy:
            _, writer = await connect(proxy, "db.test")

            async def pour() -> None:
                for _ in range(total >> 18):
                    writer.write(bytes(1 << 18))
                    await writer.drain()
                writer.close()

            pouring = asyncio.create_task(pour())
            await until(lambda: proxy.application.listeners[0]._clients)
            [client] = proxy.application.listeners[0]._clients
            assert isinstance(client, Client)
            await until(lambda: client.paused and client.conversation and client.conversation.pipe)
            assert client.conversation is not None
            pipe = client.conversation.pipe
            assert pipe is not None
            await until(lambda: pipe.client_held)
            assert pipe._to_instance.transport.get_write_buffer_size() <= 256 * 1024
            assert not pouring.done()
            go_on.set()
            await asyncio.wait_for(pouring, PATIENCE)
            await until(lambda: got == total)


@pytest.mark.parametrize("proper", [True, False])
async def test_an_instance_that_is_cut_off_is_told_of_as_reset(tmp_path: Path, proper: bool) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = server_context(CA, "127.0.0.1")

    def serve(listening: socket.socket) -> None:
        sock, _ = listening.accept()
        with context.wrap_socket(sock, server_side=True) as secured:
            secured.sendall(b"all or a part")
            if proper:
                secured.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(asyncio.to_thread(serve, listening))
        service = at(f"127.0.0.1:{listening.getsockname()[1]}", tls={"ca": "ca.pem"})
        log = {"path": str(tmp_path / "log"), "format": "{upstream_end}"}
        async with through(tmp_path, {}, {"db": service}, access_log=log) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(proxy))
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b"all or a part"
            writer.close()
            await serving
            await until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text())
            assert (tmp_path / "log").read_text() == ("complete\n" if proper else "reset\n")


async def test_a_slow_client_gets_all_that_was_said_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.http.pipe._FLUSH", 0.02)
    text = bytes(range(256)) * (1 << 14)

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        writer.close()

    def take(sock: socket.socket, most: int) -> bytes:
        got = b""
        while len(got) < most and (data := sock.recv(min(65536, most - len(got)))):
            got += data
        return got

    listener = {"tls": {"certificates": [issue(tmp_path, "db.test")]}}
    async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with through(tmp_path, listener, {"db": at(address)}) as proxy:
            with socket.socket() as plain:
                plain.settimeout(PATIENCE)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                await asyncio.to_thread(plain.connect, ("127.0.0.1", port_of(proxy)))
                raw = proxy.application.services["db"].traffic.raw
                assert raw is not None
                with await asyncio.to_thread(client_context().wrap_socket, plain, server_hostname="db.test") as sock:
                    [client] = proxy.application.listeners[0]._clients
                    got, left = b"", len(text)
                    while client.transport.get_write_buffer_size() or not raw.ended:
                        got += await asyncio.to_thread(take, sock, min(16384, left - len(got)))
                    await asyncio.sleep(0.2)  # ten looks at what is left, which is below TLS by now
                    got += await asyncio.to_thread(take, sock, left)
                    assert len(got) == left
                    assert got == text
