"""Fields that were meant for the hop between us and an instance."""

from __future__ import annotations

from tests.hostile.rows import OK_SENT, WHOLE, Response, of_length

OF_THIS_HOP = (
    b"Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: x\r\nProxy-Authenticate: Basic\r\nHTTP2-Settings: AA\r\n"
)


def dropped(name: str, fields: bytes, *, kept: bool = True) -> Response:
    """Name fields of which nothing reaches the client."""
    return Response(name, of_length(b"ok", fields), OK_SENT, WHOLE, kept=kept)


ROWS = [
    dropped("close", b"Connection: close\r\n", kept=False),
    dropped("close in a list", b"Connection: x, CLOSE\r\n", kept=False),
    dropped("close in the second field", b"Connection: keep-alive\r\nConnection: close\r\n", kept=False),
    dropped("what Connection names", b"Connection: X-Mine, Set-Cookie\r\nX-Mine: 1\r\nSet-Cookie: a\r\n"),
    dropped("what Connection names and needs", b"Connection: Content-Length\r\n"),
    dropped("fields of this hop", OF_THIS_HOP),
    dropped("an offer of HTTP/2", b"Connection: Upgrade\r\nUpgrade: h2,h2c\r\n"),
    dropped("an offer that Connection does not name", b"Upgrade: foo\r\n"),
    Response(
        "a Via of somebody before us stays",
        of_length(b"ok", b"Via: 1.0 cache\r\n"),
        OK_SENT.replace(b"Via", b"Via: 1.0 cache\r\nVia"),
        WHOLE,
    ),
]
