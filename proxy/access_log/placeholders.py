"""The fields of a line of text: what each placeholder of a template writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.access_log.record import find_header
from proxy.access_log.values import apache_text, clf_time, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.access_log.record import Record
    from proxy.access_log.redaction import Redaction
    from proxy.http.heads import RequestHead

    Placeholder = Callable[[Record], str]

# The names that users know, which are the keys of a JSON line in their order.
FIELDS = (
    "time",
    "client",
    "listener",
    "method",
    "host",
    "target",
    "protocol",
    "status",
    "service",
    "endpoint",
    "address",
    "attempts",
    "reused",
    "received_bytes",
    "sent_bytes",
    "first_byte_seconds",
    "duration_seconds",
    "own_seconds",
    "downstream_end",
    "upstream_end",
    "request_id",
    "user_agent",
    "user",
    "tls_version",
    "tls_cipher",
    "error",
)

NOTHING = "-"


def protocol(request: RequestHead) -> str:
    """Return what the client spoke, as in a request line; TCP where nobody looked."""
    if request.minor_version < 0:
        return "TCP"
    return "HTTP/1.1" if request.minor_version else "HTTP/1.0"


def field(name: str, redaction: Redaction) -> Placeholder:
    """Return what writes one of FIELDS."""
    if name == "target":
        return target(redaction)
    if name == "user_agent":
        return header(b"user-agent", redaction)
    return _OF_RECORD[name]


def target(redaction: Redaction) -> Placeholder:
    """Return what writes the request's target."""
    redact = redaction.target

    def write(record: Record) -> str:
        request = record.request
        return NOTHING if request is None else apache_text(redact(request.target))

    return write


def header(name: bytes, redaction: Redaction) -> Placeholder:
    """Return what writes the value of a request's header; the name in lower case."""
    if name == b"host" and not redaction.covers(name):
        return _host  # which is no longer among the fields
    redact = redaction.header

    def write(record: Record) -> str:
        value = None if record.request is None else find_header(record.request.fields, name)
        return NOTHING if value is None else apache_text(redact(name, value))

    return write


def request_line(redaction: Redaction) -> Placeholder:
    """Return what writes the request's line, as CLF has it."""
    redact = redaction.target

    def write(record: Record) -> str:
        request = record.request
        if request is None:
            return NOTHING
        return f"{apache_text(request.method)} {apache_text(redact(request.target))} {protocol(request)}"

    return write


def date(record: Record) -> str:
    """Write the time as CLF has it."""
    return clf_time(record.time)


def content(record: Record) -> str:
    """Write the bytes sent as CLF has them: none is `-`."""
    return str(record.sent or NOTHING)


def _host(record: Record) -> str:
    return NOTHING if record.request is None else apache_text(record.request.authority)


_OF_RECORD: dict[str, Placeholder] = {
    "time": lambda record: rfc3339(record.time),
    "client": lambda record: apache_text(record.client),
    "listener": lambda record: apache_text(record.listener),
    "method": lambda record: NOTHING if record.request is None else apache_text(record.request.method),
    "host": _host,
    "protocol": lambda record: NOTHING if record.request is None else protocol(record.request),
    "status": lambda record: str(record.status or NOTHING),
    "service": lambda record: apache_text(record.service),
    "endpoint": lambda record: apache_text(record.endpoint),
    "address": lambda record: apache_text(record.address),
    "attempts": lambda record: str(record.attempts),
    "reused": lambda record: "true" if record.reused else "false",
    "received_bytes": lambda record: str(record.received),
    "sent_bytes": lambda record: str(record.sent),
    "first_byte_seconds": lambda record: NOTHING if record.first_byte is None else f"{record.first_byte:.6f}",
    "duration_seconds": lambda record: f"{record.duration:.6f}",
    "own_seconds": lambda record: f"{record.own:.6f}",
    "downstream_end": lambda record: apache_text(record.downstream_end),
    "upstream_end": lambda record: apache_text(record.upstream_end),
    "request_id": lambda record: apache_text(record.request_id),
    "user": lambda record: apache_text(record.user),
    "tls_version": lambda record: apache_text(record.tls_version),
    "tls_cipher": lambda record: apache_text(record.tls_cipher),
    "error": lambda record: apache_text(record.error),
}
