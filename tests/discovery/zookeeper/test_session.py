"""Sessions and connections: what breaks, what comes back, and what is shared."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from discovery.registry import RegistryError
from discovery.zookeeper import ZooKeeperRegistry, client
from discovery.zookeeper import session as sessions
from tests.discovery.watching import eventually, first, has, only, until, watching
from tests.discovery.zookeeper.service import Kept, Service
from tests.servers.relay import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from discovery.zookeeper.session import Session
    from tests.servers.zookeeper import ZooKeeperServer


def the_session() -> Session:
    (session,) = sessions._sessions.values()
    return session


class Relayed(Service):
    """The same service, through a relay."""

    def __init__(self, service: Service, relay: Relay) -> None:
        self.server, self.path = service.server, service.path
        self._hosts = [f"{relay.address[0]}:{relay.address[1]}"]

    def registry(self, **options: Any) -> ZooKeeperRegistry:
        return ZooKeeperRegistry(self._hosts, **options)


@asynccontextmanager
async def relayed(service: Service) -> AsyncIterator[tuple[Relay, Relayed]]:
    async with Relay(("127.0.0.1", service.server.port)) as relay:
        yield relay, Relayed(service, relay)


async def test_a_connection_that_breaks_is_no_failure(service: Service):
    """The session outlives it."""
    service.put("one")
    async with relayed(service) as (relay, far), Kept(far, timeout=10.0) as kept:
        await eventually(lambda: kept.shows("one"))
        before = the_session().id
        for name in ("two", "three"):
            relay.cut()
            service.put(name)
            await eventually(lambda name=name: name in {one.id for one in kept.published[-1].instances})  # type: ignore[misc]
        service.delete("one")
        await eventually(lambda: kept.shows("two", "three"))
        assert the_session().id == before
        assert (kept.events, kept.keeper.updates["failed"]) == ([], 0)


async def test_what_was_missed_is_read_again(service: Service):
    service.put("one")
    service.put("two")
    async with relayed(service) as (relay, far), far.watch(timeout=10.0) as watch:
        await first(watch)
        relay.hold()
        relay.cut()
        service.delete("one")
        service.put("two", {"address": "10.0.0.9", "port": 99})
        service.put("three")
        relay.release()
        snapshot = await until(watch, has("two", "three"))
        assert not snapshot.continuous
        assert {instance.port for instance in snapshot.instances} == {80, 99}
        service.put("two")
        assert (await until(watch, lambda snapshot: all(one.port == 80 for one in snapshot.instances))).continuous


async def test_a_gap_in_which_nobody_came_or_went_is_none(service: Service):
    service.put("one")
    async with relayed(service) as (relay, far), far.watch(timeout=10.0) as watch:
        await first(watch)
        relay.cut()
        assert (await first(watch)).continuous


async def test_a_set_that_was_emptied_unseen_is_held(service: Service):
    service.put("one")
    async with relayed(service) as (relay, far), Kept(far, timeout=10.0) as kept:
        await eventually(lambda: kept.shows("one"))
        relay.hold()
        relay.cut()
        service.delete("one")
        relay.release()
        await eventually(lambda: kept.keeper.held_since is not None)
        assert kept.shows("one")


async def test_a_connection_that_does_not_come_back_is_an_error(service: Service):
    service.put("one")
    async with relayed(service) as (relay, far), Kept(far, timeout=0.3) as kept:
        await eventually(lambda: kept.shows("one"))
        relay.hold()
        relay.cut()
        await eventually(lambda: bool(kept.keeper.error))
        assert f": {service.path}: no connection within 0.3 s" in kept.keeper.error
        assert kept.shows("one")
        relay.release()
        service.put("two")
        await eventually(lambda: kept.shows("one", "two"))
    assert kept.events == ["watch_failed", "watch_recovered"]


async def test_a_server_that_is_silent_is_an_error(service: Service):
    service.put("one")
    async with relayed(service) as (relay, far):
        async with far.watch(timeout=0.3, heartbeat=0.1) as watch:
            await until(watch, has("one"))
            relay.hold()
            with pytest.raises(RegistryError, match=r"no answer within 0\.3 s"):
                await until(watch, has())
        async with far.watch(timeout=0.3) as watch:
            with pytest.raises(RegistryError, match=r"no connection within 0\.3 s"):
                await first(watch)
        relay.release()
        async with far.watch() as watch:
            await until(watch, has("one"))


async def test_a_session_that_expired_is_followed_by_another(service: Service):
    """Everything is read anew, and watched: the list, and each child."""
    service.put("one")
    async with service.watch(timeout=10.0) as watch:
        await first(watch)
        session = the_session()
        expired = session.id
        await asyncio.to_thread(service.server.expire, session._client.client_id)
        await eventually(lambda: session.id != expired)
        snapshot = await first(watch)
        assert (has("one")(snapshot), snapshot.continuous) == (True, False)
        service.put("one", {"address": "10.0.0.1", "port": 81})
        assert (await until(watch, lambda snapshot: only(snapshot).port == 81)).continuous
        service.put("two")
        assert (await until(watch, has("one", "two"))).continuous
        assert the_session() is session


async def test_a_server_that_forgot_everything_is_asked_in_a_new_session(own_zookeeper: ZooKeeperServer):
    """It turns away clients that have seen more than it has; their session is over once its time is."""
    service = Service(own_zookeeper)
    service.put("one")
    service.put("two")
    async with Kept(service, timeout=60.0, session_timeout=0.5) as kept:
        await eventually(lambda: kept.shows("one", "two"))
        await asyncio.to_thread(own_zookeeper.kill)
        own_zookeeper.wipe()
        await asyncio.to_thread(own_zookeeper.start)
        await eventually(lambda: kept.keeper.held_since is not None)
        assert kept.shows("one", "two")
        service.put("one")
        await eventually(lambda: kept.shows("one"))
    assert kept.events == ["empty_held"]


async def test_all_watches_of_an_ensemble_share_one_session(service: Service):
    service.put("one")
    connections = service.server.sessions()
    registries = [service.registry(), service.registry(layout="nerve"), service.registry(timeout=7.0)]
    async with watching(registries[0], service.path) as one, watching(registries[1], f"{service.path}-b") as two:
        await asyncio.gather(first(one), first(two))
        session = the_session()
        async with watching(registries[2], service.path) as three:
            await first(three)
            assert (the_session(), session.users) == (session, 3)
            assert service.server.sessions() == connections + 1
        service.put("two")
        await until(one, has("one", "two"))
    assert not sessions._sessions
    await eventually(lambda: service.server.sessions() == connections)


async def test_a_watch_that_begins_anew_leaves_no_second_one_behind(service: Service):
    """The session may live on for years; what is watched in it must not pile up."""
    service.put("one")
    async with service.watch() as stays:
        await first(stays)
        client = the_session()._client
        for _ in range(5):
            async with service.watch() as watch:
                await first(watch)
        assert sum(map(len, client._child_watchers.values())) == 1
        assert sum(map(len, client._data_watchers.values())) == 1


async def test_another_login_is_another_session(service: Service):
    service.put("one")
    async with service.watch() as one, service.watch(username="me", password="secret") as two:
        await asyncio.gather(first(one), first(two))
        assert len(sessions._sessions) == 2


async def test_kazoo_says_nothing_in_our_log_and_no_passwords_anywhere(
    service: Service, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    login = {"username": "me", "password": "a-secret"}
    async with relayed(service) as (relay, far), far.watch(timeout=0.5, **login) as watch:
        await first(watch)
        relay.hold()
        relay.cut()
        with pytest.raises(RegistryError):
            await until(watch, has("never"))
    said = [record for record in caplog.records if "kazoo" in record.name + record.getMessage()]
    assert said
    assert {record.levelno for record in said} == {logging.DEBUG}
    assert "a-secret" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", r"a message of 1213486160 bytes: is this a ZooKeeper\?"),
        (b"\xff\xff\xff\xfe", "invalid server response"),
        (b"\0\0\0\x04abcd", "invalid server response"),
        (b"", "socket connection broken"),
    ],
)
async def test_what_is_no_zookeeper_is_an_error(answer: bytes, said: str):
    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with watching(ZooKeeperRegistry([f"{host}:{port}"], timeout=0.3), "/web") as watch:
            with pytest.raises(RegistryError, match=rf"no connection within 0\.3 s: Connection dropped: .*{said}"):
                await first(watch)


# The answer to Connect (protocol 0, 10 s, session 1, a password), and then to the first question one without a head.
CONNECTED = b"\0\0\0\x25" + b"\0\0\0\0" + b"\0\0\x27\x10" + b"\0" * 7 + b"\x01" + b"\0\0\0\x10" + b"p" * 16 + b"\0"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\0\0\0\x02??", "the session ended: the answer made no sense"),
        (b"", "the connection breaks again and again"),
    ],
)
async def test_what_answers_no_question_is_an_error(answer: bytes, said: str):
    """It lets everybody in."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(CONNECTED)
        await reader.read(1000)
        writer.write(answer)
        if answer:
            await reader.read(1000)
        writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with watching(ZooKeeperRegistry([f"{host}:{port}"], timeout=1.0), "/web") as watch:
            with pytest.raises(RegistryError, match=said):
                await first(watch)


async def test_a_message_without_end_is_refused(service: Service, monkeypatch: pytest.MonkeyPatch):
    service.server.change_many(service.path, [(f"{number:0100}", b"x") for number in range(20)])
    monkeypatch.setattr(client, "MESSAGE_LIMIT", 1000)
    async with service.watch(timeout=0.3) as watch:
        with pytest.raises(RegistryError, match=r"no connection within|breaks again and again"):
            await first(watch)
