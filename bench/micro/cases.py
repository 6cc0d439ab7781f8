"""What is measured, as a table: each case has a name and a function that makes what is timed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from balancers.policies import names
from bench.micro.exchanges import Exchanges
from bench.micro.messages import BODY, DIFFERENT, browser_request, response, small_request
from bench.picks import Asked, address, filled
from bench.routes import COUNTS, table
from proxy.http.forwarding import Forwarding, Origin
from proxy.http.heads import HeadLimits, RequestReader, ResponseReader
from proxy.http.writing import Writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.http.heads import RequestHead

    Timed = Callable[[int], None]

POOLS = (3, 100, 10_000)
_CLIENTS = 5000
_ID = b"0123456789abcdef0123456700000001"


@dataclass(frozen=True, slots=True)
class Case:
    """`make` returns a function that does the thing as often as it is told."""

    name: str
    make: Callable[[], Timed]


def cases() -> list[Case]:
    """All of them; the part of a name before the first stroke says what is measured."""
    picks = [Case(f"pick/{name}/{size}", partial(_picks, name, size)) for size in POOLS for name in names()]
    routes = [Case(f"route/{count}", partial(_routes, count)) for count in COUNTS]
    heads, exchanges = [], []
    for kind, request in (("small", small_request), ("browser", browser_request)):
        for known, count in (("known", 1), ("new", DIFFERENT)):
            heads.append(Case(f"request head/{kind}/{known}", partial(_request_heads, request, count)))
            exchanges.append(Case(f"exchange/{kind}/{known}", partial(_exchanges, request, count)))
    heads += [
        Case(f"response head/{known}", partial(_response_heads, count))
        for known, count in (("known", 1), ("new", DIFFERENT))
    ]
    return [*picks, *routes, *heads, *exchanges]


def _picks(policy: str, size: int) -> Timed:
    """One pick for each request of clients that all have another address."""
    pool, _ = filled(policy, size)
    requests = itertools.cycle([Asked(address(number)) for number in range(_CLIENTS)])

    def timed(count: int) -> None:
        pick = pool.pick
        for request in itertools.islice(requests, count):
            pick(request)

    timed(_CLIENTS)  # policies that hash remember what they have hashed
    return timed


def _routes(size: int) -> Timed:
    """One look for a route, for each of four requests in turn."""
    router, asked = table(size)
    requests = itertools.cycle(asked)

    def timed(count: int) -> None:
        find = router.find
        for request in itertools.islice(requests, count):
            find(request)

    return timed


class _Sender(Writes):
    """Writes requests as an exchange does."""

    __slots__ = ("request", "request_whole")

    request: RequestHead

    def __init__(self) -> None:
        self.request_whole = True


def _request_heads(request: Callable[[int], bytes], different: int) -> Timed:
    """From the bytes of a client's head to those that an instance gets."""
    reader, sender, origin = RequestReader(HeadLimits()), _Sender(), Origin(Forwarding(), ("127.0.0.1", 50000))
    heads = itertools.cycle([request(number) for number in range(different)])

    def timed(count: int) -> None:
        read, write = reader.read, sender.head
        for head in itertools.islice(heads, count):
            sender.request = understood = read(head)
            understood.origin = origin
            understood.request_id = _ID
            write(b"10.0.0.1:80")

    return timed


def _response_heads(different: int) -> Timed:
    """From the bytes of an instance's head to those that the client gets."""
    reader, exchange = ResponseReader(HeadLimits()), Exchanges().ask(small_request()).exchange
    assert exchange is not None
    heads = itertools.cycle([response(number) for number in range(different)])

    def timed(count: int) -> None:
        read, respond = reader.read, exchange.respond
        for head in itertools.islice(heads, count):
            respond(read(head, to_head=False), b"", True)

    return timed


def _exchanges(request: Callable[[int], bytes], different: int) -> Timed:
    """A request and its answer of 105 bytes; where the requests differ, so do the answers."""
    exchange = Exchanges().exchange
    numbers = range(different)
    messages = itertools.cycle([(request(number), response(number) + BODY) for number in numbers])

    def timed(count: int) -> None:
        for asked, answered in itertools.islice(messages, count):
            exchange(asked, answered)

    return timed
