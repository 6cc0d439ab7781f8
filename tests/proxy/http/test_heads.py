"""Reading heads: what is understood, what is refused, and that a reader's memory never changes either."""

from __future__ import annotations

import re
from types import GetSetDescriptorType, MemberDescriptorType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import BadMessageError
from proxy.http.forwarding import Forwarding, Origin
from proxy.http.heads import HeadLimits, RequestHead, RequestReader, ResponseHead, ResponseReader
from proxy.http.writing import Writes

LIMITS = HeadLimits(request_line=200, headers=2000, header_count=8)

STARTS = [
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.0",
    b"POST /a HTTP/1.1",
    b"HEAD /a?b HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET http://b/c HTTP/1.1",
    b"CONNECT a:1 HTTP/1.1",
    b"CONNECT / HTTP/1.1",
    b"TRACE / HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"GET / HTTP/1.1 ",
    b"GET  / HTTP/1.1",
    b"GET /\x80 HTTP/1.1",
    b"GET /\x00 HTTP/1.1",
    b"G\nT / HTTP/1.1",
    b"GET /#x HTTP/1.1",
    b"GET /",
    b"FOO / HTTP/1.1",
    b"SOURCE / ICE/1.0",
    b"GET / HTTP/1.1\n",
    b"\rGET / HTTP/1.1",
    b"\nGET / HTTP/1.1",
    b"GET x HTTP/1.1",
    b"GET * HTTP/1.1",
    b"GET / HTTP/1.2",
    b"",
    b" ",
    b"GET /\tx HTTP/1.1",
    b"GET /" + b"x" * 300 + b" HTTP/1.1",
]
FIELDS = [
    b"Host: a",
    b"host:b:80",
    b"Host:",
    b"Host: a b",
    b"Host: u@a",
    b"Host : a",
    b"Content-Length: 5",
    b"content-length:0",
    b"Content-Length: 5, 5",
    b"Content-Length: +5",
    b"Content-Length: 5 5",
    b"Content-Length:",
    b"Content-Length: 1_0",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:CHUNKED",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: x",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Upgrade",
    b"Connection: content-length, accept",
    b"Connection: upgrade,close",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
    b"Expect: 200",
    b"Accept: */*",
    b"Cookie: a=b",
    b"X: \x80\xff",
    b"X:",
    b"X: a\tb ",
    b" folded",
    b"\tfolded",
    b"X : a",
    b"X",
    b": x",
    b"",
    b"X: a\x00",
    b"X: a\rb",
    b"X: a\nb: c",
    b"X(: a",
    b"X\x80: a",
    b"X: a\x7f",
    b"X: a\x01",
    b"X: a\r",
    b"\nX: a",
    b"Proxy-Connection: close",
    b"TE: trailers",
    b"X-Forwarded-For: 1",
    b"x_forwarded_for: 1",
    b"Long: " + b"x" * 300,
]
STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 100 Go",
    b"HTTP/1.1 101 Switching",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 ",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1 099 x",
    b"HTTP/1.1 600 x",
    b"HTTP/1.1 2000 x",
    b"HTTP/1.1 200 O\x00K",
    b"HTTP/1.1 200 O\rK",
    b"HTTP/1.1 200 OK\n",
    b"\r200",
    b"HTTP/2.0 200 OK",
    b"RTSP/1.0 200 OK",
    b"ICY 200 OK",
    b"\rHTTP/1.1 200 OK",
    b"\nHTTP/1.1 200 OK",
    b"",
]


def head(start: bytes, fields: list[bytes]) -> bytes:
    """Put a head together; what an empty line cuts off does not belong to it, as the caller of a reader sees to."""
    whole = b"\r\n".join([start, *fields, b"", b""])
    return whole[: whole.index(b"\r\n\r\n") + 4]


def heads(starts: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(head, st.sampled_from(starts), st.lists(st.sampled_from(FIELDS), max_size=7))


likely = st.lists(
    st.sampled_from([line for line in FIELDS if re.fullmatch(rb"[\w-]+:[ -~\t\x80-\xff]*", line)]), max_size=5
)
likely_requests = st.builds(
    lambda start, fields: head(start, [b"Host: a", *fields]), st.sampled_from(STARTS[:9]), likely
)


def outcome(read: object, head: bytes) -> object:
    """What comes of reading: a head's values, or a refusal's status."""
    try:
        result = read(head)  # type: ignore[operator]
    except BadMessageError as error:
        return error.status
    # Its reader is not told the origin; the others are how it is sent on if it came before.
    left_out = ("origin", "known", "written", "client", "switches")
    return {name: getattr(result, name) for name in _attributes(type(result)) if name not in left_out}


def _attributes(kind: type) -> list[str]:
    """The names of a class's attributes, which compiled are no slots."""
    kinds = (MemberDescriptorType, GetSetDescriptorType)
    return [name for name, value in vars(kind).items() if isinstance(value, kinds) and not name.startswith("__")]


def request(text: bytes) -> RequestHead:
    return RequestReader(LIMITS).read(text)


def response(text: bytes, *, to_head: bool = False) -> ResponseHead:
    return ResponseReader(LIMITS).read(text, to_head=to_head)


@given(st.lists(heads(STARTS) | likely_requests, min_size=1, max_size=12))
def test_a_reader_of_requests_that_remembers_says_the_same_as_a_new_one(texts: list[bytes]) -> None:
    warm = RequestReader(LIMITS)
    for text in [*texts, *texts]:
        assert outcome(warm.read, text) == outcome(request, text), text


@given(st.lists(heads(STATUS_LINES), min_size=1, max_size=12), st.booleans())
def test_a_reader_of_responses_that_remembers_says_the_same_as_a_new_one(texts: list[bytes], to_head: bool) -> None:
    warm = ResponseReader(LIMITS)
    for text in [*texts, *texts]:
        remembered = outcome(lambda text: warm.read(text, to_head=to_head), text)
        assert remembered == outcome(lambda text: response(text, to_head=to_head), text), text


class _Sends(Writes):
    """Sends a request that came on a plain connection."""

    def __init__(self, request: RequestHead) -> None:
        self.request = request
        self.request_whole = True
        request.origin = Origin(Forwarding(), ("192.0.2.1", 1))


@given(st.lists(heads(STARTS) | likely_requests, min_size=1, max_size=12), st.booleans())
def test_a_request_that_came_before_is_sent_on_as_if_it_had_not(texts: list[bytes], made: bool) -> None:
    warm = RequestReader(LIMITS)
    for text in [*texts, *texts, *texts]:
        try:
            new, known = request(text), warm.read(text)
        except BadMessageError:
            continue
        if made:
            new.request_id = known.request_id = b"made"
        assert _Sends(known).head(b"home") == _Sends(new).head(b"home")


def test_what_is_changed_of_a_request_is_sent_on_changed_and_the_next_one_is_as_it_came() -> None:
    text = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n"
    warm = RequestReader(LIMITS)
    for _ in range(3):
        request = warm.read(text)
        assert (request.line, request.fields, request.request_id) == (b"GET / HTTP/1.1", [b"X-A: b"], b"")
        request.line, request.request_id = b"GET /b HTTP/1.1", b"made"
        assert _Sends(request).head(b"").startswith(b"GET /b HTTP/1.1\r\nHost: a\r\nX-A: b\r\n")
        request.fields = [b"X-C: d"]
        assert b"X-A" not in _Sends(request).head(b"")


def test_heads_with_something_new_each_time_are_not_kept_and_all_are_bounded() -> None:
    reader = ResponseReader(LIMITS)
    for number in range(2000):
        reader.read(b"HTTP/1.1 200 OK\r\nX-Id: %d\r\nContent-Length: 0\r\n\r\n" % number, to_head=False)
    assert not reader._recurring.found
    for number in range(4000):
        text = b"HTTP/1.1 200 OK\r\nX-%d: %d\r\n\r\n" % (number % 50, number // 50 % 30)
        for _ in range(2):
            reader.read(text, to_head=False)
        assert len(reader._recurring.found) <= 512


@pytest.mark.parametrize("fields", [b"", b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n"])
def test_a_101_says_to_what_it_switches_whatever_was_read_before(fields: bytes) -> None:
    reader = ResponseReader(LIMITS)
    good = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    for _ in range(3):
        assert reader.read(good, to_head=False).upgrade == (b"websocket",)
        with pytest.raises(BadMessageError):
            reader.read(b"HTTP/1.1 101 Switching\r\n%b\r\n" % fields, to_head=False)


# A second opinion, written from RFC 9112 alone.
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(TOKEN + rb" [!-~]+ HTTP/1\.[01]")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2}( [\t -~\x80-\xff]*)?")
FIELD_LINE = re.compile(TOKEN + rb":[\t -~\x80-\xff]*")


@given(
    heads(STARTS)
    | likely_requests
    | st.binary(max_size=60).map(lambda text: head(b"GET / HTTP/1.1\r\nHost: a", [text]))
)
def test_what_is_taken_for_a_request_is_one_by_the_grammar(text: bytes) -> None:
    try:
        read = request(text)
    except BadMessageError:
        return
    lines = text[:-4].split(b"\r\n")
    assert REQUEST_LINE.fullmatch(lines[0])
    assert all(FIELD_LINE.fullmatch(line) for line in lines[1:])
    names = [line.partition(b":")[0].lower() for line in lines[1:]]
    assert names.count(b"host") <= 1
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert read.length is None if b"transfer-encoding" in names else isinstance(read.length, int)
    assert REQUEST_LINE.fullmatch(read.line)


@given(heads(STATUS_LINES))
def test_what_is_taken_for_a_response_is_one_by_the_grammar(text: bytes) -> None:
    try:
        read = response(text)
    except BadMessageError:
        return
    lines = text[:-4].split(b"\r\n")
    assert STATUS_LINE.fullmatch(lines[0])
    assert all(FIELD_LINE.fullmatch(line) for line in lines[1:])
    assert 100 <= read.status < 600
    assert STATUS_LINE.fullmatch(read.line)


@given(st.lists(st.sampled_from([b"GET", b"POST"]), max_size=6))
def test_a_client_that_closes_spoils_nothing_for_the_next(methods: list[bytes]) -> None:
    # llhttp refuses whatever follows a `Connection: close` on the same parser, and one parser serves all clients.
    reader = RequestReader(LIMITS)
    for count, method in enumerate(methods):
        reader.read(head(method + b" /%d HTTP/1.1" % count, [b"Host: a", b"Connection: close"]))
        reader.read(head(method + b" /%d HTTP/1.0" % count, []))


def test_memory_is_bounded() -> None:
    reader = RequestReader(LIMITS)
    for count in range(10_000):
        reader.read(b"GET /%d HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % (count, count))
    assert len(reader._known.starts) + len(reader._known.fields) <= 4096
    reader.read(head(b"GET / HTTP/1.1", [b"Host: a", b"Cookie: " + b"x" * 1000]))
    assert max(map(len, reader._known.fields)) <= 256


@pytest.mark.parametrize(
    ("line", "keeps"),
    [
        (b"HTTP/1.1", True),
        (b"HTTP/1.1\r\nConnection: close", False),
        (b"HTTP/1.1\r\nConnection: foo\r\nConnection: bar, CLOSE", False),
        (b"HTTP/1.0", False),
        (b"HTTP/1.0\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.0\r\nConnection: keep-alive, close", False),
    ],
)
def test_whether_a_client_keeps_its_connection(line: bytes, keeps: bool) -> None:
    assert request(b"GET / " + line + b"\r\nHost: a\r\n\r\n").keep_alive is keeps


@pytest.mark.parametrize(
    ("status", "fields", "length", "chunked", "keeps"),
    [
        (b"200", b"Content-Length: 5\r\n", 5, False, True),
        (b"200", b"Transfer-Encoding: chunked\r\n", None, True, True),
        (b"200", b"", None, False, False),
        (b"200", b"Content-Length: 5\r\nConnection: close\r\n", 5, False, False),
        (b"204", b"Transfer-Encoding: chunked\r\n", 0, False, True),
        (b"304", b"Content-Length: 5\r\n", 0, False, True),
        (b"100", b"", 0, False, True),
    ],
)
def test_the_framing_of_a_response(status: bytes, fields: bytes, length: int, chunked: bool, keeps: bool) -> None:
    read = response(b"HTTP/1.1 " + status + b" x\r\n" + fields + b"\r\n")
    assert (read.length, read.chunked, read.keep_alive) == (length, chunked, keeps)


@pytest.mark.parametrize("line", [b"Content-Length: 10", b"content-length:010", b"Content-Length: \t 0000000010 \t"])
def test_a_length_is_written_anew(line: bytes) -> None:
    for read in (request(head(b"GET / HTTP/1.1", [b"Host: a", line])), response(head(b"HTTP/1.1 200 OK", [line]))):
        assert (read.length, read.fields) == (10, [b"Content-Length: 10"])


def test_limits_are_told_apart() -> None:
    assert outcome(request, b"GET /" + b"x" * 200 + b" HTTP/1.1\r\nHost: a\r\n\r\n") == 414
    assert outcome(request, head(b"GET / HTTP/1.1", [b"Host: a"] + [b"X: y"] * 8)) == 431
    assert outcome(request, head(b"GET / HTTP/1.1", [b"Host: a"] + [b"X: y"] * 7)) != 431


def test_heads_are_shown_for_people() -> None:
    assert repr(request(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")) == "<RequestHead GET /a>"
    assert repr(response(b"HTTP/1.1 204 x\r\n\r\n")) == "<ResponseHead 204>"


def test_a_policy_may_look_at_a_requests_fields() -> None:
    found = request(b"GET /a?b HTTP/1.1\r\nHost: h\r\nX-User:  me \r\nx-user: you\r\nCookie: a=1\r\n\r\n")
    assert found.header(b"x-user") == b"me"
    assert found.header(b"cookie") == b"a=1"
    assert found.header(b"host") == b"h"
    assert found.header(b"x") == b""
