"""Reading the head of a message, and nothing but the head: bytes in, a value or a refusal out.

llhttp (through httptools) judges the syntax of each head, and refuses bare line ends, folded lines, blanks before a
colon and control characters; so its lines can be taken at the CR LF without a second reading of them. What llhttp lets
pass and a proxy must not is refused here. A head is only read when it is whole, so an idle connection costs no parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

END = b"\r\n\r\n"

# What a field line means for the framing or the routing of a message. All others are passed on as they came.
DROP, CONNECTION, HOST, LENGTH, CODING, EXPECT = range(1, 7)

_BLANKS = b" \t"
_MAX_LENGTH_DIGITS = 18  # a longer Content-Length is no body's, and would overflow someone's 64 bits
# RFC 9112 3.2: the host of a URI, without user information, with an optional port. RFC 3986 3.2.2 for the characters.
_HOST_GRAMMAR = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::[0-9]*)?")
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#@]+)([^#]*)", re.IGNORECASE)
_REFUSED_METHODS = frozenset([b"CONNECT", b"TRACE"])
_POINTLESS_TO_LIST = frozenset([b"close", b"keep-alive"])


class BadMessageError(Exception):
    """A message that cannot be understood in just one way; `status` is the answer to a client that sent it."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How large a head may be, in bytes, and how many fields it may have."""

    request_line: int = 8192
    headers: int = 32768
    header_count: int = 100


class RequestHead:
    """A request's head, understood.

    `fields` are the lines to be passed on, without their ends; a Content-Length is one of them. `length` is the body's
    in bytes, None for chunked. `line` is the request line to be sent.
    """

    __slots__ = (
        "authority",
        "expects_continue",
        "fields",
        "keep_alive",
        "length",
        "line",
        "method",
        "minor_version",
        "target",
    )

    method: bytes
    target: bytes  # in origin form, or b"*"
    line: bytes
    authority: bytes  # what Host said, or the absolute target; b"" only from a client of HTTP/1.0
    minor_version: int  # 0 or 1
    keep_alive: bool
    expects_continue: bool
    length: int | None
    fields: list[bytes]

    def __repr__(self) -> str:
        return f"<RequestHead {self.method.decode()} {self.target.decode('latin-1')}>"


class ResponseHead:
    """A response's head, understood.

    `fields` and `line` as in RequestHead. `length` is None where the chunks or the connection's end tell it. `bodiless`
    marks one that has no body whatever its fields say: to a HEAD, or of status 1xx, 204 or 304.
    """

    __slots__ = ("bodiless", "chunked", "fields", "keep_alive", "length", "line", "status")

    status: int
    line: bytes
    keep_alive: bool
    length: int | None
    chunked: bool
    bodiless: bool
    fields: list[bytes]

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}>"


class _Lines:
    """Remembers lines of heads that were found good, and what they mean.

    Most lines come again and again, from the same browsers and the same servers. Whether a line is good, and what it
    means, does not hang on its neighbours; so a head of nothing but known lines is known to be good, and only one with
    a new line in it goes to llhttp. Both together save 15 % of a small exchange. Long lines are not remembered, and all
    are forgotten once there are too many.
    """

    __slots__ = ("_readers", "fields", "starts")

    _ROOM = 4096  # lines
    _LONGEST = 256  # bytes

    def __init__(self, readers: Mapping[bytes, tuple[int, Callable[[bytes], Any]]]) -> None:
        self._readers = readers
        self.starts: set[bytes] = set()
        self.fields: dict[
            bytes, tuple[int, Any] | None
        ] = {}  # None: to be passed on; else its kind, and its value, read

    def learn_start(self, line: bytes) -> None:
        """Remember the start line of a head that llhttp found good."""
        if len(line) <= self._LONGEST:
            self._make_room()
            self.starts.add(line)

    def learn_field(self, line: bytes) -> tuple[int, Any] | None:
        """Remember a field line of a head that llhttp found good, and say what it means. Raises BadMessageError."""
        name, _, value = line.partition(b":")
        found = self._readers.get(name.lower())
        meaning = None if found is None else (found[0], found[1](value.strip(_BLANKS)))
        if len(line) <= self._LONGEST:
            self._make_room()
            self.fields[line] = meaning
        return meaning

    def _make_room(self) -> None:
        if len(self.starts) + len(self.fields) >= self._ROOM:
            self.starts.clear()
            self.fields.clear()


def _ignored(value: bytes) -> None:
    return None


def _read_host(value: bytes) -> bytes:
    if not _HOST_GRAMMAR.fullmatch(value):
        raise BadMessageError("a malformed Host")
    return value


def _read_connection(value: bytes) -> frozenset[bytes]:
    return frozenset(option.strip(_BLANKS).lower() for option in value.split(b","))


def _read_length(value: bytes) -> int:
    # bytes.isdigit knows the ASCII digits alone; int() by itself would take 1_0, +5 and a blank.
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise BadMessageError("a malformed Content-Length")
    return int(value)


def _read_coding(value: bytes) -> bool:
    if value.lower() != b"chunked":
        raise BadMessageError("a transfer coding other than one final chunked")
    return True


def _read_expectation(value: bytes) -> bool:
    if value.lower() != b"100-continue":
        raise BadMessageError("an unknown expectation", 417)
    return True


_IN_RESPONSES: dict[bytes, tuple[int, Callable[[bytes], Any]]] = {
    b"connection": (CONNECTION, _read_connection),
    b"keep-alive": (DROP, _ignored),
    b"proxy-connection": (DROP, _ignored),
    b"te": (DROP, _ignored),
    b"upgrade": (DROP, _ignored),
    b"transfer-encoding": (CODING, _read_coding),
    b"content-length": (LENGTH, _read_length),
}
_IN_REQUESTS = {
    **_IN_RESPONSES,
    b"host": (HOST, _read_host),
    b"expect": (EXPECT, _read_expectation),
    # Anybody can write these; what an instance reads in them must be what we saw ourselves.
    b"forwarded": (DROP, _ignored),
    b"x-forwarded-for": (DROP, _ignored),
    b"x-forwarded-proto": (DROP, _ignored),
    b"x-forwarded-host": (DROP, _ignored),
}


_NEW = (0, None)  # stands for the meaning of a line not seen before


class _End:
    """Learns from llhttp whether a message ended with its head."""

    __slots__ = ("reached",)

    def on_message_complete(self) -> None:
        self.reached = True


class RequestReader:
    """Reads request heads, from any number of connections."""

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._known = _Lines(_IN_REQUESTS)
        self._end = _End()
        self._parser = httptools.HttpRequestParser(self._end)

    def read(self, head: bytes) -> RequestHead:
        """Understand `head`, which ends with the empty line. Raises BadMessageError."""
        lines = head.split(b"\r\n")
        line = lines[0]
        known = self._known
        judged = False
        if line not in known.starts:
            self._judge(head)
            judged = True
            known.learn_start(line)
        if len(lines) > self._limits.header_count + 3:
            raise BadMessageError(f"more than {self._limits.header_count} header fields", 431)
        parts = line.split(b" ")
        if len(parts) != 3:
            raise BadMessageError("a malformed request line")
        method, target, version = parts
        request = RequestHead()
        request.method = method
        request.expects_continue = False
        fields: list[bytes] = []
        request.fields = fields
        authority = length = None
        chunked = False
        connection: frozenset[bytes] = frozenset()
        meaning_of = known.fields.get
        for field in lines[1:-2]:
            meant = meaning_of(field, _NEW)
            if meant is _NEW:
                if not judged:
                    self._judge(head)
                    judged = True
                meant = known.learn_field(field)
            if meant is None:
                fields.append(field)
                continue
            kind, value = meant
            if kind == HOST:
                if authority is not None:
                    raise BadMessageError("more than one Host")
                authority = value
            elif kind == CONNECTION:
                connection |= value
            elif kind == LENGTH:
                if length is not None:
                    raise BadMessageError("more than one Content-Length")
                length = value
                fields.append(field)
            elif kind == CODING:
                if chunked:
                    raise BadMessageError("more than one Transfer-Encoding")
                chunked = True
            elif kind == EXPECT:
                request.expects_continue = True
        if version == b"HTTP/1.1":
            request.minor_version = 1
            request.keep_alive = b"close" not in connection
            if authority is None:
                raise BadMessageError("no Host")
            request.line = line
        elif version == b"HTTP/1.0":
            request.minor_version = 0
            request.keep_alive = b"keep-alive" in connection and b"close" not in connection
            request.line = b"%b %b HTTP/1.1" % (method, target)
            if chunked:
                raise BadMessageError("Transfer-Encoding in HTTP/1.0")
        else:
            raise BadMessageError("a version that is not spoken here", 505)
        request.authority = authority or b""
        request.target = target
        if target[:1] != b"/":
            _resolve_target(request)
        if b"#" in target:
            raise BadMessageError("a fragment in the request target")
        if len(line) > self._limits.request_line:
            raise BadMessageError(f"a request line of more than {self._limits.request_line} bytes", 414)
        if method in _REFUSED_METHODS:
            raise BadMessageError(f"{method.decode()} is not allowed here", 405)
        if connection:
            _drop_listed(fields, connection)
        if not chunked:
            request.length = length or 0
        elif length is None:
            request.length = None
        else:
            raise BadMessageError("both Content-Length and Transfer-Encoding")
        return request

    def _judge(self, head: bytes) -> None:
        """Have llhttp judge the syntax."""
        end = self._end
        end.reached = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            end.reached = False  # the head is fine, but the parser is done; an upgrade is ours to grant
        except httptools.HttpParserError as error:
            self._parser = httptools.HttpRequestParser(end)
            raise BadMessageError(str(error)) from None
        if not end.reached:
            self._parser = httptools.HttpRequestParser(end)  # this one would take the next head for a body


class ResponseReader:
    """Reads response heads, from any number of connections."""

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._known = _Lines(_IN_RESPONSES)

    def read(self, head: bytes, *, to_head: bool) -> ResponseHead:
        """Understand `head`, which ends with the empty line; `to_head` when it answers a HEAD.

        Raises BadMessageError.
        """
        lines = head.split(b"\r\n")
        line = lines[0]
        known = self._known
        judged = False
        if line not in known.starts:
            _judge_response(head)
            judged = True
            known.learn_start(line)
        if len(lines) > self._limits.header_count + 3:
            raise BadMessageError(f"more than {self._limits.header_count} header fields")
        old = line[:9] == b"HTTP/1.0 "
        if not old and line[:9] != b"HTTP/1.1 ":
            raise BadMessageError("a version that is not spoken here")
        response = ResponseHead()
        response.status = status = int(line[9:12])  # llhttp has seen to it that these are three digits
        response.line = b"HTTP/1.1" + line[8:] if old else line
        fields: list[bytes] = []
        response.fields = fields
        length = None
        chunked = False
        connection: frozenset[bytes] = frozenset()
        meaning_of = known.fields.get
        for field in lines[1:-2]:
            meant = meaning_of(field, _NEW)
            if meant is _NEW:
                if not judged:
                    _judge_response(head)
                    judged = True
                meant = known.learn_field(field)
            if meant is None:
                fields.append(field)
                continue
            kind, value = meant
            if kind == LENGTH:
                if length is not None:
                    raise BadMessageError("more than one Content-Length")
                length = value
                fields.append(field)
            elif kind == CONNECTION:
                connection |= value
            elif kind == CODING:
                if chunked:
                    raise BadMessageError("more than one Transfer-Encoding")
                chunked = True
        if chunked and (length is not None or old):
            raise BadMessageError("Transfer-Encoding with Content-Length, or in HTTP/1.0")
        if connection:
            _drop_listed(fields, connection)
        persists = b"close" not in connection and (not old or b"keep-alive" in connection)
        response.bodiless = to_head or status < 200 or status == 204 or status == 304  # RFC 9112 6.3
        if response.bodiless:
            # A length told all the same is that of the body that a GET would have had.
            response.length, response.chunked, response.keep_alive = 0, False, persists
            if length is not None and (status < 200 or status == 204):
                fields[:] = [field for field in fields if not field.lower().startswith(b"content-length:")]
        else:
            response.length, response.chunked = length, chunked
            response.keep_alive = persists and (length is not None or chunked)
        return response


def _judge_response(head: bytes) -> None:
    """Have llhttp judge the syntax."""
    try:
        # A parser is good for one response: nearly all have a body, for which this one would wait.
        httptools.HttpResponseParser(None).feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # the head is fine
    except httptools.HttpParserError as error:
        raise BadMessageError(str(error)) from None


def _resolve_target(request: RequestHead) -> None:
    """Bring a target that is not a path into origin form. Raises BadMessageError."""
    absolute = _ABSOLUTE_FORM.fullmatch(request.target)
    if absolute:
        # RFC 9112 3.2.2: the target's authority replaces whatever Host said.
        authority, path = absolute.groups()
        request.authority = _read_host(authority)
        request.target = path if path[:1] == b"/" else b"/" + path
        request.line = b"%b %b HTTP/1.1" % (request.method, request.target)
    elif request.method not in _REFUSED_METHODS and (request.target != b"*" or request.method != b"OPTIONS"):
        raise BadMessageError("a malformed request target")


def _drop_listed(fields: list[bytes], connection: frozenset[bytes]) -> None:
    """Remove the fields that `Connection` names: they were meant for this hop alone (RFC 9110 7.6.1).

    Content-Length stays whoever names it: it frames the message.
    """
    listed = connection - _POINTLESS_TO_LIST - {b"content-length"}
    if listed:
        fields[:] = [field for field in fields if field.partition(b":")[0].lower() not in listed]
