"""Streams of messages, good and bad: pointsman makes of them what others make of them, or nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from compiled import loading
from proxy.http import bodies, fields
from proxy.http.fields import BadMessageError
from tests.fuzz import memory, opinions
from tests.fuzz.differences import H11, OF_REQUESTS, OF_RESPONSES, Difference, explain
from tests.fuzz.outcome import REFUSED, Reading
from tests.fuzz.properties import check_requests, check_responses
from tests.fuzz.seeds import ASKED, REQUESTS, RESPONSES
from tests.fuzz.tries import tries
from tests.proxy.http.scripted import GET, proxying

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = {"requests": 700, "responses": 600, "narrow limits": 400}
CUTS = [1, 17, 19, 40, 41, 64]


@pytest.fixture
def the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Hypothesis draw no constants from the modules of ours that happen to be loaded, and to be as they are today.

    It has no switch for that. With them, what is tried would change with every worker and with every change of ours.
    """
    monkeypatch.setattr(providers, "_get_local_constants", Constants)
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", LRUCache(1024))


@pytest.mark.usefixtures("the_same_everywhere")
@pytest.mark.parametrize("name", tries())
def test_what_is_made_of_streams_that_nobody_thought_of(name: str) -> None:
    one = tries()[name]
    one.run(EXAMPLES[name], fresh=False)
    assert one.messages > one.examples / 20, "nearly nothing was understood: too much is damaged"


@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS)
def test_what_is_made_of_a_classic(data: bytes) -> None:
    check_requests(data, CUTS)


@pytest.mark.parametrize("data", RESPONSES.values(), ids=RESPONSES)
def test_what_is_made_of_a_classic_response(data: bytes) -> None:
    for asked in ASKED:
        for ended in (False, True):
            check_responses(asked, data, CUTS, ended=ended)


def test_what_is_smuggled_is_never_a_message() -> None:
    taken = {
        name
        for name, data in REQUESTS.items()
        for message in memory.read_requests([data]).messages
        if message.line.startswith(b"GET /smuggled ")
    }
    assert taken == {"trailers that frame"}  # which frame nothing: it is behind the body, an honest request


def explains(row: Difference, example: bytes, table: list[Difference], ours: Reading, theirs: Reading) -> None:
    """See that the example is what the row tells of: taken by one, refused by the other, for this reason alone."""
    stricter, other = (theirs, ours) if row.stricter == H11 else (ours, theirs)
    assert (stricter.messages, stricter.rest) == ([], REFUSED)
    assert len(other.messages) == 1
    assert [row.name for row in explain(row.stricter, example, table)] == [row.name]


@pytest.mark.parametrize("row", OF_REQUESTS, ids=lambda row: row.name)
def test_each_known_difference_is_one(row: Difference) -> None:
    data = row.example
    explains(row, data, OF_REQUESTS, memory.read_requests([data]), opinions.read_requests(data))


@pytest.mark.parametrize("row", OF_RESPONSES, ids=lambda row: row.name)
def test_each_known_difference_is_one_in_responses(row: Difference) -> None:
    data = re.sub(rb"^[A-Z]+ / (HTTP/\S+)", rb"\1 200 OK", row.example)
    ours = memory.read_responses([GET], [data], ended=True)
    explains(row, data, OF_RESPONSES, ours, opinions.read_responses([b"GET"], data, ended=True))


def lax_chunks(patch: pytest.MonkeyPatch) -> None:
    """Take anything behind a chunk's size."""
    patch.setattr(bodies, "_CHUNK_LINE", re.compile(rb"([0-9A-Fa-f]{1,15}).*", re.DOTALL))
    patch.setattr(bodies, "_line_end", lambda data, at, limit: data.find(b"\r\n", at))


def forgetful_chunks(patch: pytest.MonkeyPatch) -> None:
    """Lose the beginning of a line that did not arrive in one piece."""
    patch.setattr(bodies, "_line_end", lambda data, at, limit: data.find(b"\n", at) - 1 if b"\n" in data[at:] else -1)


def bare_trailers(patch: pytest.MonkeyPatch) -> None:
    """Pass all trailers on."""
    patch.setattr(bodies, "_NOT_IN_TRAILERS", frozenset())


def any_coding(patch: pytest.MonkeyPatch) -> None:
    """Take any coding for chunked."""
    patch.setitem(fields._IN_REQUESTS, b"transfer-encoding", (fields.CODING, lambda value: True))


def no_options(patch: pytest.MonkeyPatch) -> None:
    """Be blind to what Connection says."""
    patch.setitem(fields._IN_REQUESTS, b"connection", (fields.CONNECTION, lambda value: frozenset()))


def wrong_length(patch: pytest.MonkeyPatch) -> None:
    """Read only the first digit of a length."""
    patch.setitem(
        fields._IN_REQUESTS,
        b"content-length",
        (fields.LENGTH, lambda value: (int(value[:1]), b"Content-Length: " + value)),
    )


def lost_trailers(patch: pytest.MonkeyPatch) -> None:
    """Forget the trailers on the way out."""
    patch.setattr("proxy.http.exchange.last_chunk", lambda trailers=b"": b"0\r\n\r\n")


def swollen_chunks(patch: pytest.MonkeyPatch) -> None:
    """Write a chunk with a wrong size."""
    patch.setattr("proxy.http.exchange.chunk", lambda content: b"%x\r\n%b\r\n" % (len(content) + 1, content))


def raised(patch: pytest.MonkeyPatch) -> None:
    """Raise what nobody expects."""

    def read(value: bytes) -> None:
        raise ValueError(value)

    patch.setitem(fields._IN_REQUESTS, b"expect", (fields.EXPECT, read))


def any_host(patch: pytest.MonkeyPatch) -> None:
    """Take the same Host from everybody."""
    patch.setitem(fields._IN_REQUESTS, b"host", (fields.HOST, lambda value: b"a"))


def refused_hosts(patch: pytest.MonkeyPatch) -> None:
    """Refuse what is good."""

    def read(value: bytes) -> None:
        raise BadMessageError("none is good enough")

    patch.setitem(fields._IN_REQUESTS, b"host", (fields.HOST, read))


FAULTS = [
    lax_chunks, forgetful_chunks, bare_trailers, any_coding, no_options, wrong_length, lost_trailers, swollen_chunks,
    raised, any_host, refused_hosts,
]  # fmt: skip


@pytest.mark.skipif(loading.outcome.compiled, reason="what compiled code calls cannot be replaced")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_noticed(fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    noticed = []
    for name, data in REQUESTS.items():
        try:
            check_requests(data, CUTS)
        except (AssertionError, ValueError):
            noticed.append(name)
    assert noticed


async def test_through_sockets_it_is_the_same() -> None:
    for name, data in REQUESTS.items():
        reading = memory.read_requests([data])
        if not reading.messages:
            continue
        async with proxying() as proxy:
            client = await proxy.client()
            await client.send(data)
            instance = await proxy.instance.accept()
            for sent in reading.sent:
                await instance.gets(sent.replace(memory.INSTANCE, b"127.0.0.1:%d" % proxy.instance.port))
                await instance.send(memory.ANSWER)
                assert (await client.response())[0] == 204, name
            if reading.rest == REFUSED:
                assert (await client.response())[0] == int(reading.why[:3]), name
