"""What a row says, and the shorthand that keeps the rows readable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.http.heads import HeadLimits
from proxy.http.terms import NEVER
from proxy.listener import ListenerOptions
from tests.proxy.http.scripted import FORWARDED, FORWARDED_1_0, GET, GET_SENT, OK, OK_SENT, Peer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORWARDED", "FORWARDED_1_0", "GET", "GET_SENT", "OK", "OK_SENT", "Peer"]  # what rows need as well

LIMITS = HeadLimits(request_line=1000, headers=4000, header_count=20)
OPTIONS = ListenerOptions(limits=LIMITS)

END = b"\r\n\r\n"
HOST = b"Host: shop\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CLOSE = b"Connection: close\r\n"
VIA = b"Via: 1.1 pointsman\r\n\r\n"
VIA_1_0 = b"Via: 1.0 pointsman\r\n\r\n"
ANSWERED = 0  # stands for the instance's answer among the statuses that a client gets


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends, and all that comes of it.

    `reaches` are the requests that the instance is asked, one after the other. `gets` are the statuses of the client's
    answers; each ANSWERED is the instance's answer to the next of `reaches`, the others are answers of ours. `ends`
    tells whether the client's connection ends behind them. `begins` is for a fault behind the head: where that arrives
    late, this or less of the request reaches the instance before its connection ends. `waits` is for what is no whole
    head: it is answered once the time for a head is over.
    """

    name: str
    sent: bytes
    reaches: tuple[bytes, ...]
    gets: tuple[int, ...]
    ends: bool
    begins: bytes = b""
    waits: bool = False
    options: ListenerOptions = OPTIONS
    plain: bytes = GET_SENT  # what reaches the instance of a plain GET, with these options
    body: float = NEVER  # bytes that a body may have


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A request to speak something else, granted: `behind` are the bytes that go through the tunnel, and no earlier.

    `answer` is what the instance grants it with, `gets` what of that reaches the client.
    """

    name: str
    sent: bytes
    reaches: bytes
    answer: bytes
    gets: bytes
    behind: bytes = b""
    options: ListenerOptions = OPTIONS


@dataclass(frozen=True, slots=True)
class Asked:
    """What an instance was asked when it sends its response; `behind` is what the client sends once it is answered."""

    sent: bytes = GET
    reaches: bytes = GET_SENT
    behind: bytes = b""


PLAIN = Asked()


@dataclass(frozen=True, slots=True)
class Response:
    """What an instance sends, and all of it that comes through to the client.

    `reaches` are the client's bytes. `outcome` is what follows them: WHOLE for nothing, REFUSED for a 502 of ours,
    BROKEN for a reset. `then` is what the instance does behind its bytes, and `later` what it sends unasked once the
    client has its answer. `kept` tells whether the next request may go over the instance's connection, `ends` whether
    the client's connection ends. `begins` is for a fault behind the head that is refused when all comes at once: where
    it arrives late, the client gets this or less, and a reset.
    """

    name: str
    sent: bytes
    reaches: bytes
    outcome: str
    asked: Asked = PLAIN
    then: Callable[[Peer], None] | None = None
    later: bytes = b""
    kept: bool = True
    ends: bool = False
    begins: bytes = b""


WHOLE, REFUSED, BROKEN = "whole", "refused", "broken"


# Requests as they are sent.


def get(fields: bytes, version: bytes = b"1.1") -> bytes:
    return b"GET / HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST / HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(CHUNKED, body)


def target(value: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + value + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def hosted(value: bytes, version: bytes = b"1.1") -> bytes:
    return b"GET / HTTP/" + version + b"\r\nHost: " + value + b"\r\n\r\n"


# Requests as they reach the instance.


def asks(
    line: bytes,
    fields: bytes = b"",
    *,
    host: bytes = b"shop",
    framing: bytes = b"",
    body: bytes = b"",
    old: bool = False,
) -> bytes:
    """Write the request that the instance gets; `framing` is what we write behind the fields, `old` is HTTP/1.0."""
    seen = line + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + fields + b"X-Forwarded-Host: " + host + b"\r\n"
    return seen + framing + (FORWARDED_1_0 if old else FORWARDED) + body


def asks_get(fields: bytes = b"", body: bytes = b"") -> bytes:
    return asks(b"GET /", fields, body=body)


def asks_post(fields: bytes = b"", body: bytes = b"") -> bytes:
    return asks(b"POST /", fields, body=body)


def asks_chunked(body: bytes, line: bytes = b"POST /") -> bytes:
    return asks(line, framing=CHUNKED, body=body)


# Rows of requests.


def passed(
    name: str,
    sent: bytes,
    *reaches: bytes,
    ends: bool = False,
    options: ListenerOptions = OPTIONS,
    plain: bytes = GET_SENT,
) -> Request:
    """Say what reaches the instance, which answers all of it."""
    return Request(name, sent, reaches, (ANSWERED,) * len(reaches), ends, options=options, plain=plain)


def refused(
    name: str,
    sent: bytes,
    status: int = 400,
    *,
    behind: tuple[bytes, ...] = (),
    begins: bytes = b"",
    waits: bool = False,
    options: ListenerOptions = OPTIONS,
    plain: bytes = GET_SENT,
    body: float = NEVER,
) -> Request:
    """Say that it is answered by ourselves and ends the connection; what is `behind` comes through before it."""
    gets = (*(ANSWERED for _ in behind), status)
    return Request(name, sent, behind, gets, True, begins, waits, options, plain, body)


# Responses, and rows of them.


def answering(fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"HTTP/" + version + b" 200 OK\r\n" + fields + b"\r\n" + body


def of_length(body: bytes, fields: bytes = b"") -> bytes:
    return answering(b"Content-Length: %d\r\n" % len(body) + fields, body)


def answers(fields: bytes, body: bytes = b"", via: bytes = VIA) -> bytes:
    """Write the response of status 200 that the client gets."""
    return b"HTTP/1.1 200 OK\r\n" + fields + via + body


def bad(name: str, sent: bytes, *, asked: Asked = PLAIN, begins: bytes = b"", reaches: bytes = b"") -> Response:
    """Say that it is answered for with a 502, behind what `reaches` the client before."""
    return Response(name, sent, reaches, REFUSED, asked, kept=False, begins=begins)
