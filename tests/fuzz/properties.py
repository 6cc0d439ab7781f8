"""What must be true of every stream of bytes; tests and fuzzers bring the streams."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from proxy.http.heads import END
from tests.fuzz import memory, opinions
from tests.fuzz.differences import H11, OF_REQUESTS, OF_RESPONSES, POINTSMAN, Difference, explain
from tests.fuzz.forwarding import keeps, to_client, to_instance, without_expect
from tests.fuzz.outcome import REFUSED, WAITING, Message, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.http.heads import HeadLimits


@dataclass(frozen=True, slots=True)
class _Expected:
    """A message as it must be sent, had h11 read it."""

    message: Message
    raw: list[bytes]  # as it came; before it, interim responses that its client is not told of
    end: int
    old: bool  # it came as one of HTTP/1.0
    goes_on: bool  # so does the connection, behind it


def check_requests(data: bytes, cuts: Sequence[int] = ()) -> Reading:
    """Check a stream of requests, whole, bytewise and cut at these places; return what pointsman made of it."""
    ours = memory.read_requests(_bytewise(data))
    _check_cuts(data, cuts, memory.LIMITS, ours)
    theirs = opinions.read_requests(data)
    expected = [
        _Expected(to_instance(message), [data[start:end]], end, message.line.endswith(b"1.0"), keeps(message))
        for message, start, end in _placed(theirs)
    ]
    _agree(data, ours, theirs, expected, OF_REQUESTS)
    for message, sent in zip(ours.messages, ours.sent, strict=True):
        assert opinions.read_requests(sent).messages == [message]
        assert opinions.read_by_llhttp(sent) == [message]
        assert memory.read_requests([sent]).messages == [to_instance(message)]
    return ours


def check_cuts_of_requests(data: bytes, cuts: Sequence[int], limits: HeadLimits) -> Reading:
    """Check only that it makes no difference to pointsman how a stream of requests is cut."""
    ours = memory.read_requests(_bytewise(data), limits)
    _check_cuts(data, cuts, limits, ours)
    return ours


def check_responses(requests: list[bytes], data: bytes, cuts: Sequence[int] = (), *, ended: bool = False) -> Reading:
    """Check a stream of responses to these requests likewise; `ended`: the connection ends behind it.

    The requests are good ones, and all but the last one have their connection go on.
    """
    asked = [opinions.read_requests(request).messages[0] for request in requests]
    ours = memory.read_responses(requests, _bytewise(data), ended=ended)
    # What is behind a response in one piece with it was not asked for, and is dropped; so there is always a cut.
    for places in ([], cuts):
        _same(ours, memory.read_responses(requests, cut(data, [*places, *ours.ends]), ended=ended))
    theirs = opinions.read_responses([_method(request) for request in asked], data, ended=ended)
    expected = []
    finals = 0
    raw: list[bytes] = []
    for message, start, end in _placed(theirs):
        request = asked[finals]
        finals += not _is_interim(message)
        raw.append(data[start:end])
        if _is_interim(message) and request.line.endswith(b"1.0"):
            continue  # its client knows of none
        wanted = to_client(message, request)
        goes_on = _is_interim(message) or (keeps(message) and not _closes(wanted))
        expected.append(_Expected(wanted, raw, end, message.line.startswith(b"HTTP/1.0"), goes_on))
        raw = []
    _agree(data, ours, theirs, expected, OF_RESPONSES)
    _check_responses_sent(asked, ours)
    return ours


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut at these places, of which those beyond the end are brought back into it."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[start:end] for start, end in pairwise(marks)]


def _placed(reading: Reading) -> Iterator[tuple[Message, int, int]]:
    """Go through the messages, each with its first offset and the one behind it."""
    return zip(reading.messages, [0, *reading.ends], reading.ends, strict=False)


def _bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def _method(request: Message) -> bytes:
    return request.line.partition(b" ")[0]


def _is_interim(message: Message) -> bool:
    return message.line[9:10] == b"1"


def _closes(message: Message) -> bool:
    return (b"connection", b"close") in message.fields


def _check_cuts(data: bytes, cuts: Sequence[int], limits: HeadLimits, ours: Reading) -> None:
    for pieces in ([data], cut(data, cuts)):
        one, other = ours, memory.read_requests(pieces, limits)
        if {one.rest, other.rest} == {REFUSED, WAITING}:
            # Half a head may be refused early; if not, then certainly once it is whole.
            one = memory.read_requests(_bytewise(data + END), limits)
            other = memory.read_requests([*pieces, END], limits)
        _same(one, other)


def _same(one: Reading, other: Reading) -> None:
    """Compare two readings of pointsman's of the same bytes, differently cut.

    What is wrong may differ where several things are, and how it is told where a response has begun or not.
    """
    assert [*map(without_expect, one.messages)] == [*map(without_expect, other.messages)]
    assert one.rest == other.rest, f"{one.rest} {one.why} or {other.rest} {other.why}"
    begun, other_begun = (reading.begun and without_expect(reading.begun) for reading in (one, other))
    assert begun == other_begun


def _agree(data: bytes, ours: Reading, theirs: Reading, expected: list[_Expected], table: list[Difference]) -> None:
    """Compare what is sent with what ought to be; where one side has less, the table must know why."""
    both = min(len(ours.messages), len(expected))
    for message, end, wanted in zip(ours.messages, ours.ends, expected, strict=False):
        assert end == wanted.end, f"a message ends at {end}, and for h11 at {wanted.end}: {data!r}"
        sent, meant = without_expect(message), without_expect(wanted.message)
        assert sent == meant, f"{sent} was sent for {meant}"
    if len(expected) > both:
        _justify(POINTSMAN, ours, expected[both].raw, expected[:both], table)
    elif len(ours.messages) > both:
        raw = data[theirs.ends[-1] if theirs.ends else 0 : ours.ends[both]]
        _justify(H11, theirs, [raw], expected[:both], table)


def _justify(
    stricter: str, reading: Reading, raw: list[bytes], before: list[_Expected], table: list[Difference]
) -> None:
    """See that the stricter side has a reason not to take this message behind those before."""
    assert reading.rest != WAITING, f"{stricter} finds no end to this message: {raw!r}"
    if reading.rest == REFUSED:
        known = any(explain(stricter, one, table) for one in raw)
        assert known, f"{stricter} alone refuses this ({reading.why}): {raw!r}"
        return
    assert before, f"{stricter} closes before anything was said"
    last = before[-1]
    if stricter == H11:
        assert last.old, f"h11 closes before {raw!r}"  # it never keeps the connection of one who speaks HTTP/1.0
        assert last.goes_on, f"pointsman goes on with {raw!r}"
    else:
        assert not last.goes_on, f"pointsman closes before {raw!r}"


def _check_responses_sent(asked: list[Message], ours: Reading) -> None:
    """See that what the client was sent means the same to it, whoever it is."""
    requests = iter(asked)
    messages: list[Message] = []
    sent = b""
    for message, data in zip(ours.messages, ours.sent, strict=True):
        messages.append(message)
        sent += data
        if _is_interim(message):
            continue
        request = next(requests)
        method = _method(request)
        closes = _closes(message)
        assert opinions.read_responses([method], sent, ended=closes).messages == messages
        if method != b"HEAD" and (message.values(b"content-length") or message.values(b"transfer-encoding")):
            assert opinions.read_by_llhttp(sent) == messages
        again = method + b" / HTTP/1.1\r\nHost: shop\r\n\r\n"
        [plain] = opinions.read_requests(again).messages
        assert memory.read_responses([again], [sent], ended=closes).messages == [
            to_client(message, plain) for message in messages
        ]
        messages, sent = [], b""
