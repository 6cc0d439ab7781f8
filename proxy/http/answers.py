"""The answers that pointsman gives by itself: a refusal, a failure, nobody to ask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.edge.header_rules import HeaderRules
    from proxy.http.heads import RequestHead

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_ALLOW = b"Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
_SECRETS = frozenset([b"authorization", b"cookie", b"proxy-authorization"])
RETRY_AFTER = 1  # seconds; what a client is told to wait when a service has nobody to answer


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of ours, without what hangs on the request and its connection.

    `fields` are lines without their ends. `error` is why it is no success, for the access log; empty when the answer is
    what the configuration wants. `rules` are the route's for headers.
    """

    status: int
    body: bytes = b""
    content_type: bytes = b""  # b"" where there is no body
    fields: tuple[bytes, ...] = ()
    error: str = ""
    rules: HeaderRules | None = None

    def written(
        self,
        *,
        close: bool,
        request: RequestHead | None = None,
        service: str = "",
        rules: HeaderRules | None = None,
    ) -> bytes:
        """Write it to a client; `close` when the connection ends with it, `rules` are the listener's for headers.

        There is no request where none was understood.
        """
        lines = [
            b"HTTP/1.1 %d %b" % (self.status, _REASONS.get(self.status, b"")),
            b"Date: " + formatdate(usegmt=True).encode(),
        ]
        if self.content_type:
            lines.append(b"Content-Type: " + self.content_type)
        if self.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):  # RFC 9110 8.6
            lines.append(b"Content-Length: %d" % len(self.body))
        lines += self.fields
        if request is not None and request.request_id:
            lines.append(b"X-Request-Id: " + request.request_id)
        for each in (self.rules, rules):
            if each is not None:
                lines[1:] = each.applied(lines[1:], request, service)
        if close:
            lines.append(b"Connection: close")
        to_head = request is not None and request.method == b"HEAD"
        return b"\r\n".join([*lines, b"", b"" if to_head else self.body])


def refusal(status: int, error: str, *, service: str = "", fields: tuple[bytes, ...] = ()) -> Answer:
    """Make an answer with a short JSON body that says what is wrong, and of which service.

    A 503 bears Retry-After: the state is a passing one, and the registry or a probe may end it at any moment.
    """
    body = json.dumps({"error": error, "service": service} if service else {"error": error}).encode() + b"\n"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields = (b"Retry-After: %d" % RETRY_AFTER, *fields)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        fields = (_ALLOW, *fields)
    return Answer(status, body, b"application/json", (b"Cache-Control: no-store", *fields), error)


# To an OPTIONS that may be passed on no further (RFC 9110 7.6.2): this is what is understood here.
OPTIONS = Answer(200, fields=(_ALLOW,))


def trace(head: bytes) -> Answer:
    """Answer a TRACE that may be passed on no further with what was received, but for what is nobody's business."""
    shown = [line for line in head.split(b"\r\n") if line.partition(b":")[0].lower() not in _SECRETS]
    return Answer(200, b"\r\n".join(shown), b"message/http")
