"""Bytes with two readings: where one side sees one request, the other would see two."""

from __future__ import annotations

from tests.hostile.rows import (
    CHUNKED,
    CLOSE,
    GET,
    HOST,
    asks,
    asks_chunked,
    asks_get,
    asks_post,
    chunked,
    get,
    passed,
    post,
    refused,
)

EVIL = b"GET /evil HTTP/1.1\r\n" + HOST + b"\r\n"
ASKS_EVIL = asks(b"GET /evil")
LENGTH = b"Content-Length: %d\r\n" % len(EVIL)
CUT = b"GET /evil HTTP/1.1\r\nX: "  # swallows the first line of whatever comes next


def both(length: int, body: bytes, *, first: bytes = b"", coding: bytes = CHUNKED) -> bytes:
    """Write a request with both framings."""
    framing = b"Content-Length: %d\r\n" % length
    return post(first + framing + coding if not first else first + framing, body)


ROWS = [
    # Content-Length against Transfer-Encoding, in both orders.
    refused("CL.TE", both(5 + len(EVIL), b"0\r\n\r\n" + EVIL)),
    refused("CL.TE with half a request", both(5 + len(CUT), b"0\r\n\r\n" + CUT)),
    refused("CL.TE of the same length", both(5, b"0\r\n\r\n")),
    refused("CL.TE with nothing for a length", both(0, b"0\r\n\r\n" + EVIL)),
    refused("CL.TE that closes", post(CLOSE + b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n" + EVIL)),
    refused("CL.TE of GET", get(b"Content-Length: 5\r\n" + CHUNKED) + b"0\r\n\r\n"),
    refused("TE.CL", both(4, b"%x\r\n" % len(EVIL) + EVIL + b"\r\n0\r\n\r\n", first=CHUNKED)),
    refused("TE.CL with nothing for a length", both(0, b"0\r\n\r\n", first=CHUNKED)),
    refused("CL.TE with a bad length", post(b"Content-Length: +5\r\n" + CHUNKED, b"0\r\n\r\n" + EVIL)),
    refused("CL.TE with a bad coding", both(5, b"0\r\n\r\n" + EVIL, coding=b"Transfer-Encoding: xchunked\r\n")),
    refused("CL.TE with a folded coding", both(5, b"0\r\n\r\n" + EVIL, coding=b"Transfer-Encoding:\r\n chunked\r\n")),
    refused("CL.TE with a coding of commas", both(5, b"0\r\n\r\n" + EVIL, coding=b"Transfer-Encoding: , chunked\r\n")),
    refused(
        "CL.TE with a coding behind a vertical tab",
        both(5, b"0\r\n\r\n" + EVIL, coding=b"Transfer-Encoding:\x0bchunked\r\n"),
    ),
    refused(
        "CL.TE with a blank before the colon", both(5, b"0\r\n\r\n" + EVIL, coding=b"Transfer-Encoding : chunked\r\n")
    ),
    refused(
        "CL.TE of which Connection names one",
        both(5, b"0\r\n\r\n" + EVIL, coding=b"Connection: Content-Length\r\n" + CHUNKED),
    ),
    refused(
        "CL.TE of which Connection names the other",
        both(5, b"0\r\n\r\n" + EVIL, coding=b"Connection: Transfer-Encoding\r\n" + CHUNKED),
    ),
    refused("TE.TE", post(CHUNKED + b"Transfer-encoding: cow\r\n", b"0\r\n\r\n" + EVIL)),
    refused("TE.TE the other way round", post(b"Transfer-Encoding: cow\r\n" + CHUNKED, b"0\r\n\r\n" + EVIL)),
    refused("TE.TE in one field", post(b"Transfer-Encoding: identity, chunked, identity\r\n", b"0\r\n\r\n" + EVIL)),
    refused("CL.CL", post(b"Content-Length: 0\r\n" + LENGTH, EVIL)),
    refused("CL.CL the other way round", post(LENGTH + b"Content-Length: 0\r\n", EVIL)),
    refused(
        "a coding of HTTP/1.0 that is kept", post(b"Connection: keep-alive\r\n" + CHUNKED, b"0\r\n\r\n" + EVIL, b"1.0")
    ),
    # One reading for us, and the instance has no other: what we did not count in is a request of its own.
    passed(
        "a length of nothing, and a request",
        post(b"Content-Length: 0\r\n", EVIL),
        asks_post(b"Content-Length: 0\r\n"),
        ASKS_EVIL,
    ),
    passed("no length, and a request", post(b"", EVIL), asks_post(), ASKS_EVIL),
    refused(
        "no length, and a body",
        post(b"Content-Type: text/plain\r\n", b"a=b\r\n\r\n"),
        behind=(asks_post(b"Content-Type: text/plain\r\n"),),
    ),
    refused(
        "a length too short for its body",
        post(b"Content-Length: 3\r\n", b"abcde" + GET),
        501,
        behind=(asks_post(b"Content-Length: 3\r\n", b"abc"),),
    ),
    passed("a body that is a request", post(LENGTH, EVIL) + GET, asks_post(LENGTH, EVIL), asks_get()),
    passed(
        "a body that is half a request",
        post(b"Content-Length: %d\r\n" % len(CUT), CUT) + GET,
        asks_post(b"Content-Length: %d\r\n" % len(CUT), CUT),
        asks_get(),
    ),
    passed(
        "a body that is an empty line",
        post(b"Content-Length: 4\r\n", b"\r\n\r\n") + EVIL,
        asks_post(b"Content-Length: 4\r\n", b"\r\n\r\n"),
        ASKS_EVIL,
    ),
    passed("GET with a body", get(LENGTH) + EVIL + GET, asks_get(LENGTH, EVIL), asks_get()),
    passed(
        "GET with chunks",
        get(CHUNKED) + b"%x\r\n" % len(EVIL) + EVIL + b"\r\n0\r\n\r\n" + GET,
        asks_chunked(b"%x\r\n" % len(EVIL) + EVIL + b"\r\n0\r\n\r\n", b"GET /"),
        asks_get(),
    ),
    passed(
        "HEAD with a body",
        get(LENGTH).replace(b"GET", b"HEAD") + EVIL + GET,
        asks_get(LENGTH, EVIL).replace(b"GET", b"HEAD", 1),
        asks_get(),
    ),
    passed(
        "OPTIONS with a body",
        post(LENGTH, EVIL).replace(b"POST", b"OPTIONS") + GET,
        asks(b"OPTIONS /", LENGTH, body=EVIL),
        asks_get(),
    ),
    passed(
        "DELETE with a body",
        post(LENGTH, EVIL).replace(b"POST", b"DELETE") + GET,
        asks(b"DELETE /", LENGTH, body=EVIL),
        asks_get(),
    ),
    passed("no chunk, and a request", chunked(b"0\r\n\r\n" + EVIL), asks_chunked(b"0\r\n\r\n"), ASKS_EVIL),
    passed(
        "trailers, and a request", chunked(b"0\r\nX: y\r\n\r\n" + EVIL), asks_chunked(b"0\r\nX: y\r\n\r\n"), ASKS_EVIL
    ),
    refused("the end of chunks twice", chunked(b"0\r\n\r\n0\r\n\r\n" + EVIL), behind=(asks_chunked(b"0\r\n\r\n"),)),
    passed(
        "an empty line too many behind a body",
        post(b"Content-Length: 1\r\n", b"x\r\n") + EVIL,
        asks_post(b"Content-Length: 1\r\n", b"x"),
        ASKS_EVIL,
    ),
    refused(
        "a line feed behind a body",
        post(b"Content-Length: 1\r\n", b"x\n") + EVIL,
        behind=(asks_post(b"Content-Length: 1\r\n", b"x"),),
    ),
    # Requests that hide in each other.
    refused("a request in a field's value", get(b"X: y\nGET /evil HTTP/1.1\r\n") + GET),
    refused("a request behind a bare end of a head", b"GET / HTTP/1.1\r\n" + HOST + b"\n" + EVIL),
    refused("an end of a head in a field's value", get(b"X: \r\r\n\r\n") + EVIL),
    refused("half a request, and a good one", CUT.replace(b"X: ", b"X y") + GET, 400),
    refused("half a request, and a second Host", b"GET /evil HTTP/1.1\r\n" + HOST + b"X: " + GET),
    passed(
        "half a request that swallows one",
        b"GET /evil HTTP/1.1\r\nX: " + GET,
        asks(b"GET /evil", b"X: GET / HTTP/1.1\r\n"),
    ),
    passed("three in a row", GET + EVIL + GET, asks_get(), ASKS_EVIL, asks_get()),
    passed("empty lines between", GET + b"\r\n\r\n" + EVIL, asks_get(), ASKS_EVIL),
    refused("a bad one between", GET + b"X" + EVIL.replace(b" ", b"\t", 1) + GET, behind=(asks_get(),)),
    refused(
        "a bad one behind chunks",
        chunked(b"1\r\nx\r\n0\r\n\r\n") + get(b"X : y\r\n") + GET,
        behind=(asks_chunked(b"1\r\nx\r\n0\r\n\r\n"),),
    ),
    passed("a last one between", GET + get(CLOSE) + EVIL, asks_get(), asks_get(), ends=True),
    refused("an absolute target that is another's", b"GET http://bank/ HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    passed("fields of HTTP/2", get(b"X-Method: a\r\n") + EVIL, asks_get(b"X-Method: a\r\n"), ASKS_EVIL),
    refused("pseudo-fields of HTTP/2", get(b":authority: bank\r\n:path: /evil\r\n")),
]
