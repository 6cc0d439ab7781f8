"""What docs/http.md promises to become of a message on its way, written from there and not from the code.

Given the message as another reader understood it, this is how it must go out.
"""

from __future__ import annotations

import re

from tests.fuzz.memory import CLIENT, INSTANCE
from tests.fuzz.outcome import Fields, Message

_OF_A_HOP = b"""connection keep-alive proxy-connection proxy-authenticate proxy-authorization te upgrade
    transfer-encoding http2-settings""".split()
_OF_TRUST = b"forwarded x-real-ip x-pointsman-mirror proxy".split()
_OURS_TO_WRITE = [b"content-length", b"host", b"expect", b"x-request-id", b"max-forwards"]
_STEERING = frozenset([*_OF_A_HOP, *_OF_TRUST, *_OURS_TO_WRITE])
_FRAMING_OR_WORSE = b"""transfer-encoding content-length host connection trailer te upgrade expect authorization cookie
    set-cookie content-encoding content-type content-range forwarded x-real-ip x-request-id keep-alive proxy-connection
    via proxy proxy-authorization proxy-authenticate http2-settings max-forwards x-pointsman-mirror""".split()


def to_instance(request: Message) -> Message:
    """Return the request as an instance must be sent it."""
    method, target, version = request.line.split(b" ")
    host = next(iter(request.values(b"host")), b"")
    if b"://" in target and target[:1] != b"/":
        host, target = _split_absolute(target)
        if not target.startswith(b"/"):
            target = b"*" if method == b"OPTIONS" and not target else b"/" + target
    listed = _listed(request) - {b"content-length"}
    fields = [
        (name, _plain(name, value))
        for name, value in request.fields
        if name not in listed
        and name not in (*_OF_A_HOP, *_OF_TRUST, b"host", b"expect", b"x-request-id")
        and not name.replace(b"_", b"-").startswith(b"x-forwarded-")
        and not (b"_" in name and name.replace(b"_", b"-") in _STEERING)
    ]
    ours = [(b"x-forwarded-host", host)] if host else []
    if _is_chunked(request):
        ours.append((b"transfer-encoding", b"chunked"))
    if protocols := _asked_for(request):
        ours += [(b"connection", b"Upgrade"), (b"upgrade", b", ".join(protocols))]
    ours += [
        (b"x-request-id", _request_id(request)),
        (b"x-forwarded-for", CLIENT.encode()),
        (b"x-forwarded-proto", b"http"),
        (b"via", version.removeprefix(b"HTTP/") + b" pointsman"),
    ]
    return Message(
        b"%b %b HTTP/1.1" % (method, target),
        ((b"host", host or INSTANCE), *fields, *ours),
        request.content,
        _trailers(request.trailers),
    )


def to_client(response: Message, request: Message) -> Message:
    """Return the response as the client must be sent it that sent this request."""
    version, status, reason = response.line.split(b" ", 2)
    old = request.line.endswith(b"1.0")
    interim = status.startswith(b"1")
    bodiless = interim or status in (b"204", b"304") or request.line.startswith(b"HEAD ")
    listed = _listed(response) - {b"content-length"}
    passed = (field for field in response.fields if field[0] not in listed and field[0] not in _OF_A_HOP)
    fields = [(name, _plain(name, value)) for name, value in passed]
    if interim or status == b"204":
        fields = [(name, value) for name, value in fields if name != b"content-length"]
    endless = not bodiless and not response.values(b"content-length")
    if endless and not old:
        fields.append((b"transfer-encoding", b"chunked"))
    if not interim:
        if (endless and old) or not keeps(request):
            fields.append((b"connection", b"close"))
        elif old:
            fields.append((b"connection", b"keep-alive"))
        fields.append((b"via", version.removeprefix(b"HTTP/") + b" pointsman"))
    return Message(
        b"HTTP/1.1 %b %b" % (status, reason),
        tuple(fields),
        response.content,
        () if old else _trailers(response.trailers),
    )


def keeps(message: Message) -> bool:
    """Tell whether the connection goes on behind this message (RFC 9112 9.3)."""
    options = _options(message)
    return b"close" not in options and (b"HTTP/1.1" in message.line or b"keep-alive" in options)


def without_expect(message: Message) -> Message:
    """Leave Expect out: whether it is passed on hangs on how much of the body has arrived."""
    fields = tuple((name, value) for name, value in message.fields if name != b"expect")
    return Message(message.line, fields, message.content, message.trailers)


def _split_absolute(target: bytes) -> tuple[bytes, bytes]:
    """Return the authority and what is behind it."""
    start = target.index(b"://") + 3
    end = min((at for at in (target.find(mark, start) for mark in (b"/", b"?")) if at >= 0), default=len(target))
    return target[start:end], target[end:]


def _options(message: Message) -> set[bytes]:
    return {option.strip(b" \t").lower() for value in message.values(b"connection") for option in value.split(b",")}


def _listed(message: Message) -> set[bytes]:
    """Return the fields that Connection names; its own options are no fields."""
    return _options(message) - {b"close", b"keep-alive"}


def _asked_for(request: Message) -> list[bytes]:
    """Return the protocols that the request asks for, where it may."""
    if not request.line.endswith(b"1.1") or b"upgrade" not in _options(request) or _is_chunked(request):
        return []
    if any(int(length) for length in request.values(b"content-length")):
        return []
    asked = []
    for value in request.values(b"upgrade"):
        protocols = [protocol.strip(b" \t") for protocol in value.split(b",")]
        if all(re.fullmatch(rb"[\w!#$%&'*+.^`|~-]+(/[\w!#$%&'*+.^`|~-]+)?", one) for one in protocols):
            asked += protocols
    return [one for one in asked if not one.lower().startswith((b"h2c", b"h2", b"http/", b"tls/"))]


def _request_id(request: Message) -> bytes:
    """Return the one that came last, if it is a good one, or the one that the listener under test makes."""
    given = request.values(b"x-request-id")
    return given[-1] if given and re.fullmatch(rb"[!-~]{1,128}", given[-1]) else b"made"


def _is_chunked(message: Message) -> bool:
    return bool(message.values(b"transfer-encoding"))


def _trailers(trailers: Fields) -> Fields:
    named = ((name.replace(b"_", b"-"), (name, value)) for name, value in trailers)
    return tuple(
        field for name, field in named if name not in _FRAMING_OR_WORSE and not name.startswith(b"x-forwarded-")
    )


def _plain(name: bytes, value: bytes) -> bytes:
    """Write a length without zeros before it."""
    return b"%d" % int(value) if name == b"content-length" else value
