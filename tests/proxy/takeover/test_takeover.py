"""One pointsman after the other takes the same place, and nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import aiohttp
import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.load import parse
from proxy.cli import claim_of
from proxy.sockets import BindError
from proxy.takeover.failing import TakeoverError
from tests.proxy.clients import Clients, busy_instance
from tests.proxy.running import instance, until
from tests.proxy.takeover.taking import SOCKET, Stranger, configuration, living
from tests.proxy.tcp.talking import echo
from tests.proxy.test_tls import client_context, issue
from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from proxy.application import Application

HELLO = {"what": "hello", "version": 1}


def url_of(config: dict[str, Any], place: int = 0) -> str:
    return f"http://{config['listeners'][place]['bind']}/"


async def get(url: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        session.get(url) as response,
    ):
        return response.status, await response.text()


async def metric(config: dict[str, Any], line: str) -> float:
    _, text = await get(f"http://{config['admin']['bind']}/metrics")
    return next(float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(f"{line} "))


def events(application: Application) -> list[str]:
    return [event.kind for event in application.journal.since(0) if not event.service]


async def test_ten_in_a_row_under_load(tmp_path: Path) -> None:
    async with busy_instance() as address, living() as places:
        config = configuration(address, drain_timeout="3s")
        first = await places.start(tmp_path, config).begun()
        clients = Clients(url_of(config))
        load = asyncio.create_task(clients.run(keep=4, new=2, large=2))
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url_of(config)}ws") as chat:
            for generation in range(1, 11):
                taking = await places.start(tmp_path, config, takes_over=True).begun()
                assert taking.application.generation == generation
                sent = clients.sent
                await until(lambda sent=sent: clients.sent > sent + 20)  # type: ignore[misc]
                if not first.life.done():
                    await chat.send_str(str(generation))
                    assert (await chat.receive()).data in (str(generation), 1001)
            message = await chat.receive()
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)  # asked to leave, not cut
            assert chat.close_code == 1001
        clients.stop()
        await load
        *before, last = places.all
        assert [await one.life for one in before] == [0] * 10
        assert not last.life.done()
        assert clients.sent > 200
        assert not clients.failed
        assert events(first.application) == ["taken_over"]
        assert events(last.application) == ["took_over"]
        assert await metric(config, "pointsman_takeover_generation") == 10
        assert await metric(config, "pointsman_takeover_duration_seconds") > 0
        assert await metric(config, "pointsman_takeover_under_way") == 0


async def test_five_in_a_row_with_tls(tmp_path: Path) -> None:
    async with busy_instance() as address, living() as places:
        config = configuration(address, drain_timeout="3s")
        config["listeners"][0]["tls"] = {"certificates": [issue(tmp_path, "localhost")]}
        await places.start(tmp_path, config).begun()
        url = url_of(config).replace("http://127.0.0.1", "https://localhost")
        clients = Clients(url, client_context())
        load = asyncio.create_task(clients.run(keep=3, new=6, large=1))
        for _ in range(5):
            await places.start(tmp_path, config, takes_over=True).begun()
            sent = clients.sent
            await until(lambda sent=sent: clients.sent > sent + 20)  # type: ignore[misc]
        clients.stop()
        await load
        assert [await one.life for one in places.all[:-1]] == [0] * 5
        assert not clients.failed


async def test_who_has_just_connected_is_not_cut(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        config = configuration(address)
        config["listeners"][0]["tls"] = {"certificates": [issue(tmp_path, "localhost")]}
        old = await places.start(tmp_path, config).begun()
        host, _, port = config["listeners"][0]["bind"].partition(":")
        with socket.create_connection((host, int(port))) as sock:
            listener = old.application.listeners[0]
            await until(lambda: listener.clients == 1)  # it has accepted, and waits for the first byte
            await places.start(tmp_path, config, takes_over=True).begun()
            sock.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=sock, ssl=client_context(), server_hostname="localhost")
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"Connection: close" in head
            writer.close()
        assert await old.life == 0


async def test_raw_connections_stay_and_new_ones_come_to_the_new_one(tmp_path: Path) -> None:
    async with echo() as db, living() as places:
        config = configuration(db.address)
        port = free_port()
        config["listeners"].append({"bind": f"127.0.0.1:{port}", "tcp": {"service": "web"}})
        old = await places.start(tmp_path, config).begun()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"one\n")
        assert await reader.readuntil(b"one\n")
        new = await places.start(tmp_path, config, takes_over=True).begun()
        writer.write(b"two\n")
        assert await reader.readuntil(b"two\n")
        other, talk = await asyncio.open_connection("127.0.0.1", port)
        talk.write(b"three\n")
        assert await other.readuntil(b"three\n")
        assert new.application.listeners[1].clients == 1
        for one in (writer, talk):
            one.close()
            await one.wait_closed()
        assert await old.life == 0


async def test_who_does_not_become_ready_leaves_all_as_it_was(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        config = configuration(address)
        old = await places.start(tmp_path, config).begun()
        nowhere = {"consul": {"address": f"http://127.0.0.1:{free_port()}", "service": "web"}}
        slow = {
            **config,
            "services": {"web": {"discovery": nowhere}},
            "takeover": {"socket": SOCKET, "timeout": "200ms"},
        }
        new = places.start(tmp_path, slow, takes_over=True)
        with pytest.raises(TakeoverError, match="not ready after 200ms: service web: no snapshot from consul yet"):
            await new.begun()
        await until(lambda: events(old.application) == ["takeover_failed"])
        assert "service web: no snapshot" in old.application.journal.since(0)[-1].reason
        assert await get(url_of(config)) == (200, "a")
        assert await get(f"http://{config['admin']['bind']}/readyz") == (200, '{"status": "ready"}')
        assert await metric(config, 'pointsman_takeovers_total{result="failed"}') == 1
        assert "no file" in (await old.application.reloader.reload("a test")).errors[0]  # reloads are allowed again
        await places.start(tmp_path, config, takes_over=True).begun()
        assert await old.life == 0


async def test_who_cannot_bind_leaves_all_as_it_was(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        config = configuration(address)
        old = await places.start(tmp_path, config).begun()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            other = {**config, "listeners": [*config["listeners"], {"bind": f"127.0.0.1:{taken.getsockname()[1]}"}]}
            with pytest.raises(BindError, match="in use"):
                await places.start(tmp_path, other, takes_over=True).begun()
        await until(lambda: events(old.application) == ["takeover_failed"])
        assert await get(url_of(config)) == (200, "a")
        assert (tmp_path / SOCKET).is_socket()


async def test_nobody_to_take_over_from(tmp_path: Path) -> None:
    async with living() as places:
        with pytest.raises(
            TakeoverError, match=r"nobody can be taken over from at .*: No such file.* leave out --takeover"
        ):
            await places.start(tmp_path, configuration("127.0.0.1:9"), takes_over=True).begun()


async def test_two_at_once(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        config = configuration(address)
        old = await places.start(tmp_path, config).begun()
        first = await Stranger(tmp_path / SOCKET).connect()
        await first.say(HELLO)
        await first.until_told("state")
        assert await metric(config, "pointsman_takeover_under_way") == 1
        with pytest.raises(TakeoverError, match="another takeover is under way, by process"):
            await places.start(tmp_path, config, takes_over=True).begun()
        assert old.application.offer is not None
        assert old.application.offer.counts == {"failed": 0, "refused": 1}
        first.leave()
        await until(lambda: old.application.offer is not None and old.application.offer.busy is None)
        await places.start(tmp_path, config, takes_over=True).begun()
        assert await old.life == 0


async def test_listeners_come_and_go(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        config = configuration(address)
        gone, new = free_port(), free_port()
        unix, left = tmp_path / "web.sock", tmp_path / "left.sock"
        stays = [*config["listeners"], {"bind": f"unix:{unix}"}]
        config["listeners"] = [*stays, {"bind": f"127.0.0.1:{gone}"}, {"bind": f"unix:{left}"}]
        config["admin"] = {"bind": f"unix:{tmp_path}/admin.sock"}
        old = await places.start(tmp_path, config).begun()
        config["listeners"] = [{"bind": f"127.0.0.1:{new}"}, *reversed(stays)]
        await places.start(tmp_path, config, takes_over=True).begun()
        assert await old.life == 0
        assert await get(url_of(config)) == (200, "a")
        assert await get(url_of(config, 2)) == (200, "a")
        for path, asked in ((unix, "/"), (tmp_path / "admin.sock", "/readyz")):
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
                session.get(f"http://x{asked}") as response,
            ):
                assert response.status == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(f"http://127.0.0.1:{gone}/")
        assert not left.exists()
        assert stat.S_IMODE(os.stat(tmp_path / SOCKET).st_mode) == 0o600
    assert not unix.exists()
    assert not (tmp_path / "admin.sock").exists()
    assert not (tmp_path / SOCKET).exists()


async def test_what_an_operator_set_goes_over(tmp_path: Path) -> None:
    async with instance("a") as a, instance("b") as b, living() as places:
        config = configuration(a, b)
        config["services"]["canary"] = {"discovery": {"static": [b]}}
        config["splits"] = {"both": {"services": {"web": 1, "canary": 0}}}
        old = await places.start(tmp_path, config).begun()
        web_service = old.application.services["web"]
        first, second = web_service.pool.endpoints
        web_service.drain(first, "new kernel")
        web_service.weigh(second.instance.id, 7)
        old.application.splits["both"].reweigh({"canary": 3})
        new = await places.start(tmp_path, config, takes_over=True).begun()
        service = new.application.services["web"]
        assert service.pool.drains.reasons == {first.instance.id: "new kernel"}
        assert {endpoint.instance.weight for endpoint in service.pool.endpoints} == {1, 7}
        assert new.application.splits["both"].weights == {"web": 1, "canary": 3}
        assert await old.life == 0


async def test_who_is_asked_to_end_before_it_has_taken_over(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        config = configuration(address)
        old = await places.start(tmp_path, config).begun()
        nowhere = {"consul": {"address": f"http://127.0.0.1:{free_port()}", "service": "web"}}
        new = places.start(tmp_path, {**config, "services": {"web": {"discovery": nowhere}}}, takes_over=True)
        await until(lambda: old.application.offer is not None and old.application.offer.busy is not None)
        new.application.end()
        with pytest.raises(TakeoverError, match="asked to end before"):
            await new.begun()
        await until(lambda: events(old.application) == ["takeover_failed"])
        new = places.start(tmp_path, {**config, "services": {"web": {"discovery": nowhere}}}, takes_over=True)
        await until(lambda: old.application.offer is not None and old.application.offer.busy is not None)
        old.application.end()
        with pytest.raises(TakeoverError, match="it is ending"):
            await new.begun()
        assert await old.life == 0


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    config = configuration("127.0.0.1:9")
    file = tmp_path / "pointsman.yaml"
    file.write_text(json.dumps(config))
    command = [COMMAND, "run", "-c", str(file), "--takeover"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"nobody can be taken over from at {tmp_path / SOCKET}: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
    del config["takeover"]
    with pytest.raises(click.UsageError, match="--takeover needs the key takeover in the file, or the socket"):
        claim_of(parse(json.dumps(config), name="test", folder=tmp_path, environ={}), "")


async def test_from_one_address_to_all_and_any_port_stays_the_same(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        port = free_port()
        config = configuration(address, listeners=[{"bind": f"127.0.0.1:{port}"}, {"bind": "127.0.0.1:0"}])
        old = await places.start(tmp_path, config).begun()
        some = old.application.listeners[1].ports
        config["listeners"] = [{"bind": "127.0.0.1:0"}, {"bind": f":{port}"}]
        new = await places.start(tmp_path, config, takes_over=True).begun()
        assert new.application.listeners[0].ports == some
        assert await old.life == 0
        assert await get(f"http://127.0.0.1:{port}/") == (200, "a")
        assert await get(f"http://127.0.0.1:{some[0]}/") == (200, "a")


async def test_what_systemd_listens_on_stays_systemds(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        path, admin = tmp_path / "web.sock", tmp_path / "admin.sock"
        with (
            socket.create_server(("127.0.0.1", 0)) as registry,
            unix_server(path) as first,
            unix_server(admin) as second,
        ):
            host, port = registry.getsockname()
            config = configuration(
                address,
                listeners=[{"bind": f"unix:{path}"}],
                admin={"bind": f"unix:{admin}"},
                registry={"bind": f"{host}:{port}", "data_dir": str(tmp_path / "registry")},
            )
            handed = [sock.dup() for sock in (second, registry, first)]
            for sock in handed:
                sock.setblocking(False)
            old = await places.start(tmp_path, config, sockets=handed).begun()
            new = await places.start(tmp_path, config, takes_over=True).begun()
            assert await old.life == 0
            assert new.application.listeners[0].lent
            assert (await get(f"http://{host}:{port}/v1/catalog/services"))[0] == 200
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(admin))) as session,
                session.get("http://x/readyz") as response,
            ):
                assert response.status == 200
            new.application.end()
            assert await new.life == 0
            assert path.is_socket()
            assert admin.is_socket()


def unix_server(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


async def test_the_folder_of_the_state_goes_over(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with instance("a") as address, living() as places, catalog_of(address) as url:
        config = configuration(state_dir=str(state))
        config["services"]["web"]["discovery"] = {"http": {"url": url}}
        del config["takeover"]["socket"]
        old = await places.start(tmp_path, config).begun()
        await until(lambda: list(state.glob("*.state")))
        new = await places.start(tmp_path, config, takes_over=True).begun()
        assert (state / "takeover.sock").is_socket()
        assert await old.life == 0
        assert old.application.state is None
        (file,) = state.glob("*.state")
        file.unlink()
        assert new.application.state is not None
        written = new.application.state.written
        await until(lambda: new.application.state is not None and new.application.state.written > written)
        assert file.exists()


@contextlib.asynccontextmanager
async def catalog_of(address: str) -> AsyncIterator[str]:
    """A document of one instance, which says something else each time."""
    asked = 0

    async def tell(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response([{"targets": [address], "labels": {"asked": str(asked)}}])

    app = web.Application()
    app.add_routes([web.get("/", tell)])
    async with TestServer(app) as server:
        yield str(server.make_url("/"))
