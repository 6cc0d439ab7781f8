"""Content-Length: plain digits, once, or nothing."""

from __future__ import annotations

from tests.hostile.rows import asks_post, passed, post, refused


def length(value: bytes, body: bytes = b"x") -> bytes:
    return post(b"Content-Length: " + value + b"\r\n", body)


FIVE = asks_post(b"Content-Length: 5\r\n", b"abcde")

ROWS = [
    refused("two different lengths", post(b"Content-Length: 1\r\nContent-Length: 2\r\n", b"xx")),
    refused("the same length twice", post(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"x")),
    refused("the same length twice, in two cases", post(b"Content-Length: 1\r\nCONTENT-LENGTH: 1\r\n", b"x")),
    refused("a list of lengths", length(b"1, 1")),
    refused("a list of two different lengths", length(b"1, 2", b"xx")),
    refused("a list that ends with a comma", length(b"1,")),
    refused("a length with a sign", length(b"+1")),
    refused("a negative length", length(b"-1")),
    refused("a negative nothing", length(b"-0")),
    refused("a hexadecimal length", length(b"0x1")),
    refused("an octal length", length(b"0o1")),
    refused("a length with an exponent", length(b"1e0")),
    refused("a length with a point", length(b"1.0")),
    refused("a length with an underscore", length(b"1_0")),
    refused("a length with a blank in it", length(b"1 0")),
    refused("a length with a letter behind", length(b"1x")),
    refused("a length in quotes", length(b'"1"')),
    refused("a length with a parameter", length(b"1;a=b")),
    refused("a length of other digits", length("\N{ARABIC-INDIC DIGIT ONE}".encode())),
    refused("a length of raised digits", length("\N{SUPERSCRIPT TWO}".encode())),
    refused("a length with a vertical tab", length(b"1\x0b")),
    refused("a length with NUL behind", length(b"1\x00")),
    refused("a length with a letter that is blank in Latin-1", length(b"\xa01")),
    refused("a length that overflows 64 bits", length(b"18446744073709551617")),
    refused("a length that overflows 64 bits with a sign", length(b"9223372036854775808")),
    refused("a length of zeros without end", length(b"0" * 100 + b"1")),
    refused("an empty length", post(b"Content-Length:\r\n")),
    refused("a length folded", post(b"Content-Length:\r\n 1\r\n", b"x")),
    # What is understood is written anew: an instance that reads octal would see 8 bytes here.
    passed(
        "a length with zeros before",
        length(b"0010", b"0123456789"),
        asks_post(b"Content-Length: 10\r\n", b"0123456789"),
    ),
    passed("a length of two zeros", length(b"00", b""), asks_post(b"Content-Length: 0\r\n")),
    passed("blanks and tabs around a length", length(b" \t 5 \t ", b"abcde"), FIVE),
    passed("no blank before a length", post(b"content-length:5\r\n", b"abcde"), FIVE),
    passed("a length with underscores in its name", post(b"Content_Length: 5\r\n"), asks_post()),
    passed("neither length nor coding", post(b""), asks_post()),
]
