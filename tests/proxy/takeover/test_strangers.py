"""Who comes to the socket of a takeover may be anybody of our user: nothing that it says hurts the one who runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.takeover.channel import Channel, Peer, peer_of
from proxy.takeover.failing import GoneError, TakeoverError
from proxy.takeover.messages import Done, Go, Hello, Message, Ready, Refused, Sockets, State, Yours
from tests.proxy.running import instance, until
from tests.proxy.takeover.taking import SOCKET, Stranger, configuration, living
from tests.proxy.takeover.test_takeover import HELLO, get, url_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NOBODY = 65534  # the user

MESSAGES: list[type[Message]] = [Hello, Refused, Sockets, State, Ready, Yours, Done, Go]


def told_as(user: int, path: Path) -> str:
    """What a process of this user is told there, or the error that it meets. Blocks."""
    read, write = os.pipe()
    child = os.fork()  # another program could not be run as anybody else: its files may be root's alone
    if child == 0:
        try:
            os.setgroups([])
            os.setuid(user)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                told = sock.recv(4096)
        except OSError as error:
            told = type(error).__name__.encode()
        os.write(write, told)
        os._exit(0)
    os.close(write)
    with open(read, "rb") as end:
        text = end.read().decode()
    os.waitpid(child, 0)
    return text


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "should have said 'hello', not 'GET / HTTP/1.1"),
        (b"\xff\xfe\0\n", "should have said 'hello'"),
        (b"[" * 100_000 + b"\n", "should have said 'hello'"),
        (b"{}\n", "should have said 'hello', not '{}'"),
        ({"what": "hello"}, "should have said 'hello'"),
        ({"what": "hello", "version": "1"}, "should have said 'hello'"),
        ({"what": "ready", "takes": []}, "should have said 'hello'"),
        (
            {"what": "hello", "version": 2},
            "it speaks version 2 of the takeover, and the running one version 1: restart",
        ),
        (b"x" * (5 * 2**20), "sent a line of more than 4194304 bytes"),
        ({"what": "refused", "error": "no, thanks"}, "no, thanks"),
    ],
)
async def test_what_makes_no_sense(running: tuple[Any, dict[str, Any]], said: Any, error: str) -> None:
    old, config = running
    stranger = await Stranger(old.path).connect()
    await stranger.say(said)
    answer = await stranger.hear()
    stranger.leave()
    if answer is not None:  # a reset, where more was sent than was read
        assert answer["what"] == "refused"
        assert error in answer["error"]
    await until(lambda: old.application.offer.counts["refused"] == 1)
    assert old.application.offer.busy is None
    assert (await get(url_of(config)))[0] == 200


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Any, dict[str, Any]]]:
    async with instance("a") as address, living() as places:
        config = configuration(address)
        old: Any = await places.start(tmp_path, config).begun()
        old.path = tmp_path / SOCKET
        yield old, config


@pytest.mark.parametrize("said", [{"what": "ready", "takes": [99]}, {"what": "ready"}, b"nonsense\n", None])
async def test_who_leaves_or_lies_after_it_got_the_sockets(running: tuple[Any, dict[str, Any]], said: Any) -> None:
    old, config = running
    stranger = await Stranger(old.path).connect()
    await stranger.say(HELLO)
    await stranger.until_told("state")
    assert old.application.offer.busy == os.getpid()
    if said is not None:
        await stranger.say(said)
        assert (await stranger.until_told("refused"))["error"]
    stranger.leave()
    await until(lambda: old.application.offer.busy is None)
    assert old.application.offer.counts == {"failed": 1, "refused": 0}
    assert not old.application.ending
    assert await get(url_of(config)) == (200, "a")


async def test_who_dies_after_it_said_that_it_is_ready(running: tuple[Any, dict[str, Any]]) -> None:
    old, config = running
    stranger = await Stranger(old.path).connect()
    await stranger.say(HELLO)
    await stranger.until_told("state")
    await stranger.say({"what": "ready", "takes": [0, 1]})
    await stranger.until_told("yours")
    assert await get(url_of(config)) == (200, "a")
    stranger.leave()
    await until(lambda: old.application.offer.busy is None)
    assert not old.application.ending
    assert await get(url_of(config)) == (200, "a")


async def test_a_crowd(running: tuple[Any, dict[str, Any]]) -> None:
    old, config = running
    crowd = [await Stranger(old.path).connect() for _ in range(12)]
    told = await asyncio.gather(*(one.hear() for one in crowd[8:]))
    assert told == [None] * 4  # they are too many
    for one in crowd:
        one.leave()
    await until(lambda: old.application.offer.counts["refused"] == 8)
    assert (await get(url_of(config)))[0] == 200


async def test_descriptors_that_are_sent_to_the_one_who_runs_are_closed(running: tuple[Any, dict[str, Any]]) -> None:
    old, _ = running
    read, write = os.pipe()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.connect(str(old.path))
        socket.send_fds(sock, [json.dumps(HELLO).encode() + b"\n"], [write])
        os.close(write)
        os.set_blocking(read, False)
        await until(lambda: _is_at_end(read))
    os.close(read)


def _is_at_end(read: int) -> bool:
    try:
        return os.read(read, 1) == b""
    except BlockingIOError:
        return False


async def test_another_user_is_turned_away(running: tuple[Any, dict[str, Any]]) -> None:
    assert Peer(1, 1000).is_trusted_by(1000)
    assert Peer(1, 0).is_trusted_by(1000)
    assert not Peer(1, 1001).is_trusted_by(1000)
    assert not Peer(1, 1000).is_trusted_by(0)
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    old, config = running
    for folder in old.path.parents:
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)

    assert await asyncio.to_thread(told_as, NOBODY, old.path) == "PermissionError"
    old.path.chmod(0o666)  # and even then
    told = await asyncio.to_thread(told_as, NOBODY, old.path)
    assert f"a process of user {NOBODY} may not take over one of user 0" in told
    assert (await get(url_of(config)))[0] == 200


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def test_sockets_go_over_in_their_order(ends: tuple[socket.socket, socket.socket]) -> None:
    from_, to = Channel(ends[0], most=1000), Channel(ends[1], most=1000, takes=True)
    assert from_.peer == peer_of(ends[0]) == Peer(os.getpid(), os.geteuid())
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    plain = socket.socket()
    try:
        for some in (listening[:2], listening[2:3], listening[3:]):
            said = Sockets(role="listener", bind="x", count=len(some))
            await from_.send(said, some, within=5)
        await from_.send(Go(), [plain], within=5)
        taken = []
        for count in (2, 1, 2):
            said = await to.receive(Sockets, within=5)
            assert said.count == count
            taken += to.take(count)
        assert [one.getsockname() for one in taken] == [one.getsockname() for one in listening]
        assert not any(os.get_inheritable(one.fileno()) for one in taken)
        await to.receive(Go, within=5)
        with pytest.raises(TakeoverError, match="sent 0 sockets, and said 1"):
            to.take(1)  # a socket that does not listen is none
        for one in taken:
            one.close()
        with pytest.raises(TakeoverError, match=r"said nothing for 0\.05 s"):
            await to.receive(Go, within=0.05)
        from_.close()
        with pytest.raises(GoneError):
            await to.receive(Go, within=5)
    finally:
        for one in (*listening, plain):
            one.close()
        to.close()


_JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(max_examples=50)
@given(st.binary(max_size=200) | _JSON.map(lambda written: json.dumps(written).encode()))
def test_no_line_is_more_than_refused(line: bytes) -> None:
    async def hear() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            ours.setblocking(False)
            theirs.sendall(line.replace(b"\n", b"") + b"\n")
            channel = Channel(ours, most=1000)
            with pytest.raises(TakeoverError):
                await channel.receive(Hello, within=5)

    asyncio.run(hear())


NEEDED: dict[str, dict[str, Any]] = {
    "hello": {"version": 1},
    "refused": {"error": "x"},
    "sockets": {"role": "admin", "bind": "x", "count": 1},
    "state": {"pid": 1},
    "ready": {"takes": []},
}


def heard(kind: type[Message], said: dict[str, Any]) -> Message:
    """What a process that waits for this kind makes of a line."""

    async def hear() -> Message:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            ours.setblocking(False)
            theirs.sendall(json.dumps(said).encode() + b"\n")
            return await Channel(ours, most=1000).receive(kind, within=5)

    return asyncio.run(hear())


@pytest.mark.parametrize("kind", MESSAGES)
def test_what_is_added_later_is_passed_over(kind: type[Message]) -> None:
    what = str(kind.__struct_config__.tag)
    said = {"what": what, **NEEDED.get(what, {}), "more": [1]}
    assert type(heard(kind, said)) is kind


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("what", [{}, {"what": None}, {"what": "nonsense"}])
def test_a_line_must_say_what_it_is(kind: type[Message], what: dict[str, Any]) -> None:
    tag = str(kind.__struct_config__.tag)
    with pytest.raises(TakeoverError, match=f"should have said '{tag}'"):
        heard(kind, {**NEEDED.get(tag, {}), **what})


class Pretender:
    """A process that offers a takeover and says what a test has it say."""

    def __init__(self, path: Path) -> None:
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen()
        self.listening.setblocking(False)
        self.offered = Sockets(role="takeover", bind=str(path), count=1)

    async def accept(self) -> Channel:
        sock, _ = await asyncio.get_running_loop().sock_accept(self.listening)
        sock.setblocking(False)
        return Channel(sock, most=10**6)

    def close(self) -> None:
        self.listening.close()


async def test_the_one_who_runs_dies_on_the_way(tmp_path: Path) -> None:
    async with instance("a") as address, living() as places:
        config = configuration(address)
        pretender = Pretender(tmp_path / SOCKET)
        new = places.start(tmp_path, config, takes_over=True)
        channel = await pretender.accept()
        await channel.receive(Hello, within=5)
        host, _, port = config["listeners"][0]["bind"].partition(":")
        with socket.create_server((host, int(port))) as listening:
            await channel.send(Sockets(role="listener", bind=f"{host}:{port}", count=1), [listening], within=5)
        await channel.send(pretender.offered, [pretender.listening], within=5)
        await channel.send(State(pid=1, generation=4), within=5)
        await channel.receive(Ready, within=5)
        channel.close()
        pretender.close()
        await new.begun()
        assert await get(url_of(config)) == (200, "a")
        assert new.application.generation == 5


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (Refused(error="not today"), "not today"),
        (Go(), "should have said 'state'"),
        (Sockets(role="listener", bind="127.0.0.1:1", count=2), "sent 0 sockets, and said 2"),
    ],
)
async def test_the_one_who_runs_makes_no_sense(tmp_path: Path, said: Message, error: str) -> None:
    pretender = Pretender(tmp_path / SOCKET)
    async with living() as places:
        new = places.start(tmp_path, configuration("127.0.0.1:9"), takes_over=True)
        channel = await pretender.accept()
        await channel.receive(Hello, within=5)
        await channel.send(said, within=5)
        with pytest.raises(TakeoverError, match=error):
            await new.begun()
        channel.close()
    pretender.close()
