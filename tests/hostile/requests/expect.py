"""Expect: 100-continue or a refusal; and whatever it says, the body is where its length says it is."""

from __future__ import annotations

from tests.hostile.rows import CHUNKED, GET, Request, asks_chunked, asks_get, asks_post, get, passed, post, refused

EXPECT = b"Expect: 100-continue\r\n"
ONE = b"Content-Length: 1\r\n"
POST_ONE = asks_post(ONE, b"x")


def expecting(value: bytes) -> bytes:
    return post(b"Expect: " + value + b"\r\n" + ONE, b"x")


ROWS: list[Request] = [
    refused("an unknown expectation", expecting(b"200-ok"), 417),
    refused("an empty expectation", expecting(b""), 417),
    refused("an expectation with more before", expecting(b"y 100-continue"), 417),
    refused("an expectation with more behind", expecting(b"100-continue-not"), 417),
    refused("an expectation with a parameter", expecting(b"100-continue;a=b"), 417),
    refused("an expectation twice in a field", expecting(b"100-continue, 100-continue"), 417),
    refused("a known and an unknown expectation", post(EXPECT + b"Expect: x\r\n" + ONE, b"x"), 417),
    refused("an unknown expectation of HTTP/1.0", post(b"Expect: x\r\n" + ONE, b"x", b"1.0"), 417),
    refused("a control character in an expectation", expecting(b"\x01100-continue")),
    refused("an expectation folded", post(b"Expect:\r\n 100-continue\r\n" + ONE, b"x")),
    passed("an expectation with the body already there", post(EXPECT + ONE, b"x"), POST_ONE),
    passed("an expectation in capitals", expecting(b"100-CONTINUE"), POST_ONE),
    passed("the same expectation twice", post(EXPECT * 2 + ONE, b"x"), POST_ONE),
    passed("an expectation without a body", get(EXPECT), asks_get()),
    passed("an expectation without a body, and another request", get(EXPECT) + GET, asks_get(), asks_get()),
    passed(
        "an expectation with an empty body",
        post(EXPECT + b"Content-Length: 0\r\n"),
        asks_post(b"Content-Length: 0\r\n"),
    ),
    passed(
        "an expectation with chunks",
        post(EXPECT + CHUNKED, b"1\r\nx\r\n0\r\n\r\n"),
        asks_chunked(b"1\r\nx\r\n0\r\n\r\n"),
    ),
    passed("an expectation, its body, and another request", post(EXPECT + ONE, b"x") + GET, POST_ONE, asks_get()),
    # A front that waits for no 100 and an instance that does would take the body for a request.
    passed(
        "an expectation whose body is a request",
        post(EXPECT + b"Content-Length: %d\r\n" % len(GET), GET + GET),
        asks_post(b"Content-Length: %d\r\n" % len(GET), GET),
        asks_get(),
    ),
]
