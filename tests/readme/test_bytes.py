"""How the bytes get there."""

from __future__ import annotations

import asyncio
import ssl
import stat
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import trustme

from proxy.proxy_protocol import V2_FIXED, Ends, length_v2, parse_v2
from tests.proxy.running import until
from tests.proxy.tcp.talking import PATIENCE, echo
from tests.proxy.tls.acme.conftest import pebble_programs as pebble_programs
from tests.servers.pebble import Pebble
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.readme.staging import Stage, Staged

WEB, WEB_2 = "10.0.0.1:8000", "10.0.0.2:8000"
CA = trustme.CA()


def write(folder: Path, name: str, *names: str) -> None:
    """Write a certificate and its key to NAME.pem and NAME.key."""
    certificate = CA.issue_cert(*names)
    certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    (folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))


def trusting(folder: Path | None = None, name: str = "", **options: Any) -> ssl.SSLContext:
    """What a client knows: our authority, and its own certificate if it has one."""
    context = ssl.create_default_context(cadata=CA.cert_pem.bytes().decode())
    if folder is not None:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    for key, value in options.items():
        setattr(context, key, value)
    return context


async def shown(port: int, name: str, context: ssl.SSLContext) -> set[str]:
    """The names of the certificate that is shown to who asks for this one."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    names = {value for _, value in writer.get_extra_info("peercert")["subjectAltName"]}
    writer.close()
    return names


@pytest.mark.runs("The data path")
async def test_the_data_path(stage: Staged) -> None:
    async with stage(at={"10.0.0.0/8": "127.0.0.2/32"}) as staged:
        told = {"X-Forwarded-For": "192.0.2.7", "X-Request-Id": "mine"}
        for me, for_whom in (("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "192.0.2.7, 127.0.0.2")):
            answer = await staged.ask(me=me, headers=told)
            got = staged.instances[answer.text].asked[-1].headers
            assert (got["X-Forwarded-For"], got["X-Request-Id"]) == (for_whom, "mine")
            assert f"for={me}" in got["Forwarded"]
        await smuggled(staged)


async def smuggled(staged: Stage) -> None:
    """Send what could be understood in two ways."""
    reader, writer = await asyncio.open_connection("127.0.0.1", staged.port())
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    assert answer.startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.runs("TLS to clients")
async def test_tls_to_clients(stage: Staged, tmp_path: Path) -> None:
    write(tmp_path, "shop", "shop.example.com")
    write(tmp_path, "wildcard", "*.example.org")
    async with stage() as staged:
        assert (await staged.ask(host="shop.example.com", tls=trusting())).status == 200
        assert await shown(staged.port(), "a.example.org", trusting()) == {"*.example.org"}
        assert await shown(staged.port(), "other.test", trusting(check_hostname=False)) == {"shop.example.com"}
        with pytest.raises(ssl.SSLError, match=r"(?i)version"):
            await shown(staged.port(), "shop.example.com", trusting(maximum_version=ssl.TLSVersion.TLSv1_2))


@pytest.mark.runs("Client certificates")
async def test_client_certificates(stage: Staged, tmp_path: Path) -> None:
    write(tmp_path, "shop", "shop.example.com")
    write(tmp_path, "alice", "alice.example.com")
    CA.cert_pem.write_to_path(tmp_path / "clients.pem")
    async with stage() as staged:
        forged = {"X-Client-Cert-San": "DNS:root.example.com"}
        alice = trusting(tmp_path, "alice")
        answer = await staged.ask(host="shop.example.com", tls=alice, headers=forged)
        [asked] = staged.instances[answer.text].asked
        assert asked.headers.getall("X-Client-Cert-San") == ["DNS:alice.example.com"]
        assert asked.headers["X-Client-Cert-Verified"] == "SUCCESS"
        with pytest.raises((ssl.SSLError, aiohttp.ClientError)):
            await staged.ask(host="shop.example.com", tls=trusting())


@pytest.mark.runs("ACME")
async def test_acme(stage: Staged, pebble_programs: Path, tmp_path: Path) -> None:
    http, https = free_port(), free_port()
    authority = Pebble(tmp_path, http)
    authority.start()
    try:
        at = {
            ":80": f"127.0.0.1:{http}",
            ":443": f"127.0.0.1:{https}",
            "https://acme-v02.api.letsencrypt.org/directory": authority.directory,
        }
        async with stage(at=at, beside={"acme": {"ca": str(authority.ca)}}) as staged:
            renewals = staged.application.renewals
            assert renewals is not None
            await until(lambda: renewals.issued == 1)
            context = ssl.create_default_context(cadata=await asyncio.to_thread(authority.root))
            async with asyncio.timeout(PATIENCE):
                while (await _status(staged, context)) != 200:
                    pass
            assert (await staged.ask()).status == 200
    finally:
        authority.stop()


async def _status(staged: Stage, context: ssl.SSLContext) -> int:
    try:
        return (await staged.ask(host="shop.example.com", listener=1, tls=context)).status
    except aiohttp.ClientError:  # it is the placeholder still
        return 0


@pytest.mark.runs("TLS to instances")
async def test_tls_to_instances(stage: Staged, tmp_path: Path) -> None:
    CA.cert_pem.write_to_path(tmp_path / "internal-ca.pem")
    write(tmp_path, "pointsman", "pointsman.internal")
    for name, status in (("web.internal", 200), ("other.internal", 502)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        CA.issue_cert(name).configure_cert(context)
        CA.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        async with stage(tls=context) as staged:
            assert (await staged.ask()).status == status


@pytest.mark.runs("The PROXY protocol")
async def test_the_proxy_protocol(stage: Staged) -> None:
    heads: asyncio.Queue[tuple[Ends | None, bytes]] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fixed = await reader.readexactly(V2_FIXED)
        ends = parse_v2(fixed + await reader.readexactly(length_v2(fixed)))
        heads.put_nowait((ends, await reader.readuntil(b"\r\n\r\n")))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with stage(at={"10.0.0.0/8": "127.0.0.1/32", WEB: address, WEB_2: "127.0.0.1:1"}) as staged:
            reader, writer = await asyncio.open_connection("127.0.0.1", staged.port())
            writer.write(
                b"PROXY TCP4 192.0.2.7 203.0.113.9 5555 80\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 200 ")
            writer.close()
            ends, head = await heads.get()
            assert ends == Ends(("192.0.2.7", 5555), ("203.0.113.9", 80))
            assert b"\r\nX-Forwarded-For: 192.0.2.7\r\n" in head


@pytest.mark.runs("Unix sockets and IPv6")
async def test_unix_sockets_and_ipv6(stage: Staged, tmp_path: Path) -> None:
    async with stage() as staged:
        path = tmp_path / "web.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        by_six = f"http://[::1]:{staged.port()}/"
        for connector, url in ((aiohttp.UnixConnector(str(path)), "http://a/"), (aiohttp.TCPConnector(), by_six)):
            async with aiohttp.ClientSession(connector=connector) as session:
                answered = set()
                for _ in range(2):
                    async with session.get(url) as response:
                        answered.add(await response.text())
                assert answered == {"unix:/run/app/web.sock", "[fd00::1]:8000"}


@pytest.mark.runs("TCP services")
async def test_tcp_services(stage: Staged, tmp_path: Path) -> None:
    write(tmp_path, "db", "db.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("db.example.com", "behind.example.com").configure_cert(context)
    async with echo("one") as one, echo("two") as two, echo("by tls", context) as secure:
        at = {"10.0.0.5:5432": one.address, "10.0.0.6:5432": two.address, "10.0.0.5:5433": secure.address}
        async with stage(at=at) as staged:
            assert await said(staged.port(0)) in {b"one\n", b"two\n"}
            assert await said(staged.port(1), trusting(), "db.example.com") == b"by tls\n"
            assert await shown(staged.port(1), "db.example.com", trusting()) == {"db.example.com", "behind.example.com"}
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await said(staged.port(1), trusting(), "other.example.com")
            assert await said(staged.port(2), trusting(), "db.example.com") in {b"one\n", b"two\n"}


async def said(port: int, tls: ssl.SSLContext | None = None, name: str = "") -> bytes:
    """What an instance says, and that it hears what we say."""
    named: dict[str, Any] = {"ssl": tls, "server_hostname": name} if tls else {}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **named)
    async with asyncio.timeout(PATIENCE):
        first = await reader.readline()
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
    writer.close()
    return first
