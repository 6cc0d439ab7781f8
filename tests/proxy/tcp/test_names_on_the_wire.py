"""Connections that go by the name in their hello, which the instance gets as it was sent."""

from __future__ import annotations

import asyncio
import ssl
import subprocess

import pytest
import trustme

from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import until
from tests.proxy.tcp.scripted import TcpProxy, tcp_proxying
from tests.proxy.tcp.test_hello import REAL, hello


def hello_of(proxy: TcpProxy) -> bytes:
    """What was read of the only client's hello."""
    reader = proxy.inside()._hello
    return bytes(reader.data) if reader is not None else b""


UNROUTED = [hello("other.example.com"), hello(None), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\0\0"]


@pytest.mark.parametrize("slowly", [False, True])
async def test_the_instance_gets_the_hello_as_it_was_sent(slowly: bool) -> None:
    async with tcp_proxying(names=["db.example.com"], others=False) as proxy:
        client = await proxy.client()
        await (client.send_slowly if slowly else client.send)(REAL)
        await (await proxy.instance.accept()).gets(REAL)


@pytest.mark.parametrize(
    "data", [hello("other.example.com"), hello(None), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\0\0"]
)
async def test_what_has_no_route_is_closed(data: bytes) -> None:
    async with tcp_proxying(names=["db.example.com"], others=False, logged=True) as proxy:
        client = await proxy.client()
        await client.send(data)
        assert await client.rest() == b""
        assert (proxy.tcp.refused, proxy.counts.begun) == (1, 0)
        assert proxy.records[0].error


async def test_or_goes_to_the_service_of_all_others() -> None:
    async with tcp_proxying(names=["db.example.com"]) as proxy:
        for data in (hello("other.example.com"), hello(None), b"\x00\x00\x00\x08"):
            client = await proxy.client()
            await client.send(data)
            await (await proxy.instance.accept()).gets(data)


async def test_a_hello_has_a_deadline() -> None:
    async with tcp_proxying(names=["db.example.com"], timeouts=Timeouts(request_head=10.0)) as proxy:
        client = await proxy.client()
        await client.send(REAL[:50])
        await until(lambda: proxy.tcp.clients and len(hello_of(proxy)) == 50)
        proxy.pass_time(11)
        assert await client.rest() == b""


async def test_openssl_meets_the_certificate_of_the_instance() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    authority.issue_cert("db.example.com").configure_cert(context)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"you said " + await reader.readline())
        await writer.drain()
        writer.close()

    async with tcp_proxying(names=["*.example.com"], others=False) as proxy:
        server = await asyncio.start_server(answer, sock=proxy.instance._sock, ssl=context)
        with authority.cert_pem.tempfile() as trusted:
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.tcp.ports[0]}", "-quiet"]
            command += ["-servername", "db.example.com", "-CAfile", trusted, "-verify_return_error"]
            command += ["-verify_hostname", "db.example.com"]
            done = await asyncio.to_thread(
                subprocess.run, command, input=b"hello\n", capture_output=True, timeout=10, check=False
            )
        server.close()
    assert done.stdout == b"you said hello\n", done.stderr
