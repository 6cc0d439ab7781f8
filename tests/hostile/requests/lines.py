"""The request line: a method, a target in one of its forms, the version, with one blank between them."""

from __future__ import annotations

from tests.hostile.rows import CLOSE, FORWARDED, GET, HOST, asks, asks_get, passed, refused, target
from tests.proxy.http.scripted import GET_SENT


def line(value: bytes) -> bytes:
    return value + b"\r\n" + HOST + b"\r\n"


def same(name: str, value: bytes) -> tuple[str, bytes, bytes]:
    """Name a target that is passed on as it came."""
    return name, target(value), asks(b"GET " + value)


ROWS = [
    refused("a carriage return before", b"\r" + GET),
    refused("a line feed before", b"\n" + GET),
    refused("two line feeds before", b"\n\n" + GET),
    refused("a blank before", b" " + GET),
    refused("a tab before", b"\t" + GET),
    refused("a blank line before", b" \r\n" + GET),
    refused("NUL before", b"\x00" + GET),
    refused("a byte order mark before", b"\xef\xbb\xbf" + GET),
    refused("two blanks", target(b" /")),
    refused("two blanks before the version", line(b"GET /  HTTP/1.1")),
    refused("tabs", line(b"GET\t/\tHTTP/1.1")),
    refused("a vertical tab", line(b"GET\x0b/ HTTP/1.1")),
    refused("a line feed for a blank", line(b"GET /\nHTTP/1.1")),
    refused("a carriage return for a blank", line(b"GET /\rHTTP/1.1")),
    refused("a blank in the target", target(b"/a b")),
    refused("a version in the target", target(b"/ HTTP/1.1\tx")),
    refused("a blank behind", line(b"GET / HTTP/1.1 ")),
    refused("a carriage return behind", line(b"GET / HTTP/1.1\r")),
    refused("more behind", line(b"GET / HTTP/1.1 x")),
    refused("no target", line(b"GET HTTP/1.1")),
    refused("an empty target", line(b"GET  HTTP/1.1")),
    refused("an unknown method", target(b"/", b"BREW"), 501),
    refused("a method in lower case", target(b"/", b"get"), 501),
    refused("a method with more before", target(b"/", b"XGET"), 501),
    refused("half a method", target(b"/", b"GE"), 501),
    refused("a method that is no token", target(b"/", b"GET,")),
    refused("a method beyond ASCII", target(b"/", b"G\xcbT")),
    refused("a method of another protocol", target(b"/", b"DESCRIBE")),
    refused("a long method", target(b"/", b"G" * 500), 501),
    refused("a fragment", target(b"/a#b")),
    refused("an empty fragment", target(b"/?a#")),
    refused("a relative target", target(b"a")),
    refused("a query alone", target(b"?a")),
    refused("a backslash alone", target(b"\\a")),
    refused("a host alone", target(b"shop:80")),
    refused("everything, for GET", target(b"*")),
    refused("everything, and more", target(b"*x", b"OPTIONS")),
    refused("another scheme", target(b"ftp://shop/")),
    refused("a scheme that is a program", target(b"javascript://shop/")),
    refused("a scheme with one slash", target(b"http:/shop/")),
    refused("a scheme alone", target(b"http://")),
    refused("user information", target(b"http://me@shop/")),
    refused("user information with a password", target(b"http://shop:80@bank/")),
    refused("no host in an absolute target", target(b"http:///a")),
    refused("no host, but a query", target(b"http://?a")),
    refused("a bad host in an absolute target", target(b"http://a[b/")),
    refused("a bad port in an absolute target", target(b"http://shop:x/")),
    refused("two ports in an absolute target", target(b"http://shop:80:81/")),
    refused("a backslash in the host of an absolute target", target(b"http://shop\\bank/")),
    refused("a fragment in an absolute target", target(b"http://shop/#a")),
    refused("a fragment behind the host", target(b"http://shop#@bank/")),
    refused("an open bracket in an absolute target", target(b"http://[::1/")),
    refused("NUL in the target", target(b"/\x00")),
    refused("a control character in the target", target(b"/\x0c")),
    refused("DEL in the target", target(b"/\x7f")),
    refused("a letter beyond ASCII in the target", target("/é".encode())),
    refused("an overlong slash in the target", target(b"/\xc0\xaf")),
    passed("an empty line before", b"\r\n" + GET, GET_SENT),
    passed("many empty lines before", b"\r\n" * 50 + GET, GET_SENT),
    passed(*same("a target as it came", b"/a/../b//c/./%2e%2E/%00%0d%0aX:%20y?q=/../%23&#38;".replace(b"#", b"%23"))),
    passed(*same("two slashes", b"//bank/a")),
    passed(*same("characters that no target has", b'/\\|<>{}^`"[]')),
    passed(*same("an absolute target in the path", b"/http://bank/")),
    passed(*same("an absolute target in the query", b"/?http://bank/#".replace(b"#", b""))),
    passed(
        "an absolute target",
        target(b"http://Bank:81/a?x"),
        asks(b"GET /a?x", host=b"Bank:81"),
    ),
    passed("an absolute target without a path", target(b"http://Bank:81?x"), asks(b"GET /?x", host=b"Bank:81")),
    passed("an absolute target in capitals", target(b"HTTP://BANK"), asks(b"GET /", host=b"BANK")),
    passed("an absolute target for TLS", target(b"https://bank/"), asks(b"GET /", host=b"bank")),
    passed("an absolute target of two slashes", target(b"http://bank//a"), asks(b"GET //a", host=b"bank")),
    passed("OPTIONS of everything", target(b"*", b"OPTIONS"), asks(b"OPTIONS *")),
    passed("OPTIONS of everything, absolute", target(b"http://shop", b"OPTIONS"), asks(b"OPTIONS *")),
    passed("OPTIONS of a path, absolute", target(b"http://shop/", b"OPTIONS"), asks(b"OPTIONS /")),
    passed(
        "a method of WebDAV",
        target(b"/", b"PROPFIND"),
        b"PROPFIND / HTTP/1.1\r\n" + HOST + b"X-Forwarded-Host: shop\r\n" + FORWARDED,
    ),
    passed("the last request", GET.replace(b"\r\n\r\n", b"\r\n" + CLOSE + b"\r\n") + GET, asks_get(), ends=True),
]
