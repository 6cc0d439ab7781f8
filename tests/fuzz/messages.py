"""Streams of messages for hypothesis: built by the grammar, then damaged, one after the other and cut off anywhere.

Most have just one thing odd about them: two faults hide each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.fuzz.seeds import ASKED, REQUESTS, RESPONSES

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

cuts = st.lists(st.integers(0, 2000), max_size=8)

# How the field that frames a message may be written; `mostly` is drawn as often as all the others together.
_LENGTHS = [
    b"+%d", b"-%d", b"0%d", b"000000000000000000%d", b"%d, %d", b"%d,%d", b"%d,", b",%d", b"%d;", b"%d.0", b"%de0",
    b"0x%x", b"1_%d", b"%d 0", b"\xc2\xa0%d", b"\xef\xbc\x90%d", b"%d\x0b", b"\x0c%d", b"%d\x00", b"'%d'", b'"%d"',
    b"", b"18446744073709551616", b"99999999999999999999999",
]  # fmt: skip
_CODINGS = [
    b"xchunked", b"chunkedx", b"chunk", b"chunked\x00", b"\x0bchunked", b"chunked\x0b", b"\x00chunked", b"gzip",
    b"identity", b"gzip, chunked", b"chunked, gzip", b"chunked, identity", b"identity, chunked", b"chunked, chunked",
    b"chunked,", b",chunked", b"chunked;q=1", b"chunked ;", b'"chunked"', b"'chunked'", b"chu nked", b"chunked\xff",
    b"\xc2\x85chunked", b"",
]  # fmt: skip
_NAME_MARKS = [
    b" ", b"\t", b"\x00", b"\x0b", b"\r", b"_", b"\x80", b":", b"\xc2\xa0",
]  # fmt: skip
_ODD_FIELDS = [
    b"Host: b", b"Host:", b"host: shop:80", b"Host: a b", b"Host: a/b", b"Host: [::1]:1", b"Host: a@b", b"Host: a,b",
    b"Connection: close", b"Connection: keep-alive", b"Connection: Keep-Alive, X-A",
    b"Connection: content-length, host", b"Connection: transfer-encoding", b"Connection: upgrade",
    b"Connection:\tclose\t", b"Connection: closed", b"Connection: ,", b"Connection: x-a, close, via",
    b"Keep-Alive: timeout=5", b"Upgrade: websocket", b"Upgrade: h2c", b"HTTP2-Settings: a", b"Expect: 100-continue",
    b"expect: 100-Continue", b"Expect: 200-ok", b"TE: trailers", b"Trailer: X-A", b"Via: 1.0 other",
    b"X-Forwarded-For: 1.2.3.4", b"X_Forwarded_For: 1.2.3.4", b"Forwarded: for=a", b"Content_Length: 7",
    b"Transfer_Encoding: chunked", b"Transfer-Encoding : chunked", b"Content-Length : 7", b"X-A: a\r\n b",
    b"X-A: a\r\n\tTransfer-Encoding: chunked", b" X-A: a", b"X-A", b": a", b"", b"X-A: a\rb", b"X-A: a\nb",
    b"X-A: a\r", b"X-A: \x00", b"X-A: \x01", b"X-A: \x7f", b"X A: a", b"X-A: \xe4\xff", b"X-A:", b"X-A:\t a\t b \t",
    b"X\x80: a", b"(X): a", b"Content-Encoding: gzip", b"Content-Type: a/b", b"Proxy-Connection: close", b"Proxy: a",
    b"Set-Cookie: a=b; c", b"Content-Length:\r\n 5", b"Transfer-Encoding:\r\n chunked",
]  # fmt: skip
_TARGETS = [
    b"*", b"/a?b=c&d", b"//b/c", b"http://b/c", b"HTTP://B:81?x", b"https://b", b"http://b/#f", b"http://u@b/",
    b"http:///c", b"http://", b"http://[::1]/", b"http://b\\c/", b"ftp://b/", b"b:443", b"a", b"?a", b"/#f", b"/a b",
    b"/\x00", b"/\xe4", b"/\x7f", b"/\t", b"/%00", b"/../..", b"http://b,c/", b"http://b:/x", b"http://b:x/", b"",
]  # fmt: skip
_VERSIONS = [
    b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 ", b"http/1.1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1,1",
    b"HTTP/1", b"",
]  # fmt: skip
_METHODS = [
    b"CONNECT", b"TRACE", b"get", b"BREW", b"PRI", b"M-SEARCH", b"SOURCE", b"QUERY", b"G ET", b"\rGET", b"GET\x00",
    b"",
]  # fmt: skip
_SIZES = [
    b"0%x", b"00000000%x", b"0x%x", b"+%x", b"-%x", b"%x ", b" %x", b"%x\t", b"%x_", b"%x;", b"%x;a", b"%x; a=b",
    b'%x ;a="b;c\r\n"', b'%x;a="b"', b'%x;a="', b"%x;a\r", b"%x;a\n", b"%x\n", b"%x;\n0", b"%x;\x00", b"%x;a=\x01",
    b"%x;a b", b"%x;;", b"%x,", b"0000000000000000%x", b"%xg", b"%x;\xff", b"%x;a=\"\\\"\"", b"%x;" + b"a" * 260,
]  # fmt: skip
_CHUNK_ENDS = [
    b"", b"\n", b"\r", b"\r\n\r\n", b"\n\r", b"x\r\n", b"\r\r\n",
]  # fmt: skip
_LAST_CHUNKS = [
    b"00", b"000;a", b"0 ", b"0;", b"0x0", b"-0", b"", b"0\n", b"0\r", b"0;a\n",
]  # fmt: skip
_TRAILERS = [
    b"X-Sum: 1\r\n", b"X-A:\tb \r\nX-A: c\r\n", b"Host: b\r\n", b"Content-Length: 5\r\n", b"Content-Length: x\r\n",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: gzip\r\n", b"X-A : b\r\n", b"X-A: b\r\n c\r\n",
    b" X-A: b\r\n", b"X-A: b\n", b"X-A\r\n", b"X-A: \x00\r\n", b"X-A: \x01\r\n", b"\n", b"\r",
    b"X_Forwarded-For: 1\r\n", b"X-A:\r\n", b"X-A: a\rb\r\n", b"X-A: \xff\r\n", b": a\r\n", b"Content_Length: 5\r\n",
]  # fmt: skip
_STATUSES = [
    b"100", b"101", b"103", b"199", b"201", b"204", b"205", b"304", b"404", b"500", b"599", b"600", b"999", b"099",
    b"20", b"2000", b"2x0", b"",
]  # fmt: skip
_REASONS = [
    b"", b" ", b" O K", b" \xe4", b" \x01", b" \x00", b" a\tb", b" a\rb", b"\tOK", b" OK ",
]  # fmt: skip
# What is struck into the bytes, or over them.
_SPLINTERS = [
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\n ", b"\r\r\n", b"\n\r\n", b"\x00", b"\x0b", b"\x0c", b"\t",
    b" ", b":", b",", b";", b"0", b"\x7f", b"\x80", b"_", b"-", b"0\r\n\r\n", b"HTTP/1.1", b"chunked",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"GET / HTTP/1.1\r\n",
]  # fmt: skip

_contents = st.sampled_from(
    [b"", b"a", b"abc", b"0\r\n\r\n", b"\r\n", b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", b"a" * 300]
) | st.binary(max_size=20)
_odd_times = st.sampled_from([0] * 14 + [1] * 5 + [2])


def _mostly(plain: bytes, odd: list[bytes]) -> SearchStrategy[bytes]:
    return st.sampled_from([plain] * len(odd) + odd)


@st.composite
def _cased(draw: DrawFn, name: bytes) -> bytes:
    """Write a name in some case, seldom with a mark in it that does not belong there."""
    kind = draw(st.integers(0, 15))
    if kind == 0:
        return name.lower()
    if kind == 1:
        return name.upper()
    if kind == 2:
        at = draw(st.integers(0, len(name)))
        return name[:at] + draw(st.sampled_from(_NAME_MARKS)) + name[at:]
    return name.replace(b"-", b"_") if kind == 3 else name


@st.composite
def _chunks(draw: DrawFn, odd: bool) -> bytes:
    """Write a chunked body, perhaps an odd one."""
    pieces = draw(st.lists(_contents.filter(bool), max_size=3))
    at = draw(st.integers(0, len(pieces) + 2)) if odd else -1
    written = []
    for number, piece in enumerate(pieces):
        size, end = b"%x", b"\r\n"
        if number == at:
            size, end = draw(_mostly(size, _SIZES)), draw(_mostly(end, _CHUNK_ENDS))
        length = max(len(piece) + draw(st.sampled_from([0, 0, 0, 0, -1, 1])), 0) if number == at else len(piece)
        written.append((size % length if b"%" in size else size) + b"\r\n" + piece + end)
    last = draw(_mostly(b"0", _LAST_CHUNKS)) if at == len(pieces) else b"0"
    trailers = draw(st.sampled_from(_TRAILERS if at > len(pieces) else [b"", b"", b"X-Sum: 1\r\n"]))
    return b"".join(written) + last + b"\r\n" + trailers + b"\r\n"


@st.composite
def _framed(draw: DrawFn, fields: list[bytes], odd: int) -> tuple[list[bytes], bytes]:
    """Give a message a body, and the field that frames it; `odd` of all that is so."""
    framing = draw(st.sampled_from(["length", "length", "chunked", "chunked", "none", "both", "twice"]))
    content = draw(_contents)
    spelt = draw(_mostly(b"%d", _LENGTHS)) if odd else b"%d"
    length = draw(_cased(b"Content-Length")) + b": " + spelt % ((len(content),) * spelt.count(b"%"))
    coding = draw(_cased(b"Transfer-Encoding")) + b": " + (draw(_mostly(b"chunked", _CODINGS)) if odd else b"chunked")
    if framing == "length":
        return [*fields, length], content
    if framing == "chunked":
        return [*fields, coding], draw(_chunks(odd > 0))
    if framing == "none" or not odd:
        return fields, b""
    if framing == "twice":
        return [*fields, length, b"Content-Length: %d" % draw(st.sampled_from([0, 3, len(content)]))], content
    return draw(st.permutations([*fields, length, coding])), draw(_chunks(odd=False))


@st.composite
def _fields(draw: DrawFn, first: list[bytes], odd: int) -> list[bytes]:
    fields = [*first, *draw(st.lists(st.sampled_from([b"Accept: */*", b"x-a:b", b"Cookie: a=b; c"]), max_size=2))]
    for _ in range(odd):
        fields.insert(draw(st.integers(0, len(fields))), draw(st.sampled_from(_ODD_FIELDS)))
    return fields


@st.composite
def _damaged(draw: DrawFn, message: bytes) -> bytes:
    """Strike some bytes into a message, out of it, or over it, mostly near the ends of its lines."""
    for _ in range(draw(_odd_times)):
        ends = [at for at in range(len(message)) if message[at : at + 1] in b"\r\n: "]
        anywhere = st.integers(0, len(message))
        at = draw(st.sampled_from(ends) | anywhere if ends else anywhere)
        gone = draw(st.sampled_from([0, 0, 0, 1, 2]))
        message = message[:at] + draw(st.just(b"") | st.sampled_from(_SPLINTERS)) + message[at + gone :]
    return message


@st.composite
def request(draw: DrawFn) -> bytes:
    """Write one request."""
    odd_line, odd_fields, odd_body = draw(st.integers(0, 5)) == 0, draw(_odd_times), draw(_odd_times)
    method = draw(st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE"]))
    target, version, blanks = draw(st.sampled_from([b"/", b"/a", b"http://b/c"])), b"HTTP/1.1", b" "
    if odd_line:
        part = draw(st.integers(0, 4))
        method = draw(st.sampled_from(_METHODS)) if part == 0 else method
        target = draw(st.sampled_from(_TARGETS)) if part == 1 else target
        version = draw(st.sampled_from(_VERSIONS)) if part == 2 else b"HTTP/1.0" if part == 3 else version
        blanks = draw(st.sampled_from([b"  ", b"\t", b"", b"\r", b"\x0b"])) if part == 4 else blanks
    hosts = draw(st.sampled_from([[b"Host: shop"]] * 12 + [[], [b"Host: shop"] * 2]))
    fields, body = draw(_framed(draw(_fields(hosts, odd_fields)), odd_body))
    before = draw(st.sampled_from([b""] * 24 + [b"\r\n", b"\r\n\r\n", b"\n"]))
    return before + draw(_damaged(b"\r\n".join([method + blanks + target + b" " + version, *fields, b"", body])))


@st.composite
def response(draw: DrawFn) -> bytes:
    """Write one response."""
    odd_line, odd_fields, odd_body = draw(st.integers(0, 5)) == 0, draw(_odd_times), draw(_odd_times)
    version, status, reason = draw(st.sampled_from([b"HTTP/1.1"] * 3 + [b"HTTP/1.0"])), b"200", b" OK"
    if odd_line:
        part = draw(st.integers(0, 4))
        version = draw(st.sampled_from(_VERSIONS)) if part == 0 else version
        status = draw(st.sampled_from(_STATUSES)) if part > 1 else status
        reason = draw(st.sampled_from(_REASONS)) if part in (1, 2) else reason
    fields, body = draw(_framed(draw(_fields([b"Server: a"], odd_fields)), odd_body))
    head = b"\r\n".join([version + b" " + status + reason, *fields, b"", b""])
    if status in (b"204", b"304") or status.startswith(b"1"):
        body = draw(st.sampled_from([b"", b"", b"", body]))
    return draw(_damaged(head + body))


@st.composite
def _stream(draw: DrawFn, one: SearchStrategy[bytes], seeds: SearchStrategy[bytes]) -> bytes:
    """Put messages behind each other, old acquaintances among them, and perhaps break off; seldom just any bytes."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.binary(max_size=60))
    stream = b"".join(draw(st.lists(seeds.flatmap(_damaged) if kind < 4 else one, min_size=1, max_size=3)))
    return stream[: draw(st.integers(0, len(stream)))] if kind == 4 else stream


requests = _stream(request(), st.sampled_from([*REQUESTS.values()]))
responses = _stream(response(), st.sampled_from([*RESPONSES.values()]))

asked = st.sampled_from(ASKED)
