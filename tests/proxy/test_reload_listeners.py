"""What a reload makes of listeners that speak TLS, PROXY or anything, and of TLS to instances."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import stat
from typing import TYPE_CHECKING, Any

import pytest

from tests.proxy.running import instance
from tests.proxy.test_instance_tls import connections_of, server_context
from tests.proxy.test_instance_tls import secured as secured_instance
from tests.proxy.test_reload import at_work, configuration, post, write
from tests.proxy.test_tls import CA, client_context, issue
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.proxy.running import Running

GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"


async def reloaded(pointsman: Running, folder: Path, config: dict[str, Any]) -> None:
    """Have a configuration taken into force."""
    write(folder, config)
    status, body = await post(pointsman)
    assert (status, body["result"]) == (200, "applied"), body


class Clients:
    """Connections, which end with the test."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def __call__(
        self, where: int | str, tls: ssl.SSLContext | None = None, name: str = "shop.test"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        asked = name if tls else None
        if isinstance(where, int):
            reader, writer = await asyncio.open_connection("127.0.0.1", where, ssl=tls, server_hostname=asked)
        else:
            reader, writer = await asyncio.open_unix_connection(where, ssl=tls, server_hostname=asked)
        self._writers.append(writer)
        return reader, writer

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(folder: Path, config: dict[str, Any]) -> AsyncIterator[tuple[Running, Clients]]:
    clients = Clients()
    async with at_work(folder, config) as pointsman:
        try:
            yield pointsman, clients
        finally:
            clients.close()
            await asyncio.sleep(0)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: bytes = b"") -> str:
    """Ask on a connection that stays; return the body, or the status where there is no 200."""
    writer.write(before + GET)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    body = (await reader.readexactly(length)).decode()
    status = head.split()[1].decode()
    return body if status == "200" else status


def shown_by(writer: asyncio.StreamWriter) -> set[str]:
    certificate = writer.get_extra_info("peercert")
    return {name for _, name in certificate["subjectAltName"]}


async def test_clients_stay_connected_when_tls_has_other_keys(tmp_path: Path) -> None:
    port = free_port()
    pairs = [issue(tmp_path, name) for name in ("shop.test", "blog.test")]
    async with instance("a") as a:
        listener: dict[str, Any] = {"bind": f"127.0.0.1:{port}", "tls": {"certificates": pairs[:1]}}
        config = configuration(a, listeners=[listener])
        async with serving(tmp_path, config) as (pointsman, connected):
            app = pointsman.application
            (at,), (certificates,) = app.listeners, [one.certificates for one in app.listeners]
            old = await connected(port, client_context())
            assert await ask(*old) == "a"
            listener["forwarded"] = "none"
            await reloaded(pointsman, tmp_path, config)
            assert at.certificates is certificates  # so that sessions are resumed
            listener["tls"] = {"certificates": pairs, "min_version": "1.3"}
            await reloaded(pointsman, tmp_path, config)
            assert app.listeners == [at]
            assert await ask(*old) == "a"
            new = await connected(port, client_context(), "blog.test")
            assert shown_by(new[1]) == {"blog.test"}
            assert new[1].get_extra_info("ssl_object").version() == "TLSv1.3"
            assert await ask(*new) == "a"
            assert at.clients == 2
            assert at.handshakes is not None
            assert at.handshakes.results["full"] == 2
            config["listeners"] = [
                {**listener, "tls": {"certificates": [{"cert": "shop.test.pem", "key": "blog.test.key"}]}}
            ]
            write(tmp_path, config)
            status, body = await post(pointsman)
            assert status in (400, 500)
            assert "shop.test.pem" in body["error"]
            assert await ask(*await connected(port, client_context())) == "a"


@pytest.mark.parametrize("kind", ["port", "path"])
async def test_what_is_spoken_at_an_address_changes_and_nobody_is_refused(tmp_path: Path, kind: str) -> None:
    where = free_port() if kind == "port" else str(tmp_path / "s")
    bind = f"127.0.0.1:{where}" if kind == "port" else f"unix:{where}"
    speech: list[dict[str, Any]] = [
        {},
        {"tls": {"certificates": [issue(tmp_path, "shop.test")]}},
        {"tcp": {"service": "web"}},
    ]
    async with instance("a") as a:
        config = configuration(a, listeners=[{"bind": "127.0.0.1:0"}, {"bind": bind}])
        async with serving(tmp_path, config) as (pointsman, connected):
            app = pointsman.application
            ended = asyncio.Event()
            tries = 0

            async def crowd() -> None:
                nonlocal tries
                while not ended.is_set():
                    _, writer = await connected(where)
                    writer.close()
                    tries += 1

            trying = asyncio.create_task(crowd())
            for number in range(9):
                old = await connected(where, client_context() if "tls" in config["listeners"][1] else None)
                config["listeners"][1] = {"bind": bind, **speech[(number + 1) % 3]}
                await reloaded(pointsman, tmp_path, config)
                assert await ask(*old) == "a"  # as it was before
                old[1].close()
                tls = client_context() if "tls" in config["listeners"][1] else None
                new = await connected(where, tls)
                assert await ask(*new) == "a"
                new[1].close()
            ended.set()
            await trying
            assert tries > 20
            assert len(app.listeners) == 2
        assert kind == "port" or "s" not in os.listdir(tmp_path)


async def test_raw_connections_stay_where_they_are_and_new_ones_go_elsewhere(tmp_path: Path) -> None:
    port = free_port()
    async with instance("a") as a, instance("b") as b:
        config = configuration(a, listeners=[{"bind": f"127.0.0.1:{port}", "tcp": {"service": "web"}}])
        config["services"]["other"] = {"discovery": {"static": [b]}}
        async with serving(tmp_path, config) as (pointsman, connected):
            old = await connected(port)
            assert await ask(*old) == "a"
            config["listeners"][0]["tcp"] = {"service": "other"}
            await reloaded(pointsman, tmp_path, config)
            assert await ask(*old) == "a"
            assert await ask(*await connected(port)) == "b"
            config["services"]["other"]["timeouts"] = {"connect": "3s"}
            await reloaded(pointsman, tmp_path, config)
            (listener,) = pointsman.application.listeners
            assert listener.names.find("").timeouts.connect == 3.0  # type: ignore[union-attr]
            assert await ask(*await connected(port)) == "b"
            assert listener.clients == 3


async def test_a_proxy_header_is_taken_from_others_from_now_on(tmp_path: Path) -> None:
    port = free_port()
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n"
    async with instance("a") as a:
        listener: dict[str, Any] = {"bind": f"127.0.0.1:{port}"}
        config = configuration(a, listeners=[listener])
        async with serving(tmp_path, config) as (pointsman, connected):
            assert await ask(*await connected(port), header) == "400"
            listener["proxy_protocol"] = ["127.0.0.1"]
            await reloaded(pointsman, tmp_path, config)
            assert await ask(*await connected(port), header) == "a"
            listener["proxy_protocol"] = ["192.0.2.0/24"]
            await reloaded(pointsman, tmp_path, config)
            assert await ask(*await connected(port)) == "a"
            (at,) = pointsman.application.listeners
            assert at.proxied is not None
            assert at.proxied.results["taken"] == 1


async def test_the_rights_of_a_socket_change(tmp_path: Path) -> None:
    path = tmp_path / "s"
    config = configuration("127.0.0.1:9", listeners=[{"bind": "127.0.0.1:0"}, {"bind": f"unix:{path}", "mode": "0600"}])
    async with serving(tmp_path, config) as (pointsman, _):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        config["listeners"][1]["mode"] = "0660"
        await reloaded(pointsman, tmp_path, config)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_instances_are_asked_by_tls_from_now_on_and_its_connections_stay_if_it_is_the_same(
    tmp_path: Path,
) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with instance("plain") as plain, secured_instance(server_context("127.0.0.1", ca=CA)) as secure:
        config = configuration(plain)
        web = config["services"]["web"]
        async with serving(tmp_path, config) as (pointsman, _):
            assert await pointsman.get() == (200, "plain")
            web["discovery"], web["tls"] = {"static": [secure.address]}, {"ca": "ca.pem"}
            await reloaded(pointsman, tmp_path, config)
            assert (await pointsman.get())[0] == 200
            connections = connections_of(pointsman)
            assert connections.idle == 1
            web["limits"] = {"in_flight": 9}
            await reloaded(pointsman, tmp_path, config)
            assert connections_of(pointsman) is connections
            web["tls"] = {"ca": "ca.pem", "server_name": "elsewhere.test"}
            await reloaded(pointsman, tmp_path, config)
            assert connections_of(pointsman) is not connections
            assert (await pointsman.get())[0] == 502
            web["tls"] = {"ca": "missing.pem"}
            write(tmp_path, config)
            status, body = await post(pointsman)
            assert status in (400, 500)
            assert "missing.pem" in json.dumps(body)


async def test_certificates_from_an_authority_are_asked_for_from_now_on(tmp_path: Path) -> None:
    port = free_port()
    config = configuration("127.0.0.1:9", listeners=[{"bind": "127.0.0.1:0"}])
    async with serving(tmp_path, config) as (pointsman, connected):
        app = pointsman.application
        assert app.renewals is None
        config["acme"] = {
            "terms_agreed": True,
            "directory": "https://127.0.0.1:9/dir",
            "folder": str(tmp_path / "acme"),
        }
        config["listeners"] = [
            *config["listeners"],
            {"bind": f"127.0.0.1:{port}", "tls": {"acme": {"domains": ["shop.test"]}}},
        ]
        await reloaded(pointsman, tmp_path, config)
        assert app.renewals is not None
        assert list(app.renewals.domains) == ["shop.test"]
        context = client_context(check_hostname=False, verify_mode=ssl.CERT_NONE)
        _, writer = await connected(port, context)
        assert writer.get_extra_info("ssl_object").version()
        config["listeners"][1]["tls"]["acme"]["domains"] = ["shop.test", "blog.test"]
        await reloaded(pointsman, tmp_path, config)
        assert list(app.renewals.domains) == ["shop.test", "blog.test"]
        del config["listeners"][1], config["acme"]
        await reloaded(pointsman, tmp_path, config)
        assert app.renewals is None


async def ask_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        assert await ask(reader, writer) == "a"


async def test_who_would_not_be_let_in_any_more_leaves(tmp_path: Path) -> None:
    port = free_port()
    async with instance("a") as a:
        listener: dict[str, Any] = {"bind": f"127.0.0.1:{port}"}
        config = configuration(a, listeners=[listener])
        async with serving(tmp_path, config) as (pointsman, connected):
            idle, busy = await connected(port), await connected(port)
            assert await ask(*idle) == "a"
            listener["deny"] = ["127.0.0.0/8"]
            asking = asyncio.create_task(ask_for_ever(*busy))
            await reloaded(pointsman, tmp_path, config)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await asyncio.wait_for(asking, 5)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(idle[0].read(), 5) == b""
            assert await ask(*await connected(port)) == "403"
            del listener["deny"]
            await reloaded(pointsman, tmp_path, config)
            assert await ask(*await connected(port)) == "a"
