"""Content-Length, Transfer-Encoding, or the end of the connection: one of them, once."""

from __future__ import annotations

from tests.hostile.rows import (
    CHUNKED,
    CLOSE,
    OK,
    OK_SENT,
    PLAIN,
    VIA,
    VIA_1_0,
    WHOLE,
    Asked,
    Peer,
    Response,
    answering,
    answers,
    asks,
    bad,
    get,
)

EMPTY = b"0\r\n\r\n"
KEPT_OLD = Asked(get(b"Connection: keep-alive\r\n", b"1.0"), asks(b"GET /", old=True))


def length(value: bytes, body: bytes = b"x") -> bytes:
    return answering(b"Content-Length: " + value + b"\r\n", body)


def coding(value: bytes, body: bytes = EMPTY) -> bytes:
    return answering(b"Transfer-Encoding: " + value + b"\r\n", body)


def to_the_end(name: str, sent: bytes, reaches: bytes, *, old: bool = False) -> Response:
    """Name a response that the end of the connection ends, for a client of HTTP/1.1 or (`old`) of HTTP/1.0."""
    asked = KEPT_OLD if old else PLAIN
    return Response(name, sent, reaches, WHOLE, asked, then=Peer.finish, kept=False, ends=old)


ROWS = [
    bad("two lengths", answering(b"Content-Length: 1\r\nContent-Length: 2\r\n", b"ab")),
    bad("the same length twice", answering(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"a")),
    bad("a list of lengths", length(b"1, 1")),
    bad("a length with a sign", length(b"+1")),
    bad("a negative length", length(b"-1")),
    bad("a hexadecimal length", length(b"0x1")),
    bad("a length with an underscore", length(b"1_0", b"0123456789")),
    bad("a length of other digits", length("\N{ARABIC-INDIC DIGIT ONE}".encode())),
    bad("a length with a blank in it", length(b"1 0")),
    bad("a length that overflows", length(b"18446744073709551617")),
    bad("an empty length", answering(b"Content-Length:\r\n")),
    bad("length and coding", answering(b"Content-Length: 5\r\n" + CHUNKED, EMPTY)),
    bad("coding and length", answering(CHUNKED + b"Content-Length: 5\r\n", EMPTY)),
    bad("coding and a length of 0", answering(CHUNKED + b"Content-Length: 0\r\n", EMPTY)),
    bad(
        "length and coding, of which Connection names one",
        answering(b"Connection: Content-Length\r\nContent-Length: 5\r\n" + CHUNKED, EMPTY),
    ),
    bad("another coding", coding(b"gzip", b"")),
    bad("another coding before", coding(b"gzip, chunked")),
    bad("another coding behind", coding(b"chunked, gzip")),
    bad("identity", coding(b"identity", b"x")),
    bad("identity beside a length", answering(b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n", b"x")),
    bad("chunked in two fields", answering(CHUNKED * 2, EMPTY)),
    bad("chunked twice in a field", coding(b"chunked, chunked")),
    bad("an empty coding", answering(b"Transfer-Encoding:\r\n", b"x")),
    bad("a coding that is misspelt", coding(b"xchunked")),
    bad("a coding with a vertical tab", coding(b"\x0bchunked")),
    bad("a coding with a blank before the colon", answering(b"Transfer-Encoding : chunked\r\n", EMPTY)),
    bad("a coding in HTTP/1.0", answering(CHUNKED, EMPTY, b"1.0")),
    bad("a coding in HTTP/1.0 that is kept", answering(b"Connection: keep-alive\r\n" + CHUNKED, EMPTY, b"1.0")),
    Response(
        "a length with zeros before",
        length(b"010", b"0123456789"),
        answers(b"Content-Length: 10\r\n", b"0123456789"),
        WHOLE,
    ),
    Response("a length with blanks around", length(b"\t 2 ", b"ok"), OK_SENT, WHOLE),
    Response("a coding in capitals", coding(b"CHUNKED"), answers(CHUNKED, EMPTY), WHOLE),
    Response(
        "a coding with an underscore in its name",
        answering(b"Transfer_Encoding: chunked\r\nContent-Length: 2\r\n", b"ok"),
        answers(b"Transfer_Encoding: chunked\r\nContent-Length: 2\r\n", b"ok"),
        WHOLE,
    ),
    Response("nothing, of a length", length(b"0", b""), answers(b"Content-Length: 0\r\n"), WHOLE),
    Response(
        "a body that is a response",
        length(b"%d" % len(OK), OK),
        answers(b"Content-Length: %d\r\n" % len(OK), OK),
        WHOLE,
    ),
    Response("a body that is the end of chunks", length(b"5", EMPTY), answers(b"Content-Length: 5\r\n", EMPTY), WHOLE),
    Response(
        "chunks that hold a response",
        coding(b"chunked", b"%x\r\n" % len(OK) + OK + b"\r\n" + EMPTY),
        answers(CHUNKED, b"%x\r\n" % len(OK) + OK + b"\r\n" + EMPTY),
        WHOLE,
    ),
    to_the_end("neither length nor coding", answering(b"", b"some"), answers(CHUNKED, b"4\r\nsome\r\n" + EMPTY)),
    to_the_end(
        "neither, and told to be kept",
        answering(b"Connection: keep-alive\r\n", b"some"),
        answers(CHUNKED, b"4\r\nsome\r\n" + EMPTY),
    ),
    to_the_end("neither, and told to be closed", answering(CLOSE, b"some"), answers(CHUNKED, b"4\r\nsome\r\n" + EMPTY)),
    to_the_end(
        "neither, of HTTP/1.0", answering(b"", b"some", b"1.0"), answers(CHUNKED, b"4\r\nsome\r\n" + EMPTY, VIA_1_0)
    ),
    to_the_end(
        "neither, of HTTP/1.0 and told to be kept",
        answering(b"Connection: keep-alive\r\n", b"some", b"1.0"),
        answers(CHUNKED, b"4\r\nsome\r\n" + EMPTY, VIA_1_0),
    ),
    to_the_end("neither, and no content", answering(b""), answers(CHUNKED, EMPTY)),
    to_the_end(
        "neither, and a second response",
        answering(b"", OK),
        answers(CHUNKED, b"%x\r\n" % len(OK) + OK + b"\r\n" + EMPTY),
    ),
    to_the_end("neither, for HTTP/1.0", answering(b"", b"some"), answers(CLOSE, b"some"), old=True),
    Response(
        "chunks for HTTP/1.0",
        coding(b"chunked", b"4\r\nsome\r\n0\r\nX: y\r\n\r\n"),
        answers(CLOSE, b"some"),
        WHOLE,
        KEPT_OLD,
        ends=True,
    ),
    Response(
        "a length for HTTP/1.0",
        OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n" + VIA + b"ok",
        WHOLE,
        KEPT_OLD,
    ),
]
