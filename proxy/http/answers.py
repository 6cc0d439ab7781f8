"""The answers that pointsman gives by itself: a refusal, a failure, nobody to ask."""

from __future__ import annotations

import json
from http import HTTPStatus

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
RETRY_AFTER = 1  # seconds; what a client is told to wait when a service has nobody to answer


def answer(status: int, error: str, *, service: str = "", close: bool, to_head: bool = False) -> bytes:
    """Write a response with a short JSON body that says what is wrong, and of which service.

    A 503 bears Retry-After: the state is a passing one, and the registry or a probe may end it at any moment.
    """
    body = json.dumps({"error": error, "service": service} if service else {"error": error}).encode() + b"\n"
    lines = [
        b"HTTP/1.1 %d %b" % (status, _REASONS[status]),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(b"Retry-After: %d" % RETRY_AFTER)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append(b"Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b"" if to_head else body])
