"""The health of a gRPC server: a real one, and such as a test makes up."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery import grpc_health
from discovery.check import Outcome
from discovery.dialing import Dial
from discovery.grpc_health import Call, MalformedError
from tests.servers.grpc_health import NOT_SERVING, SERVING, UNKNOWN, GrpcServer
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Headers = list[tuple[str, str]]
GRPC: Headers = [(":status", "200"), ("content-type", "application/grpc")]
OK: Headers = [("grpc-status", "0")]
IS_SERVING = b"\x00\x00\x00\x00\x02\x08\x01"
LONG = "a" * 200


@pytest.fixture(scope="module")
def server() -> Iterator[GrpcServer]:
    with GrpcServer() as server:
        server.set("", SERVING)
        server.set("shop.v1.Orders", NOT_SERVING)
        server.set("shop.v1.Unknown", UNKNOWN)
        server.set(LONG, SERVING)
        yield server


async def check(port: int, service: str = "", timeout: float = 5.0) -> Outcome:
    return await grpc_health.check(Dial("127.0.0.1", port), service, timeout, f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("service", "outcome"),
    [
        ("", Outcome(True, "SERVING")),
        (LONG, Outcome(True, "SERVING")),
        ("shop.v1.Orders", Outcome(False, "NOT_SERVING")),
        ("shop.v1.Unknown", Outcome(False, "UNKNOWN")),
        ("shop.v1.Nobody", Outcome(False, "gRPC NOT_FOUND")),
    ],
)
async def test_a_real_server(server: GrpcServer, service: str, outcome: Outcome) -> None:
    assert await check(server.port, service) == outcome


async def test_a_real_server_changes_its_mind(server: GrpcServer) -> None:
    server.set("shop.v1.Carts", SERVING)
    assert (await check(server.port, "shop.v1.Carts")).passed
    server.set("shop.v1.Carts", NOT_SERVING)
    assert not (await check(server.port, "shop.v1.Carts")).passed


async def test_a_real_server_without_the_health_service() -> None:
    with GrpcServer(has_health=False) as server:
        assert await check(server.port) == Outcome(False, "gRPC UNIMPLEMENTED: Method not found!")


async def test_nobody_listens() -> None:
    assert await check(free_port()) == Outcome(False, "connection failed: Connection refused")


@asynccontextmanager
async def saying(text: bytes, *, stays: bool = False) -> AsyncIterator[int]:
    """A server that answers the one question that it is asked with this."""
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"SM\r\n\r\n")
        writer.write(text)
        if stays:
            await reader.read()
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])
        done.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(done.wait(), 5)


async def test_one_that_does_not_speak_http_2() -> None:
    async with saying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as port:
        assert await check(port) == Outcome(False, "it speaks HTTP/1 only")
    async with saying(b"\0\0\1\0\0\0\0\0\0x") as port:  # data that belong to no stream
        outcome = await check(port)
        assert not outcome.passed
        assert outcome.detail.startswith("it does not speak HTTP/2: ")


async def test_one_that_hangs_up() -> None:
    async with saying(b"") as port:
        outcome = await check(port)
        assert not outcome.passed
        assert outcome.detail.startswith("the connection ")


async def test_one_that_does_not_answer_in_time() -> None:
    async with saying(b"", stays=True) as port:
        assert await check(port, timeout=0.05) == Outcome(False, "no answer within 0.05 s")


class Server:
    """The other end of a call, without a socket."""

    def __init__(self) -> None:
        self.call = Call("", 1.0, "a:1")
        self.connection = H2Connection(H2Configuration(client_side=False, validate_outbound_headers=False))
        self.connection.initiate_connection()
        self.connection.receive_data(self.call.to_send())

    def says(self) -> Outcome | None:
        return self.call.received(self.connection.data_to_send())

    def answers(self, headers: Headers, body: bytes = b"", trailers: Headers | None = None) -> Outcome | None:
        self.connection.send_headers(1, headers, end_stream=not body and trailers is None)
        if body:
            self.connection.send_data(1, body, end_stream=trailers is None)
        if trailers is not None:
            self.connection.send_headers(1, trailers, end_stream=True)
        return self.says()


@pytest.mark.parametrize(
    ("headers", "body", "trailers", "detail"),
    [
        (GRPC, IS_SERVING, OK, "SERVING"),
        # with fields of each kind that are unknown to us
        (GRPC, b"\0\0\0\0\x18\x10\x80\x01\x12\x01a\x15....\x08\x01\x11........\x10\x01", OK, "SERVING"),
        (GRPC, b"\0\0\0\0\0", OK, "UNKNOWN"),
        (GRPC, b"\0\0\0\0\x02\x08\x03", OK, "SERVICE_UNKNOWN"),
        (GRPC, b"\0\0\0\0\x02\x08\x09", OK, "status 9"),
        (GRPC, IS_SERVING, [("grpc-status", "14"), ("grpc-message", "no%20db %E2%82%AC")], "gRPC UNAVAILABLE: no db €"),
        (GRPC, IS_SERVING, [("grpc-status", "99")], "gRPC 99"),
        ([*GRPC, ("grpc-status", "12")], b"", None, "gRPC UNIMPLEMENTED"),
        ([(":status", "503")], b"sorry", None, "HTTP 503 Service Unavailable"),
        ([(":status", "799")], b"", None, "HTTP 799"),
        ([(":status", "200"), ("content-type", "text/html")], b"<p>", None, "it does not speak gRPC: "),
    ],
)  # fmt: skip
def test_answers(headers: Headers, body: bytes, trailers: Headers | None, detail: str) -> None:
    outcome = Server().answers(headers, body, trailers)
    assert outcome is not None
    assert outcome.detail.startswith(detail)
    assert outcome.passed == (detail == "SERVING")


@pytest.mark.parametrize(
    "body",
    [b"", b"\0\0\0\0", IS_SERVING[:-1], IS_SERVING + b"\0", b"\x01" + IS_SERVING[1:], b"\0\0\0\0\x01\x08",
     b"\0\0\0\0\x02\x0a\x05", b"\0\0\0\0\x01\x0b", b"\0\0\0\0\x0c\x08" + b"\xff" * 11],
)  # fmt: skip
def test_answers_that_make_no_sense(body: bytes) -> None:
    with pytest.raises(MalformedError):
        Server().answers(GRPC, body, OK)


def test_an_answer_without_a_status_makes_no_sense() -> None:
    with pytest.raises(MalformedError):
        Server().answers(GRPC, IS_SERVING)


def test_an_answer_that_does_not_end_is_not_kept() -> None:
    server = Server()
    server.connection.send_headers(1, GRPC)
    for _ in range(2):
        server.connection.send_data(1, bytes(10_000))
    assert server.says() == Outcome(False, "its answer is longer than 16384 bytes")


def test_a_call_that_the_server_ends() -> None:
    server = Server()
    server.connection.reset_stream(1, 7)
    assert server.says() == Outcome(False, "the server ended the call: REFUSED_STREAM")
    server = Server()
    server.connection.close_connection(0xABC)
    assert server.says() == Outcome(False, "the server ended the call: 2748")


def test_nothing_is_decided_before_the_end() -> None:
    server = Server()
    server.connection.send_headers(1, GRPC)
    server.connection.send_data(1, IS_SERVING)
    assert server.says() is None
    server.connection.send_headers(1, OK, end_stream=True)
    assert server.says() == Outcome(True, "SERVING")


def test_the_request() -> None:
    connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    events = connection.receive_data(Call("shop.v1.Orders", 2.5, "shop:80").to_send())
    headers = dict(next(event.headers for event in events if hasattr(event, "headers")))
    assert headers == {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": "shop:80",
        "te": "trailers",
        "content-type": "application/grpc",
        "user-agent": "pointsman-probe",
        "grpc-timeout": "2500m",
    }
    (body,) = [event.data for event in events if hasattr(event, "data") and event.data]
    assert body == b"\0\0\0\0\x10\x0a\x0eshop.v1.Orders"


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans(), st.binary(max_size=40))
@settings(max_examples=150, deadline=None)
def test_nothing_that_a_server_says_breaks_us(pieces: list[bytes], begins_well: bool, body: bytes) -> None:
    server = Server()
    try:
        if begins_well:
            server.answers(GRPC, b"\0" + len(body).to_bytes(4, "big") + body, OK)
        for piece in pieces:
            if server.call.received(piece) is not None:
                break
    except (ProtocolError, MalformedError):
        pass
    assert isinstance(server.call.to_send(), bytes)
