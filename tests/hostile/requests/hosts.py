"""Host: one, not empty, without a path or user information."""

from __future__ import annotations

from tests.hostile.rows import HOST, asks, get, hosted, passed, refused, target


def accepted(name: str, host: bytes) -> tuple[str, bytes, bytes]:
    return name, hosted(host), asks(b"GET /", host=host)


ROWS = [
    refused("no Host", b"GET / HTTP/1.1\r\n\r\n"),
    refused("no Host beside an absolute target", b"GET http://shop/ HTTP/1.1\r\n\r\n"),
    refused("Host with an underscore alone", b"GET / HTTP/1.1\r\nX_Host: shop\r\n\r\n"),
    refused("two Hosts", get(b"Host: bank\r\n")),
    refused("two Hosts beside an absolute target", target(b"http://shop/").replace(HOST, HOST + b"Host: bank\r\n")),
    refused("the same Host twice", get(HOST)),
    refused("the same Host twice, in two cases", get(b"hOST: shop\r\n")),
    refused("two Hosts, HTTP/1.0", get(HOST, b"1.0")),
    refused("an empty Host", hosted(b"")),
    refused("an empty Host, HTTP/1.0", hosted(b"", b"1.0")),
    refused("an empty Host behind a good one", get(b"Host:\r\n")),
    refused("a bad Host beside an absolute target", target(b"http://shop/").replace(HOST, b"Host: a@b\r\n")),
    refused("a port alone", hosted(b":80")),
    refused("a blank in Host", hosted(b"a b")),
    refused("a tab in Host", hosted(b"a\tb")),
    refused("a list in Host", hosted(b"shop, bank")),
    refused("a path in Host", hosted(b"a/b")),
    refused("a query in Host", hosted(b"a?b")),
    refused("a fragment in Host", hosted(b"a#b")),
    refused("a backslash in Host", hosted(b"a\\b")),
    refused("a scheme in Host", hosted(b"http://shop")),
    refused("user information in Host", hosted(b"a@b")),
    refused("a password in Host", hosted(b"shop:80@bank")),
    refused("a port that is none", hosted(b"a:b")),
    refused("a negative port", hosted(b"a:-1")),
    refused("two ports", hosted(b"a:80:81")),
    refused("quotes in Host", hosted(b'"shop"')),
    refused("angles in Host", hosted(b"<script>")),
    refused("NUL in Host", hosted(b"shop\x00")),
    refused("a letter beyond ASCII in Host", hosted("sh\N{LATIN SMALL LETTER O WITH DIAERESIS}p".encode())),
    refused("an open bracket in Host", hosted(b"[::1")),
    refused("an empty address in Host", hosted(b"[]")),
    refused("more behind the address in Host", hosted(b"[::1]bank")),
    refused("a bracket behind", hosted(b"shop]")),
    passed(*accepted("a port", b"Shop.example:8080")),
    passed(*accepted("an empty port", b"shop:")),
    passed(*accepted("a dot behind", b"shop.")),
    passed(*accepted("an address of IPv6", b"[::1]:80")),
    passed("blanks around Host", hosted(b" \t shop \t "), asks(b"GET /")),
    passed("a Host in capitals", b"GET / HTTP/1.1\r\nHOST:SHOP\r\n\r\n", asks(b"GET /", host=b"SHOP")),
    passed("a Host that is an option of the connection", get(b"Connection: Host\r\n"), asks(b"GET /")),
]
