"""Connection, and the fields that were meant for this hop alone."""

from __future__ import annotations

from tests.hostile.rows import CLOSE, GET, HOST, asks_chunked, asks_get, asks_post, get, passed, post

ROWS = [
    passed(
        "fields of this hop are dropped",
        get(
            b"Connection: keep-alive, X-Mine\r\nKeep-Alive: 5\r\nX-Mine: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n"
            b"Proxy-Connection: keep-alive\r\nProxy-Authorization: secret\r\nProxy-Authenticate: x\r\n"
        ),
        asks_get(),
    ),
    passed(
        "what Connection names goes, before and behind",
        get(b"x-mine: 1\r\nConnection: X-Mine\r\nX-MINE: 2\r\n"),
        asks_get(),
    ),
    passed(
        "what several Connections name goes", get(b"Connection: A,,\r\nA: 1\r\nConnection: , b\r\nB: 2\r\n"), asks_get()
    ),
    passed(
        "nobody removes where he comes from",
        get(b"Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host\r\n"),
        asks_get(),
    ),
    passed(
        "nobody removes who passed it on",
        get(b"Connection: Via, X-Request-Id\r\nVia: 1.0 theirs\r\nX-Request-Id: theirs\r\n"),
        asks_get().replace(b"Id: made", b"Id: theirs"),
    ),
    passed(
        "nobody removes the length",
        post(b"Connection: Content-Length\r\nContent-Length: 1\r\n", b"x"),
        asks_post(b"Content-Length: 1\r\n", b"x"),
    ),
    passed(
        "nobody removes the coding",
        post(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n"),
        asks_chunked(b"1\r\nx\r\n0\r\n\r\n"),
    ),
    passed("nobody removes Host", get(b"Connection: Host, close\r\n"), asks_get(), ends=True),
    passed(
        "nobody removes an expectation, whose body is there",
        post(b"Connection: Expect\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", b"x"),
        asks_post(b"Content-Length: 1\r\n", b"x"),
    ),
    passed(
        "end-to-end fields go when Connection names them",
        get(b"Connection: Cookie, Authorization\r\nCookie: a\r\nAuthorization: b\r\n"),
        asks_get(),
    ),
    passed("Connection that names itself", get(b"Connection: Connection\r\n"), asks_get()),
    passed("Connection that names no field", get(b'Connection: \x80, @, (x), "close"\r\n'), asks_get()),
    passed("Connection with nothing in it", get(b"Connection:\r\nConnection: ,\r\n"), asks_get()),
    passed("close, in capitals", get(b"Connection: CLOSE\r\n"), asks_get(), ends=True),
    passed("close in a list", get(b"Connection: x,\tclose \r\n") + GET, asks_get(), ends=True),
    passed("close and keep-alive", get(CLOSE + b"Connection: keep-alive\r\n") + GET, asks_get(), ends=True),
    passed("what only sounds like close", get(b"Connection: closed, close-not\r\n"), asks_get()),
    passed("Proxy-Connection closes nothing", get(b"Proxy-Connection: close\r\n"), asks_get()),
    passed("Keep-Alive without a Connection", get(b"Keep-Alive: timeout=1, max=1\r\n"), asks_get()),
    passed("TE that asks for more", get(b"TE: gzip, trailers\r\nConnection: TE\r\n"), asks_get()),
    passed(
        "Connection with an underscore",
        get(b"Connection_: close\r\nProxy_Connection: close\r\nKeep_Alive: 5\r\n"),
        asks_get(b"Connection_: close\r\n"),
    ),
    passed(
        "close behind what follows",
        GET + b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\nGET /evil",
        asks_get(),
        asks_get(),
        ends=True,
    ),
]
