"""Messages, and sockets beside them, from one end of a channel to the other."""

from __future__ import annotations

import asyncio
import os
import pickle
import resource
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from proxy.workers import channel
from proxy.workers.channel import ChannelError, DeafError, Inbox, Link, packets, pair, pickled, send_now
from tests.proxy.running import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

FIRST, LAST = 1, 2  # flags in the first byte of a packet


class End:
    """An end of a channel that keeps what came."""

    def __init__(self, sock: socket.socket) -> None:
        self.messages: list[object] = []
        self.sockets: list[socket.socket] = []
        self.gone: list[str] = []
        self.link = Link(sock, self.received, self.gone.append)
        self.link.start()

    def received(self, message: object, sockets: list[socket.socket]) -> None:
        self.messages.append(message)
        self.sockets += sockets

    def close(self) -> None:
        self.link.close()
        for sock in self.sockets:
            sock.close()


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    one, other = (End(sock) for sock in pair())
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def raw() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends without a loop."""
    one, other = pair()
    with one, other:
        yield one, other


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Allow so many more than there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.dup(0) for _ in range(count)]
    most = max(free) + 1
    for descriptor in free:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestMessages:
    @pytest.mark.parametrize(
        "size", [0, 1, channel.PIECE - 1, channel.PIECE, channel.PIECE + 1, 3 * channel.PIECE, 10 * 2**20]
    )
    async def test_of_any_size_come_whole(self, ends: tuple[End, End], size: int) -> None:
        content = os.urandom(size)
        ends[0].link.send(content)
        await until(lambda: ends[1].messages)
        assert ends[1].messages == [content]

    async def test_come_in_order_be_they_small_or_large(self, ends: tuple[End, End]) -> None:
        sent = [(number, b"x" * (200_000 if number % 500 == 0 else number % 50)) for number in range(5_000)]
        for message in sent:
            ends[0].link.send(message)
        assert ends[0].link.queued  # more than the kernel takes at once
        assert await ends[0].link.flush(20.0)
        assert not ends[0].link.queued
        await until(lambda: len(ends[1].messages) == len(sent))
        assert ends[1].messages == sent

    async def test_go_both_ways_at_once(self, ends: tuple[End, End]) -> None:
        sent = [os.urandom(1_000_000) for _ in range(5)]
        for message in sent:
            for end in ends:
                end.link.send(message)
        await until(lambda: all(len(end.messages) == len(sent) for end in ends))
        assert ends[0].messages == ends[1].messages == sent

    async def test_pickled_once_go_to_many(self, ends: tuple[End, End]) -> None:
        data = pickled({"to": "all"})
        for end in ends:
            end.link.send_pickled(data)
        await until(lambda: all(end.messages for end in ends))
        assert ends[0].messages == ends[1].messages == [{"to": "all"}]

    async def test_that_meet_a_fault_are_logged_and_the_next_one_comes(
        self, ends: tuple[End, End], caplog: pytest.LogCaptureFixture
    ) -> None:
        heard: list[object] = []

        def breaks(message: object, sockets: list[socket.socket]) -> None:
            heard.append(message)
            if message == "first":
                raise LookupError("what is this?")

        ends[1].received = breaks  # type: ignore[method-assign]
        ends[1].link._received = breaks
        ends[0].link.send("first")
        ends[0].link.send("second")
        await until(lambda: len(heard) == 2)
        assert "a message met a fault in pointsman: str" in caplog.text
        assert not ends[1].gone

    async def test_are_not_read_any_more_once_somebody_has_closed(self, ends: tuple[End, End]) -> None:
        def closes(message: object, sockets: list[socket.socket]) -> None:
            ends[1].messages.append(message)
            ends[1].link.close()

        ends[1].link._received = closes
        ends[0].link.send("first")
        ends[0].link.send("second")
        await until(lambda: ends[0].gone)
        assert ends[1].messages == ["first"]
        assert not ends[1].gone  # nobody is told what they did


class TestSockets:
    @pytest.mark.parametrize("count", [1, 250, 251, 700])
    async def test_come_with_their_message_in_their_order(self, ends: tuple[End, End], count: int) -> None:
        sent = [socket.socket() for _ in range(count)]
        try:
            ends[0].link.send(["before"])
            ends[0].link.send(["with"], sent)
            ends[0].link.send(["after"])
            await until(lambda: len(ends[1].messages) == 3)
            assert ends[1].messages == [["before"], ["with"], ["after"]]
            inodes = [os.fstat(sock.fileno()).st_ino for sock in sent]
            assert [os.fstat(sock.fileno()).st_ino for sock in ends[1].sockets] == inodes
            assert not any(sock.getblocking() or sock.get_inheritable() for sock in ends[1].sockets)
        finally:
            for sock in sent:
                sock.close()

    async def test_may_be_closed_by_who_sent_them(self, ends: tuple[End, End]) -> None:
        """They listen on, though they are still in the queue."""
        ends[0].link.send(b"x" * 5_000_000)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            ends[0].link.send("the socket", [listening])
        assert ends[0].link.queued
        await until(lambda: len(ends[1].messages) == 2)
        assert ends[1].sockets[0].getsockname() == address
        with socket.create_connection(address):
            pass

    async def test_that_nobody_took_are_closed_on_both_sides(self) -> None:
        before = open_descriptors()
        one, other = (End(sock) for sock in pair())
        with socket.socket() as sent:
            one.link.send(b"x" * 5_000_000)
            for _ in range(20):
                one.link.send("more", [sent])
            assert open_descriptors() > before + 20
            one.close()
            other.close()
        assert open_descriptors() == before

    async def test_that_there_are_no_descriptors_for_end_the_channel(self, ends: tuple[End, End]) -> None:
        sent = [socket.socket() for _ in range(20)]
        try:
            before = open_descriptors()
            ends[0].link.send("twenty", sent)
            with descriptors_left(10):
                await until(lambda: ends[0].gone and ends[1].gone)
            assert "ulimit -n" in ends[1].gone[0]
            assert not ends[1].messages
            assert not ends[1].sockets
            assert open_descriptors() == before - 2  # both ends of the channel
        finally:
            for sock in sent:
                sock.close()

    async def test_that_cannot_wait_for_want_of_descriptors_end_the_channel(self, ends: tuple[End, End]) -> None:
        ends[0].link.send(b"x" * 5_000_000)
        sent = [socket.socket() for _ in range(20)]
        try:
            before = open_descriptors()
            with descriptors_left(10):
                ends[0].link.send("twenty", sent)
            await until(lambda: ends[0].gone and ends[1].gone)
            assert open_descriptors() == before - 2
            assert ends[0].gone == ["a message for it cannot wait: Too many open files"]
        finally:
            for sock in sent:
                sock.close()


class TestEnds:
    async def test_the_other_is_told_of_one(self, ends: tuple[End, End]) -> None:
        ends[0].link.send("last words")
        ends[0].link.close()
        await until(lambda: ends[1].gone)
        assert ends[1].messages == ["last words"]
        assert ends[1].gone == ["it has ended"]
        ends[0].link.send("to nobody")
        ends[1].link.send("to nobody")
        assert not await ends[1].link.flush(1.0)

    async def test_last_words_are_heard_of_one_that_did_not_hear_ours(self, ends: tuple[End, End]) -> None:
        ends[0].link.send("unheard")
        for number in range(100):
            ends[1].link.send(number)
        ends[1].link.close()
        ends[0].link.send("this finds that it has hung up")
        assert not await ends[0].link.flush(1.0)
        await until(lambda: ends[0].gone)
        assert ends[0].messages == list(range(100))
        assert ends[0].gone == ["it has ended"]

    async def test_what_was_queued_for_one_is_dropped(self) -> None:
        before = open_descriptors()
        one, other = (End(sock) for sock in pair())
        with socket.socket() as sent:
            one.link.send(b"x" * 5_000_000)
            one.link.send("with a socket", [sent])
            other.close()
            await until(lambda: one.gone)
            assert one.link.queued == 0
        one.close()
        assert open_descriptors() == before

    async def test_nobody_is_told_of_one_from_within_what_they_do(self, ends: tuple[End, End], monkeypatch) -> None:
        monkeypatch.setattr(channel, "MOST", 1_000_000)
        ends[0].link.send(b"x" * 1_000_001)
        assert not ends[0].gone
        await until(lambda: ends[0].gone)
        assert ends[0].gone == ["a message for it has more than 1000000 bytes"]

    async def test_nobody_is_told_of_one_who_hangs_up_meanwhile(self, ends: tuple[End, End], monkeypatch) -> None:
        monkeypatch.setattr(channel, "MOST", 1_000_000)
        ends[0].link.send(b"x" * 1_000_001)
        ends[0].link.close()
        await until(lambda: ends[1].gone)
        assert not ends[0].gone

    async def test_a_full_queue_is_one(self, raw: tuple[socket.socket, socket.socket], monkeypatch) -> None:
        monkeypatch.setattr(channel, "MOST", 1_000_000)
        end = End(raw[0])
        for _ in range(50):
            end.link.send(b"x" * 100_000)
        await until(lambda: end.gone)
        assert end.gone == ["it does not listen"]
        assert end.link.queued == 0

    async def test_a_link_can_be_closed_twice_and_without_a_loop(self) -> None:
        def there() -> Link:
            ours, theirs = pair()
            theirs.close()
            return Link(ours, lambda message, sockets: None, lambda why: None)

        link = await asyncio.to_thread(there)
        await asyncio.to_thread(link.close)
        link.close()


class TestDamage:
    @pytest.mark.parametrize(
        ("packet", "why"),
        [
            pytest.param(bytes([FIRST | LAST]) + b"no pickle", "a message that makes no sense: ", id="no pickle"),
            pytest.param(bytes([FIRST | LAST]), "a message that makes no sense: EOFError", id="nothing"),
            pytest.param(
                bytes([FIRST | LAST]) + b"cproxy.no_such\nThing\n.",
                "makes no sense: ModuleNotFoundError",
                id="no class",
            ),
            pytest.param(b"\x00" * 70_000, "a packet of more than 60001 bytes", id="too long a packet"),
        ],
    )
    async def test_ends_the_channel(self, raw: tuple[socket.socket, socket.socket], packet: bytes, why: str) -> None:
        end = End(raw[0])
        with socket.socket() as beside:
            before = open_descriptors()
            descriptors = beside.fileno().to_bytes(4, "little")
            raw[1].sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            await until(lambda: end.gone)
            assert why in end.gone[0]
            assert not end.messages
            assert open_descriptors() == before - 1

    async def test_a_message_without_end_ends_it_too(
        self, raw: tuple[socket.socket, socket.socket], monkeypatch
    ) -> None:
        monkeypatch.setattr(channel, "MOST", 1_000)
        end = End(raw[0])
        raw[1].send(bytes([FIRST]) + b"x" * 600)
        raw[1].send(bytes([0]) + b"x" * 401)
        await until(lambda: end.gone)
        assert end.gone == ["a message of more than 1000 bytes"]

    async def test_what_is_no_socket_is_closed(self, raw: tuple[socket.socket, socket.socket]) -> None:
        end = End(raw[0])
        reading, writing = os.pipe()
        with socket.socket() as sent:
            before = open_descriptors()
            descriptors = reading.to_bytes(4, "little") + sent.fileno().to_bytes(4, "little")
            packet = bytes([FIRST | LAST]) + pickle.dumps("both")
            raw[1].sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            await until(lambda: end.messages)
            assert len(end.sockets) == 1
            assert open_descriptors() == before + 1
        end.close()
        os.close(reading)
        os.close(writing)


class TestASuccessor:
    """A process that goes on with the end of one that died in the middle of a message."""

    async def test_drops_the_rest_of_what_its_predecessor_was_reading(self) -> None:
        ours, theirs = pair()
        end = End(ours)
        with socket.socket() as beside:
            end.link.send([b"x" * 1_000_000], [beside])
        end.link.send("whole")
        for _ in range(3):
            theirs.recv(100_000)  # the predecessor, and what it has read is lost
        successor = End(theirs)
        await until(lambda: successor.messages)
        assert successor.messages == ["whole"]
        assert not successor.sockets
        end.close()
        successor.close()

    async def test_begins_anew_where_its_predecessor_was_writing(self) -> None:
        ours, theirs = pair()
        before = open_descriptors()
        end = End(ours)
        with socket.socket() as beside:
            for packet, sockets in list(packets(pickled(b"x" * 200_000), [beside]))[:-1]:
                channel._send(theirs, packet, sockets)
        successor = End(theirs)
        successor.link.send("whole")
        await until(lambda: end.messages)
        assert end.messages == ["whole"]
        assert open_descriptors() == before  # what came with the unfinished one is closed
        end.close()
        successor.close()


class TestWithoutALoop:
    def test_what_was_sent_is_there(self, raw: tuple[socket.socket, socket.socket]) -> None:
        inbox = Inbox(raw[1])
        assert inbox.receive() == []
        with socket.socket() as beside:
            send_now(raw[0], "first", [beside])
        send_now(raw[0], b"x" * 100_000)
        (first, sockets), second = inbox.receive()
        assert (first, len(sockets), second) == ("first", 1, (b"x" * 100_000, []))
        sockets[0].close()
        assert inbox.receive() == []

    def test_a_message_may_come_in_parts(self, raw: tuple[socket.socket, socket.socket]) -> None:
        inbox = Inbox(raw[1])
        first, *rest = packets(pickled(b"x" * 100_000), [])
        raw[0].send(first[0])
        assert inbox.receive() == []
        for packet, _ in rest:
            raw[0].send(packet)
        assert inbox.receive() == [(b"x" * 100_000, [])]

    def test_one_that_does_not_listen_is_not_waited_for(self, raw: tuple[socket.socket, socket.socket]) -> None:
        with pytest.raises(DeafError, match=r"it did not listen for 0\.1 s"):
            send_now(raw[0], b"x" * 10_000_000, within=0.1)

    def test_one_that_has_gone_is_told_nothing(self, raw: tuple[socket.socket, socket.socket]) -> None:
        raw[1].close()
        with pytest.raises(ChannelError, match="Broken pipe") as caught:
            send_now(raw[0], "hello")
        assert not isinstance(caught.value, DeafError)

    def test_last_words_come_before_the_end(self, raw: tuple[socket.socket, socket.socket]) -> None:
        send_now(raw[0], "unheard")
        for number in range(100):
            send_now(raw[1], number)
        raw[1].close()
        inbox = Inbox(raw[0])
        found: list[object] = []
        while len(found) < 100:
            found += [message for message, _ in inbox.receive()]
        assert found == list(range(100))
        with pytest.raises(ChannelError, match="it has ended"):
            inbox.receive()

    def test_what_makes_no_sense_is_lost_alone(
        self, raw: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
    ) -> None:
        send_now(raw[1], "first")
        raw[1].send(bytes([FIRST | LAST]) + b"no pickle")
        send_now(raw[1], "third")
        assert Inbox(raw[0]).receive() == [("first", []), ("third", [])]
        assert "a message of another process is lost: a message that makes no sense" in caplog.text
