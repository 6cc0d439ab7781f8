"""How a row is run: both ends of both connections are ours, and what each of them sees is compared to the byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from typing import TYPE_CHECKING, Any

from config.units import Bind
from proxy.http.fields import BadMessageError
from tests.hostile.rows import ANSWERED, BROKEN, END, OPTIONS, REFUSED, Request, Response, Tunnel
from tests.proxy.http.scripted import GET_SENT, OK, Peer, Proxy, proxying, turns, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.listener import ListenerOptions

AT_ONCE, BYTE_BY_BYTE, BEHIND_ANOTHER = WAYS = ("at once", "byte by byte", "behind another")

# An address that no other process of tests has: one of those may still call at a port that was its own before.
_HOME = f"127.{64 | os.getpid() >> 16 & 63}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
_FINE = 600  # bytes up to which a row really goes byte by byte; longer ones go in pieces
_PIECE = 97  # bytes
_CHUNKED = b"\r\nTransfer-Encoding: chunked\r\n"
_EXPECT = b"Expect: 100-continue\r\n"
_WITH_BODIES = (b"POST ", b"PUT ")


class Scene:
    """A proxy between one instance and its clients; every answer of the instance bears a number of its own."""

    def __init__(self, proxy: Proxy, plain: bytes) -> None:
        self.proxy = proxy
        self._plain = plain  # what reaches the instance of a plain GET
        self.instance: Peer | None = None  # the connection on which the instance is asked
        self.asked = 0
        self.exact = True  # the proxy got all in one piece; otherwise it may cut chunks in other places

    def teach_request(self, sent: bytes) -> None:
        """Have the reader of requests know each line of a head that is good by itself.

        It has llhttp judge a head only for the sake of a line that is new. Somebody who sends each line in a good
        request first, and then all of them together, gets past llhttp.
        """
        read = self.proxy.listener.reader.read
        for line in sent.partition(END)[0].split(b"\r\n"):
            for head in (
                line + b"\r\nHost: shop",
                b"GET / HTTP/1.1\r\nHost: shop\r\n" + line,
                b"GET / HTTP/1.1\r\n" + line,
            ):
                with contextlib.suppress(BadMessageError):
                    read(head + END)

    def teach_response(self, sent: bytes) -> None:
        """Have the reader of responses know each line of a head that is good by itself."""
        read = self.proxy.service.connections[self.proxy.endpoints[0]].reader.read
        for line in sent.partition(END)[0].split(b"\r\n"):
            for head in (line, b"HTTP/1.1 200 OK\r\n" + line):
                with contextlib.suppress(BadMessageError):
                    read(head + END, to_head=False)

    async def client(self) -> Peer:
        """Connect a client."""
        return await self.proxy.client()

    async def is_asked(self, request: bytes) -> Peer:
        """Take a request, which must be this one, with nothing behind it."""
        self.asked += 1
        if self.instance is None:
            self.instance = await self.proxy.instance.accept()
        await receive(self.instance, request, exact=self.exact)
        await silent(self.instance)
        assert self.proxy.endpoints[0].requests == self.asked
        return self.instance

    async def answers(self, client: Peer, request: bytes, *, ends: bool) -> None:
        """Take a request and answer it; the client gets this answer."""
        instance = await self.is_asked(request)
        body = b"" if request.startswith(b"HEAD ") else b"%02d" % self.asked
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)
        connection = b"Connection: close\r\n" if ends else b""
        if not ends and b"\r\nVia: 1.0 pointsman\r\n\r\n" in request:
            connection = b"Connection: keep-alive\r\n"
        await client.gets(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + connection + b"Via: 1.1 pointsman\r\n\r\n" + body
        )

    async def goes_on(self, client: Peer, path: bytes = b"/next", behind: bytes = b"") -> None:
        """See that this client, who may be a new one, gets its own answer to its own request, and nothing else.

        What it sends `behind` goes out in the same piece.
        """
        exact, self.exact = self.exact, True
        await client.send(b"GET " + path + b" HTTP/1.1\r\nHost: shop\r\n\r\n" + behind)
        await self.answers(client, self._plain.replace(b"GET /", b"GET " + path, 1), ends=False)
        self.exact = exact

    async def kept(self, kept: bool) -> None:
        """See whether the instance's connection is lent to the next request."""
        await until(lambda: self.proxy.idle == kept)
        if not kept and self.instance is not None:
            await self.instance.gone()
            self.instance = None

    async def over(self) -> None:
        """See that the instance was asked for no more, on no other connection, and that nothing more was sent to it."""
        self.proxy.service.close()
        if self.instance is not None:
            await self.instance.gone()
        assert self.proxy.endpoints[0].requests == self.asked
        assert len(self.proxy.instance.peers) <= self.asked


@contextlib.asynccontextmanager
async def scene(options: ListenerOptions = OPTIONS, plain: bytes = GET_SENT, **settings: Any) -> AsyncIterator[Scene]:
    """Set a scene; nothing in it may raise where only the loop can see it."""
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with proxying(options=options, bind=Bind(_HOME, 0), address=_HOME, **settings) as proxy:
        yield Scene(proxy, plain)
    assert not faults


async def run_request(row: Request, way: str) -> None:
    """Send what a client sends, and see all that comes of it."""
    async with scene(row.options, row.plain, body=row.body) as at:
        client = await at.client()
        if way == AT_ONCE:
            await client.send(row.sent)
        elif way == BEHIND_ANOTHER:
            at.teach_request(row.sent)
            await at.goes_on(client, b"/before", row.sent)
        elif row.begins:
            head, body = cut(row.sent)
            await send_slowly(client, head)
            await at.is_asked(cut(row.begins)[0])
            await send_slowly(client, body)
        else:
            at.exact = False
            await send_slowly(client, row.sent)
        if row.waits:
            await until(lambda: any(downstream._ahead for downstream in at.proxy.listener._clients))
            at.proxy.pass_time(at.proxy.listener.timeouts.request_head + 1)
        reaches = iter(row.reaches)
        for number, status in enumerate(row.gets, 1):
            last = row.ends and number == len(row.gets)
            if status == ANSWERED:
                await at.answers(client, next(reaches), ends=last)
            else:
                await own_answer(client, status, ends=last)
        if row.begins and way == BYTE_BY_BYTE:
            assert at.instance is not None
            assert_part(cut(row.begins)[0] + await to_the_end(at.instance), row.begins)
            at.instance = None
        if row.ends:
            assert await client.rest() == b""
        await at.kept(at.instance is not None)
        if not row.ends:
            await at.goes_on(client, b"/after")
        await at.goes_on(await at.client())
        await at.over()


async def run_tunnel(row: Tunnel, way: str) -> None:
    """Have a tunnel granted, and see what goes through it, and when."""
    async with scene(row.options) as at:
        client = await at.client()
        if way == AT_ONCE:
            await client.send(row.sent)
        elif way == BEHIND_ANOTHER:
            await at.goes_on(client, b"/before", row.sent)
        else:
            await send_slowly(client, row.sent)
        instance = await at.is_asked(row.reaches)
        await (send_slowly(instance, row.answer) if way == BYTE_BY_BYTE else instance.send(row.answer))
        await client.gets(row.gets)
        await instance.gets(row.behind)
        assert at.proxy.idle == 0
        await instance.send(OK)
        await client.gets(OK)  # as it is: nobody reads it
        await client.send(b"GET /inside HTTP/1.1\r\n\r\n")
        await instance.gets(b"GET /inside HTTP/1.1\r\n\r\n")
        client.close()
        await at.kept(False)
        await at.goes_on(await at.client())
        await at.over()


async def run_response(row: Response, way: str) -> None:
    """Ask, send what an instance sends, and see all of it that comes through to the client."""
    async with scene() as at:
        client = await at.client()
        if way == BEHIND_ANOTHER:
            at.teach_response(row.sent)
            await at.goes_on(client, b"/before")
        await client.send(row.asked.sent)
        instance = await at.is_asked(row.asked.reaches)
        begun = b""
        if way != BYTE_BY_BYTE:
            await instance.send(row.sent)
        elif row.begins:
            head, body = cut(row.sent)
            begun = cut(row.begins)[0]
            await send_slowly(instance, head)
            await client.gets(begun)
            await send_slowly(instance, body)
        else:
            at.exact = False
            await send_slowly(instance, row.sent)
        if row.then is not None:
            row.then(instance)
        broken = row.outcome == BROKEN or bool(begun)
        if broken:
            assert_part(begun + await client.broken(), row.begins or row.reaches, whole=not row.begins)
            assert at.proxy.traffic.broken == 1
        else:
            await receive(client, row.reaches, exact=at.exact)
            if row.outcome == REFUSED:
                await own_answer(client, 502, ends=row.ends, to_head=row.asked.sent.startswith(b"HEAD "))
            if row.ends:
                await client.send(row.asked.behind)
                assert await client.rest() == b""
        if row.later:
            await at.kept(True)
            instance.send_what_fits(row.later)
            await at.kept(False)
        elif row.then is not None:
            at.instance = None
            await until(lambda: at.proxy.idle == 0)
        else:
            await at.kept(row.kept)
        if not row.ends and not broken:
            await at.goes_on(client, b"/after")
        await at.goes_on(await at.client())
        await at.over()


async def send_slowly(peer: Peer, data: bytes) -> None:
    """Send byte by byte, or in small pieces, each in a packet of its own, to somebody who may leave before the end."""
    with contextlib.suppress(ConnectionError):
        if len(data) <= _FINE:
            await peer.send_slowly(data)
            return
        for at in range(0, len(data), _PIECE):
            await peer.send(data[at : at + _PIECE])
            await asyncio.sleep(0)


async def silent(peer: Peer) -> None:
    """See that nothing more has been sent to this end of a connection, and that it is open."""
    await turns()
    assert peer._received == b""
    with contextlib.suppress(BlockingIOError):
        data = peer.sock.recv(65536)
        raise AssertionError(f"{data!r} came as well" if data else "the connection has ended")


async def own_answer(client: Peer, status: int, *, ends: bool, to_head: bool = False) -> None:
    """Receive an answer of ours: a status, its reason in JSON, and whether the connection ends."""
    if to_head:
        head, content = await client.through(), b""
    else:
        _, head, content = await client.response()
    assert head.startswith(b"HTTP/1.1 %d " % status), (head, content)
    assert (b"\r\nConnection: close\r\n" in head) == ends
    if status >= 400 and not to_head:
        assert json.loads(content)["error"]


async def to_the_end(peer: Peer) -> bytes:
    """Receive all up to the end of the stream, by a reset or not."""
    with contextlib.suppress(ConnectionResetError):
        return await peer.rest()
    data, peer._received = peer._received, b""
    return data


async def receive(peer: Peer, expected: bytes, *, exact: bool) -> None:
    """Receive these bytes; those of a chunked body, unless `exact`, in chunks of whatever size."""
    if exact:
        await peer.gets(expected)
        return
    head, body, is_chunked = divided(expected)
    if head.startswith(_WITH_BODIES):
        # Whether the body was there with the head, so that there was nothing to wait for, is a matter of luck.
        got = await peer.through()
        assert got.replace(_EXPECT, b"") == head.replace(_EXPECT, b"")
    else:
        await peer.gets(head)
    if not is_chunked:
        await peer.gets(body)
        return
    content = b""
    while (size := int((await peer.through(b"\r\n"))[:-2], 16)) > 0:
        content += await peer.exactly(size)
        await peer.gets(b"\r\n")
    expected_content, trailers = unchunked(body)
    assert content == expected_content
    assert trailers is not None
    await peer.gets(trailers)


def cut(message: bytes) -> tuple[bytes, bytes]:
    """Cut a message behind its head."""
    end = message.index(END) + len(END)
    return message[:end], message[end:]


def divided(message: bytes) -> tuple[bytes, bytes, bool]:
    """Divide a message, with the interim ones before it, into head and body; tell whether that is chunked."""
    at = message.find(_CHUNKED)
    end = message.find(END, max(at, 0))
    if end < 0:
        return message, b"", False
    return message[: end + 4], message[end + 4 :], at >= 0


def unchunked(body: bytes) -> tuple[bytes, bytes | None]:
    """Return the content of chunks that we wrote, and the trailers with the empty line, None while there is no end."""
    content = b""
    while (line := re.match(rb"([0-9a-f]+)\r\n", body)) and (size := int(line[1], 16)):
        content += body[line.end() : line.end() + size]
        body = body[line.end() + size + 2 :]
    return content, body[3:] if body.startswith(b"0\r\n") else None


def assert_part(got: bytes, expected: bytes, *, whole: bool = False) -> None:
    """See that a stream that broke off was this or less (with `whole`, just this), and by no reading complete."""
    head, body, is_chunked = divided(got)
    expected_head, expected_body, _ = divided(expected)
    if is_chunked:
        assert head == expected_head
        content, end = unchunked(body)
        assert end is None, "it looks complete"
        expected_content, end = unchunked(expected_body)
        assert end is None, "the row is wrong"
        assert content == expected_content if whole else expected_content.startswith(content)
    else:
        assert got == expected if whole else expected.startswith(got)
