"""The status line: a version that we speak, three digits that mean something, a reason without control characters."""

from __future__ import annotations

from tests.hostile.rows import OK, OK_SENT, REFUSED, VIA, VIA_1_0, WHOLE, Peer, Response, bad

OLD = OK.replace(b"1.1", b"1.0")
OLD_SENT = OK_SENT.replace(b"1.1 p", b"1.0 p")


def line(value: bytes) -> bytes:
    return value + b"\r\nContent-Length: 0\r\n\r\n"


def status(name: str, value: bytes, left: bytes, via: bytes = VIA, *, kept: bool = True) -> Response:
    return Response(name, line(value), left + b"\r\nContent-Length: 0\r\n" + via, WHOLE, kept=kept)


ROWS = [
    bad("NUL in the reason", line(b"HTTP/1.1 200 O\x00K")),
    bad("an escape in the reason", line(b"HTTP/1.1 200 \x1b[2J")),
    bad("a carriage return in the reason", line(b"HTTP/1.1 200 O\rK")),
    bad("a line feed in the status line", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    bad("a line feed for a blank", line(b"HTTP/1.1\n200 OK")),
    bad("no digit", line(b"HTTP/1.1 OK")),
    bad("two digits", line(b"HTTP/1.1 20 OK")),
    bad("four digits", line(b"HTTP/1.1 2000 OK")),
    bad("three digits that are none", line(b"HTTP/1.1 2x0 OK")),
    bad("digits of another script", line("HTTP/1.1 2\N{ARABIC-INDIC DIGIT ZERO}0 OK".encode())),
    bad("a sign", line(b"HTTP/1.1 +20 OK")),
    bad("a negative status", line(b"HTTP/1.1 -200 OK")),
    bad("status 0", line(b"HTTP/1.1 000 OK")),
    bad("status 99", line(b"HTTP/1.1 099 OK")),
    bad("status 600", line(b"HTTP/1.1 600 OK")),
    bad("status 999", line(b"HTTP/1.1 999 OK")),
    bad("two blanks", line(b"HTTP/1.1  200 OK")),
    bad("a tab", line(b"HTTP/1.1\t200 OK")),
    bad("a tab behind the status", line(b"HTTP/1.1 200\tOK")),
    bad("no blank", line(b"HTTP/1.1200 OK")),
    bad("no status", line(b"HTTP/1.1")),
    bad("an empty line before", b"\r\n" + OK),
    bad("a blank before", b" " + OK),
    bad("NUL before", b"\x00" + OK),
    bad("HTTP/1.2", line(b"HTTP/1.2 200 OK")),
    bad("HTTP/2.0", line(b"HTTP/2.0 200 OK")),
    bad("HTTP/2", line(b"HTTP/2 200")),
    bad("HTTP/0.9", line(b"HTTP/0.9 200 OK")),
    bad("a version in lower case", line(b"http/1.1 200 OK")),
    bad("a version of two digits", line(b"HTTP/1.10 200 OK")),
    bad("another protocol", line(b"RTSP/1.0 200 OK")),
    bad("radio", line(b"ICY 200 OK")),
    bad("mail", b"220 mail.example.com ESMTP\r\n\r\n"),
    bad("a request", b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"),
    bad("TLS", b"\x15\x03\x01\x00\x02\x02\x0a\r\n\r\n"),
    bad("frames of HTTP/2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n\r\n"),
    Response("no head at all", b"<html>hello</html>", b"", REFUSED, then=Peer.finish, kept=False),
    Response("a line and no more", b"SSH-2.0-OpenSSH_9.2p1\r\n", b"", REFUSED, then=Peer.finish, kept=False),
    status("no reason", b"HTTP/1.1 200", b"HTTP/1.1 200 "),
    status("an empty reason", b"HTTP/1.1 200 ", b"HTTP/1.1 200 "),
    status("a reason beyond ASCII", b"HTTP/1.1 404 Gone fishing \xe9", b"HTTP/1.1 404 Gone fishing \xe9"),
    status("a reason that is a status", b"HTTP/1.1 200 500 OK\t", b"HTTP/1.1 200 500 OK\t"),
    status("a status that nobody knows", b"HTTP/1.1 599 ?", b"HTTP/1.1 599 ?"),
    status("a status of ours", b"HTTP/1.1 502 Bad Gateway", b"HTTP/1.1 502 Bad Gateway"),
    status("HTTP/1.0", b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK", VIA_1_0, kept=False),
    Response("HTTP/1.0 that is kept", OLD.replace(b"OK\r\n", b"OK\r\nConnection: Keep-Alive\r\n"), OLD_SENT, WHOLE),
    Response(
        "HTTP/1.0 that is kept and closed",
        OLD.replace(b"OK\r\n", b"OK\r\nConnection: Keep-Alive, close\r\n"),
        OLD_SENT,
        WHOLE,
        kept=False,
    ),
]
