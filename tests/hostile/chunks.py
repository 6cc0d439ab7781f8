"""Chunks and trailers that are none: whoever sends them, they end the message where they are found."""

from __future__ import annotations

BAD_CHUNKS = {
    "no size": b"\r\nabcde\r\n0\r\n\r\n",
    "a sign": b"+5\r\nabcde\r\n0\r\n\r\n",
    "a negative size": b"-1\r\nabcde\r\n0\r\n\r\n",
    "a prefix": b"0x5\r\nabcde\r\n0\r\n\r\n",
    "no digit": b"g\r\nabcde\r\n0\r\n\r\n",
    "a digit and no digit": b"5x\r\nabcde\r\n0\r\n\r\n",
    "an underscore": b"0_5\r\nabcde\r\n0\r\n\r\n",
    "other digits": "\N{ARABIC-INDIC DIGIT FIVE}\r\nabcde\r\n0\r\n\r\n".encode(),
    "a blank before the size": b" 5\r\nabcde\r\n0\r\n\r\n",
    "a blank behind the size": b"5 \r\nabcde\r\n0\r\n\r\n",
    "a tab behind the size": b"5\t\r\nabcde\r\n0\r\n\r\n",
    "an empty line before": b"\r\n5\r\nabcde\r\n0\r\n\r\n",
    "sixteen digits": b"0000000000000005\r\nabcde\r\n0\r\n\r\n",
    "a size that overflows": b"10000000000000005\r\nabcde\r\n0\r\n\r\n",
    "a size ended by a line feed": b"5\nabcde\r\n0\r\n\r\n",
    "a size ended by a carriage return": b"5\rabcde\r\n0\r\n\r\n",
    "a size ended by two carriage returns": b"5\r\r\nabcde\r\n0\r\n\r\n",
    "NUL behind the size": b"5\x00\r\nabcde\r\n0\r\n\r\n",
    "a semicolon alone": b"5;\r\nabcde\r\n0\r\n\r\n",
    "an extension without a name": b"5;=a\r\nabcde\r\n0\r\n\r\n",
    "an extension with a bracket": b"5;a[\r\nabcde\r\n0\r\n\r\n",
    "a line feed in an extension": b"5;a=\nb\r\nabcde\r\n0\r\n\r\n",
    "a line feed behind a semicolon": b"5;\nabcde\r\n0\r\n\r\n",
    "a carriage return in an extension": b"5;a\rb\r\nabcde\r\n0\r\n\r\n",
    "a carriage return before an extension": b"5\r;a\r\nabcde\r\n0\r\n\r\n",
    "NUL in an extension": b"5;\x00\r\nabcde\r\n0\r\n\r\n",
    "an open quote": b'5;a="b\r\nabcde\r\n0\r\n\r\n',
    "a line end in quotes": b'5;a="\r\nabcde\r\n0\r\n\r\n"\r\nabcde\r\n0\r\n\r\n',
    "an endless extension": b"5;" + b"a" * 300,
    "content longer than told": b"5\r\nabcdef\r\n0\r\n\r\n",
    "content longer than told by two": b"5\r\nabcdexx0\r\n\r\n",
    "content ended by a line feed": b"5\r\nabcde\n0\r\n\r\n",
    "content ended by a carriage return": b"5\r\nabcde\r0\r\n\r\n",
    "content without an end": b"5\r\nabcde0\r\n\r\n",
    "content shorter than told": b"5\r\nabc\r\n0\r\n\r\n",
    "a last chunk of another size": b"+0\r\n\r\n",
    "a last chunk with a sign": b"-0\r\n\r\n",
    "a last chunk ended by a line feed": b"0\n\r\n",
    "an end that is a line feed": b"0\r\n\n",
    "an end that is a carriage return and more": b"0\r\n\rX\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "a folded first trailer": b"0\r\n A: b\r\n\r\n",
    "a trailer without a name": b"0\r\n: b\r\n\r\n",
    "a blank before a trailer's colon": b"0\r\nA : b\r\n\r\n",
    "a trailer without a colon": b"0\r\nA\r\n\r\n",
    "a request for a trailer": b"0\r\nGET /evil HTTP/1.1\r\nHost: shop\r\n\r\n",
    "NUL in a trailer": b"0\r\nA: \x00\r\n\r\n",
    "a carriage return in a trailer": b"0\r\nA: b\rC: d\r\n\r\n",
    "trailers ended by line feeds": b"0\r\nA: b\n\n",
    "endless trailers": b"0\r\n" + b"A: b\r\n" * 2000,
    "endless trailers that are dropped": b"0\r\n" + b"Host: b\r\n" * 2000,
    "an endless trailer": b"0\r\nA: " + b"b" * 9000,
}


def good_part(bad: bytes) -> bytes:
    """Return the content that a reader may have handed on before it finds the fault."""
    head, _, rest = bad.partition(b"\r\n")
    if head != b"5" or not rest.startswith(b"abc"):
        return b""
    return rest[:5]
