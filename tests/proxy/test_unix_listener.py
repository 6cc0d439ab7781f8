"""Listening on a unix socket, and on what cannot be listened on."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from config.units import Bind
from proxy.http.terms import Terms
from proxy.listener import Listener, ListenerOptions
from proxy.routes import Router
from proxy.sockets import BindError
from tests.proxy.http.scripted import GET, OK, OK_SENT, proxying, until
from tests.proxy.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proxy.http.scripted import Peer

SENT = (
    b"GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Host: shop\r\n"
    b"X-Request-Id: made\r\nX-Forwarded-Proto: http\r\nVia: 1.1 pointsman\r\n\r\n"
)  # nobody has an address here


def listener(bind: Bind) -> Listener:
    return Listener(bind, Router[Terms]([]), ListenerOptions())


async def test_requests_come_through_a_unix_socket(tmp_path: Path) -> None:
    async with proxying(bind=Bind(path=str(tmp_path / "web.sock"))) as proxy:
        assert proxy.listener.ports == []
        client: Peer = await proxy.client()
        await client.send(GET)
        instance = await proxy.instance.accept()
        await instance.gets(SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_response_that_breaks_off_is_not_whole_there_either(tmp_path: Path) -> None:
    async with proxying(bind=Bind(path=str(tmp_path / "web.sock"))) as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await client.through(b"x\r\n")
        instance.reset()
        assert await client.rest() == b""
        assert proxy.traffic.broken == 1


async def test_the_socket_of_a_process_that_is_gone_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "web.sock")
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(path)
    one = listener(Bind(path=path))
    await one.start()
    one.drain()


async def test_the_socket_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "web.sock")
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(path)
        living.listen(0)
        for _ in range(3):  # even when its backlog is full
            with pytest.raises(BindError, match="in use"):
                await listener(Bind(path=path)).start()
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            assert client.connect_ex(path) in (0, 11)


async def test_a_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    path.write_text("precious")
    with pytest.raises(BindError, match="in use"):
        await listener(Bind(path=str(path))).start()
    assert path.read_text() == "precious"


async def test_a_port_in_use_is_told() -> None:
    one = listener(Bind("127.0.0.1", 0))
    await one.start()
    with pytest.raises(BindError, match=f"cannot listen on 127.0.0.1:{one.ports[0]}: "):
        await listener(Bind("127.0.0.1", one.ports[0])).start()
    one.drain()


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BindError, match="No such file"):
        await listener(Bind(path=str(tmp_path / "no" / "web.sock"))).start()


async def test_clients_are_counted() -> None:
    async with proxying() as proxy:
        clients = [await proxy.client() for _ in range(3)]
        await until(lambda: proxy.listener.clients == 3)
        for client in clients:
            client.close()
        await until(lambda: proxy.listener.clients == 0)
        assert proxy.listener.accepted == 3


async def test_the_socket_of_a_listener_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    one = listener(Bind(path=str(path)))
    await one.start()
    assert path.exists()
    one.drain()
    assert not path.exists()
    one.drain()


async def test_the_admin_address_leaves_the_socket_of_a_living_process_alone_too(tmp_path: Path) -> None:
    config = {"services": {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}, "admin": {"bind": f"unix:{tmp_path}/s"}}
    async with running(config):
        with pytest.raises(BindError, match=r"cannot listen on the admin address .*: Address already in use"):
            async with running(config):
                pass
        assert (tmp_path / "s").exists()
    assert not (tmp_path / "s").exists()
