"""The heads that clients and instances send, each also in thousands that differ in one line."""

from __future__ import annotations

# More than the readers remember, so that none is known when its turn comes again; tests/bench/micro sees to it.
DIFFERENT = 8192

_BROWSER = b"""\
Host: shop.example.org
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Accept-Language: en-GB,en;q=0.5
Accept-Encoding: gzip, deflate, br, zstd
Referer: https://shop.example.org/catalogue?page=3
Connection: keep-alive
Cookie: session=0b7a4c9e5d1f4f0c9a52; theme=dark; consent=1.2.3
Upgrade-Insecure-Requests: 1
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: same-origin
"""
_ANSWER = b"""\
HTTP/1.1 200 OK
Server: nginx
Date: Thu, 26 Nov 2026 11:11:11 GMT
Content-Type: text/html
Content-Length: 105
Connection: keep-alive
ETag: "%08x-69"
Accept-Ranges: bytes
Last-Modified: Wed, 25 Nov 2026 08:00:00 GMT
"""

BODY = b"." * 105


def small_request(number: int = 0) -> bytes:
    """What wrk sends, for a path of this number."""
    return b"GET /%d HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n" % number


def browser_request(number: int = 0) -> bytes:
    """What a browser sends, for a path of this number."""
    return b"GET /catalogue/item-%d HTTP/1.1\r\n%b\r\n" % (number, _lines(_BROWSER))


def response(number: int = 0) -> bytes:
    """The head of an answer of 105 bytes: the page of this number."""
    return _lines(_ANSWER % number) + b"\r\n"


def _lines(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")
