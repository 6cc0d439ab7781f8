"""What there is to say of one exchange: its numbers, its names, and why it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.http.heads import RequestHead
    from proxy.tls.secured import Secured

# Why an exchange ended as it did, in one word a side; docs/access_log.md says what each means.
DOWNSTREAM_ENDS = ("complete", "left", "timeout", "malformed", "refused", "broken", "cut")
UPSTREAM_ENDS = (
    "complete",
    "none",
    "unconnected",
    "reset",
    "timeout",
    "malformed",
    "aborted",
    "overload",
    "unavailable",
)

_COLON = ord(":")


class Record:
    """One exchange, filled in while it lasts by whoever knows, and written when it is over.

    Text is empty where there is nothing to say. Times are in seconds, sizes in bytes.
    """

    __slots__ = (
        "address",
        "attempts",
        "client",
        "downstream_end",
        "duration",
        "endpoint",
        "error",
        "first_byte",
        "listener",
        "own",
        "raw",
        "received",
        "request",
        "request_id",
        "reused",
        "sent",
        "service",
        "status",
        "time",
        "tls_cipher",
        "tls_version",
        "upstream_end",
        "user",
    )

    def __init__(self) -> None:
        self.time = 0.0  # when the request's head was read, since 1970
        self.client = ""  # the client's address without its port; none on a unix socket
        self.listener = ""  # the bound address
        self.service = ""
        self.endpoint = ""  # the instance asked last, and its host:port
        self.address = ""
        self.attempts = 0  # tries made, 0 when nobody was asked
        self.request: RequestHead | None = None  # None when the head could not be read
        self.status = 0  # sent to the client, 0 if none
        self.user = b""  # whose password the request had
        self.request_id = ""
        self.received = 0  # content from the client and to the client; of a tunnel all bytes
        self.sent = 0
        self.first_byte: float | None = None  # from the head until the first byte of the instance's answer
        self.duration = 0.0  # from the head to the end
        self.own = 0.0  # of that what we took ourselves, not waiting for anybody
        self.downstream_end = "complete"  # one of DOWNSTREAM_ENDS
        self.upstream_end = "none"  # one of UPSTREAM_ENDS
        self.reused = False  # the connection to the instance had been used before
        self.raw = False  # a connection of a TCP listener, which has no status
        self.tls_version = ""  # TLSv1.3, and the cipher; none on a listener without TLS
        self.tls_cipher = ""
        self.error = ""  # the sentence of an answer of ours

    def note_tls(self, secured: Secured | None) -> None:
        """Keep what was agreed on with the client."""
        if secured is not None:
            self.tls_version, self.tls_cipher = secured.version, secured.cipher

    def __repr__(self) -> str:
        return f"<Record {self.request} {self.status} {self.downstream_end}/{self.upstream_end}>"

    def failed(self) -> bool:
        """Tell whether the exchange went other than well, so that sampling must not lose it."""
        return (
            (not 0 < self.status < 500 and not self.raw)
            or self.downstream_end != "complete"
            # An instance that nobody asked is not a response that went well either.
            or self.upstream_end != "complete"
        )


def find_header(fields: list[bytes], name: bytes) -> bytes | None:
    """Return the value of the first of the lines that has this name, given in lower case; None if there is none."""
    end = len(name)
    for line in fields:
        # Where the colon is tells all but one or two of a browser's dozen apart: half the time of comparing each name.
        if len(line) > end and line[end] == _COLON and line[:end].lower() == name:
            return line[end + 1 :].strip(b" \t")
    return None
