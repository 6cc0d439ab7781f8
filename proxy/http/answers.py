"""The answers that pointsman gives by itself: a refusal, a failure, nobody to ask."""

from __future__ import annotations

import json
from email.utils import formatdate
from http import HTTPStatus

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_ALLOW = b"Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
_SECRETS = frozenset([b"authorization", b"cookie", b"proxy-authorization"])
RETRY_AFTER = 1  # seconds; what a client is told to wait when a service has nobody to answer


def answer(
    status: int, error: str, *, service: str = "", close: bool, to_head: bool = False, request_id: bytes = b""
) -> bytes:
    """Write a response with a short JSON body that says what is wrong, and of which service.

    A 503 bears Retry-After: the state is a passing one, and the registry or a probe may end it at any moment.
    """
    body = json.dumps({"error": error, "service": service} if service else {"error": error}).encode() + b"\n"
    lines = [
        b"HTTP/1.1 %d %b" % (status, _REASONS[status]),
        b"Date: " + formatdate(usegmt=True).encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(b"Retry-After: %d" % RETRY_AFTER)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append(_ALLOW)
    if request_id:
        lines.append(b"X-Request-Id: " + request_id)
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b"" if to_head else body])


def options(*, close: bool, request_id: bytes = b"") -> bytes:
    """Answer an OPTIONS that may be passed on no further (RFC 9110 7.6.2): this is what is understood here."""
    return _ok([_ALLOW], b"", close, request_id)


def trace(head: bytes, *, close: bool, request_id: bytes = b"") -> bytes:
    """Answer a TRACE that may be passed on no further with what was received, but for what is nobody's business."""
    shown = [line for line in head.split(b"\r\n") if line.partition(b":")[0].lower() not in _SECRETS]
    return _ok([b"Content-Type: message/http"], b"\r\n".join(shown), close, request_id)


def _ok(fields: list[bytes], body: bytes, close: bool, request_id: bytes) -> bytes:
    lines = [
        b"HTTP/1.1 200 OK",
        b"Date: " + formatdate(usegmt=True).encode(),
        *fields,
        b"Content-Length: %d" % len(body),
    ]
    if request_id:
        lines.append(b"X-Request-Id: " + request_id)
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", body])
