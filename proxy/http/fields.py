"""The lines of a head: what each means to a proxy, and a memory of those that were found good.

A field either is passed on as it came, or steers the framing, the connection or the trust of a message and is then
read strictly here, whoever else has judged it before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# What a field line means for the framing or the routing of a message. All others are passed on as they came.
DROP: Final = 1
CONNECTION: Final = 2
HOST: Final = 3
LENGTH: Final = 4
CODING: Final = 5
EXPECT: Final = 6
UPGRADE: Final = 7
FORWARDED: Final = 8
REQUEST_ID: Final = 9
MAX_FORWARDS: Final = 10

_BLANKS = b" \t"
_MAX_LENGTH_DIGITS = 18  # a longer Content-Length is no body's, and would overflow someone's 64 bits
# RFC 9112 3.2: the host of a URI, without user information, with an optional port. RFC 3986 3.2.2 for the characters;
# RFC 9110 4.2.1 for refusing an empty one.
_HOST_GRAMMAR = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::[0-9]*)?")
_POINTLESS_TO_LIST = frozenset([b"close", b"keep-alive", b"content-length"])
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PROTOCOL = re.compile(_TOKEN + rb"(?:/" + _TOKEN + rb")?")  # RFC 9110 7.8
# Protocols that are never asked for on behalf of a client. HTTP/2 on a tunnel that we do not look into would carry
# requests past every rule of ours ("h2c smuggling"); TLS would end at the instance instead of here.
_NOT_TUNNELLED = (b"h2c", b"h2", b"http/", b"tls/")
# X-Client-Cert-Subject and its like, and those of RFC 9440: Client-Cert and Client-Cert-Chain.
_OF_CLIENT_CERTIFICATES = (b"x-client-cert", b"client-cert")
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")

# None: to be passed on; else a field's kind, and its value, read.
Meaning = tuple[int, Any] | None


class BadMessageError(Exception):
    """A message that cannot be understood in just one way; `status` is the answer to a client that sent it."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class Lines:
    """Remembers lines of heads that were found good, and what they mean.

    Most lines come again and again, from the same browsers and the same servers. Whether a line is good, and what it
    means, does not hang on its neighbours; so a head of nothing but known lines is known to be good, and only one with
    a new line in it goes to llhttp. Both together save 15 % of a small exchange. What does hang on neighbours (a field
    that comes twice, a length beside a coding) is for the readers of heads to judge each time. Long lines are not
    remembered, and all are forgotten once there are too many.
    """

    __slots__ = ("_meaning_of", "fields", "starts")

    _ROOM = 4096  # lines
    _LONGEST = 256  # bytes

    def __init__(self, meaning_of: Callable[[bytes, bytes], Meaning]) -> None:
        self._meaning_of = meaning_of
        self.starts: dict[bytes, Any] = {}  # start lines, and what they say
        self.fields: dict[bytes, Meaning] = {}

    def learn_start(self, line: bytes, parts: Any) -> None:
        """Remember the start line of a head that llhttp found good, with its parts."""
        if len(line) <= self._LONGEST:
            self._make_room()
            self.starts[line] = parts

    def learn_field(self, line: bytes) -> Meaning:
        """Remember a field line of a head that llhttp found good, and say what it means. Raises BadMessageError."""
        name, _, value = line.partition(b":")
        name = name.lower()
        meaning = self._meaning_of(name, value.strip(_BLANKS))
        if len(line) <= self._LONGEST and name not in _ALWAYS_NEW:
            self._make_room()
            self.fields[line] = meaning
        return meaning

    def _make_room(self) -> None:
        if len(self.starts) + len(self.fields) >= self._ROOM:
            self.starts.clear()
            self.fields.clear()


def in_response(name: bytes, value: bytes) -> Meaning:
    """Say what a field of a response means. Raises BadMessageError."""
    found = _IN_RESPONSES.get(name)
    return None if found is None else (found[0], found[1](value))


def in_request(name: bytes, value: bytes) -> Meaning:
    """Say what a field of a request means. Raises BadMessageError."""
    found = _IN_REQUESTS.get(name)
    if found is not None:
        return found[0], found[1](value)
    if name.startswith(b"x-forwarded-"):
        return FORWARDED, (name, value)
    if name.startswith(_OF_CLIENT_CERTIFICATES):
        return DROP, None  # only we know of them, whoever asks, and on every listener
    # CGI and WSGI make one of `-` and `_`: to many an instance X_Forwarded_For is the same as X-Forwarded-For.
    alias = name.replace(b"_", b"-")
    if alias != name and (alias in _IN_REQUESTS or alias.startswith((b"x-forwarded-", *_OF_CLIENT_CERTIFICATES))):
        return DROP, None
    return None


def read_host(value: bytes) -> bytes:
    """Read a Host, or the authority of an absolute target. Raises BadMessageError."""
    if not _HOST_GRAMMAR.fullmatch(value):
        raise BadMessageError("a malformed Host")
    return value


def drop_listed(fields: list[bytes], connection: frozenset[bytes]) -> None:
    """Remove the fields that `Connection` names: they were meant for this hop alone (RFC 9110 7.6.1).

    Content-Length stays whoever names it: it frames the message.
    """
    listed = connection - _POINTLESS_TO_LIST
    if listed:
        fields[:] = [field for field in fields if field.partition(b":")[0].lower() not in listed]


def _ignored(value: bytes) -> None:
    return None


def _read_connection(value: bytes) -> frozenset[bytes]:
    return frozenset(option.strip(_BLANKS).lower() for option in value.split(b","))


def _read_length(value: bytes) -> tuple[int, bytes]:
    # bytes.isdigit knows the ASCII digits alone; int() by itself would take 1_0, +5 and a blank.
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise BadMessageError("a malformed Content-Length")
    length = int(value)
    # Written anew as it was understood: 010 may be 8 to whoever reads it next.
    return length, b"Content-Length: %d" % length


def _read_coding(value: bytes) -> bool:
    if value.lower() != b"chunked":
        raise BadMessageError("a transfer coding other than one final chunked")
    return True


def _read_expectation(value: bytes) -> bool:
    if value.lower() != b"100-continue":
        raise BadMessageError("an unknown expectation", 417)
    return True


def _read_protocols(value: bytes) -> tuple[bytes, ...]:
    # The field goes no further than here, so a malformed one is no worse than none.
    named = tuple(protocol.strip(_BLANKS) for protocol in value.split(b","))
    return named if all(map(_PROTOCOL.fullmatch, named)) else ()


def _read_request_id(value: bytes) -> bytes:
    # It ends up in logs and in other people's systems: a malformed one is as good as none.
    return value if _REQUEST_ID.fullmatch(value) else b""


def _read_max_forwards(value: bytes) -> int | None:
    # None for a malformed one: it is up to the method whether that matters.
    return int(value) if value.isdigit() and len(value) <= 9 else None


def tunnelled(protocols: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return those of the protocols that a client may be passed on to by a tunnel."""
    return tuple(protocol for protocol in protocols if not protocol.lower().startswith(_NOT_TUNNELLED))


_IN_RESPONSES: dict[bytes, tuple[int, Callable[[bytes], Any]]] = {
    b"connection": (CONNECTION, _read_connection),
    b"keep-alive": (DROP, _ignored),
    b"proxy-connection": (DROP, _ignored),
    b"proxy-authenticate": (DROP, _ignored),  # between a client and the proxy that it knows of
    b"proxy-authorization": (DROP, _ignored),
    b"te": (DROP, _ignored),
    b"http2-settings": (DROP, _ignored),
    b"upgrade": (UPGRADE, _read_protocols),
    b"transfer-encoding": (CODING, _read_coding),
    b"content-length": (LENGTH, _read_length),
}
_IN_REQUESTS = {
    **_IN_RESPONSES,
    b"host": (HOST, read_host),
    b"expect": (EXPECT, _read_expectation),
    b"max-forwards": (MAX_FORWARDS, _read_max_forwards),
    b"x-request-id": (REQUEST_ID, _read_request_id),
    # Anybody can write these (and X-Forwarded-*); only from proxies that are trusted are they passed on.
    b"forwarded": (FORWARDED, lambda value: (b"forwarded", value)),
    b"x-real-ip": (FORWARDED, lambda value: (b"x-real-ip", value)),
    b"x-pointsman-mirror": (FORWARDED, lambda value: (b"x-pointsman-mirror", value)),  # marks a copy
    b"proxy": (DROP, _ignored),  # becomes HTTP_PROXY in CGI's environment: httpoxy, CVE-2016-5385
}
# Fields that differ in every message: to remember them would only push out what is worth it.
_ALWAYS_NEW = frozenset([b"x-request-id", b"traceparent", b"sec-websocket-key", b"sec-websocket-accept"])
