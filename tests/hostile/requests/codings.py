"""Transfer-Encoding: `chunked`, once, or nothing."""

from __future__ import annotations

from tests.hostile.rows import CHUNKED, asks_chunked, asks_post, passed, post, refused

EMPTY = b"0\r\n\r\n"


def coding(value: bytes, body: bytes = EMPTY) -> bytes:
    return post(b"Transfer-Encoding: " + value + b"\r\n", body)


ROWS = [
    refused("another coding", coding(b"gzip", b"")),
    refused("another coding before", coding(b"gzip, chunked")),
    refused("another coding behind", coding(b"chunked, identity")),
    refused("identity", coding(b"identity", b"")),
    refused("identity before", coding(b"identity, chunked")),
    refused("identity beside a length", post(b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n", b"x")),
    refused("chunked twice in a field", coding(b"chunked, chunked")),
    refused("chunked in two fields", post(CHUNKED * 2, EMPTY)),
    refused("chunked, and then another", post(CHUNKED + b"Transfer-encoding: x\r\n", EMPTY)),
    refused("another, and then chunked", post(b"Transfer-encoding: x\r\n" + CHUNKED, EMPTY)),
    refused("nothing, and then chunked", post(b"Transfer-Encoding:\r\n" + CHUNKED, EMPTY)),
    refused("an empty coding", coding(b"", b"")),
    refused("a comma before", coding(b", chunked")),
    refused("a comma behind", coding(b"chunked,")),
    refused("a coding with a parameter", coding(b"chunked;q=1")),
    refused("a coding in quotes", coding(b'"chunked"')),
    refused("a coding in apostrophes", coding(b"'chunked'")),
    refused("a coding with a vertical tab", coding(b"\x0bchunked")),
    refused("a coding with a form feed", coding(b"\x0cchunked")),
    refused("a coding with a tab behind", coding(b"chunked\t")),  # which would be allowed (RFC 9110 5.5)
    refused("a coding with NUL behind", coding(b"chunked\x00")),
    refused("a coding with what is blank in Latin-1", coding(b"\xa0chunked")),
    refused("a coding with a next line of Latin-1", coding(b"chunked\x85")),
    refused("a coding that is misspelt", coding(b"xchunked")),
    refused("a coding with more behind", coding(b"chunkedx")),
    refused("a coding in two words", coding(b"chunked chunked")),
    refused("half a coding", coding(b"chunk")),
    refused("a coding with a K that is none", coding("chun\N{KELVIN SIGN}ed".encode())),
    refused("a coding folded", post(b"Transfer-Encoding:\r\n chunked\r\n", EMPTY)),
    refused("a coding folded behind a blank", post(b"Transfer-Encoding: \r\n\tchunked\r\n", EMPTY)),
    refused("a blank before a coding's colon", post(b"Transfer-Encoding : chunked\r\n", EMPTY)),
    refused("a coding behind a bare line feed", post(b"X: y\nTransfer-Encoding: chunked\r\n", EMPTY)),
    refused("a coding behind a bare carriage return", post(b"X: y\rTransfer-Encoding: chunked\r\n", EMPTY)),
    refused("a coding in HTTP/1.0", post(CHUNKED, EMPTY, b"1.0")),
    refused("a coding in HTTP/1.0 that is kept", post(b"Connection: keep-alive\r\n" + CHUNKED, EMPTY, b"1.0")),
    refused("a coding and a length in HTTP/1.0", post(b"Content-Length: 5\r\n" + CHUNKED, EMPTY, b"1.0")),
    passed("a coding in capitals", coding(b"CHUNKED"), asks_chunked(EMPTY)),
    passed("a coding behind a tab", post(b"Transfer-Encoding:\tchunked\r\n", EMPTY), asks_chunked(EMPTY)),
    passed("a coding before a blank", coding(b"chunked "), asks_chunked(EMPTY)),
    passed("a coding's name in capitals", post(b"TRANSFER-ENCODING: chunked\r\n", EMPTY), asks_chunked(EMPTY)),
    passed("a coding with an underscore in its name", post(b"Transfer_Encoding: chunked\r\n"), asks_post()),
    passed(
        "a length with an underscore beside a coding",
        post(CHUNKED + b"Content_Length: 9\r\n", EMPTY),
        asks_chunked(EMPTY),
    ),
]
