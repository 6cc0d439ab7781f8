"""The classics: streams on which some proxy and some server have disagreed, and some that are right."""

from __future__ import annotations

_GET = b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"
_GOOD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def _post(fields: bytes, body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n" + body


def _chunks(body: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked\r\n", body)


def _get(start: bytes, fields: bytes = b"Host: a\r\n") -> bytes:
    return start + b"\r\n" + fields + b"\r\n"


REQUESTS = {
    # Who believes which of two framings.
    "CL.TE": _post(b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nX"),
    "TE.CL": _post(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"23\r\n" + _GET + b"\r\n0\r\n\r\n"),
    "TE.TE, one misspelt": _post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", b"0\r\n\r\n" + _GET),
    "TE.TE, one in capitals": _post(b"Transfer-Encoding: chunked\r\ntransfer-encoding: CHUNKED\r\n", b"0\r\n\r\n"),
    "CL.0": _post(b"Content-Length: 35\r\n", _GET),
    "CL.0 for GET": _get(b"GET / HTTP/1.1", b"Host: a\r\nContent-Length: 35\r\n") + _GET,
    "TE.0": _chunks(b"23\r\n" + _GET + b"\r\n0\r\n\r\n"),
    "0.CL": _get(b"GET / HTTP/1.1", b"Host: a\r\nContent-Length:\r\n 35\r\n") + _GET,
    "CL.CL": _post(b"Content-Length: 0\r\nContent-Length: 35\r\n", _GET),
    "CL twice the same": _post(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"x"),
    "CL in a list": _post(b"Content-Length: 1, 1\r\n", b"x"),
    "CL with a sign": _post(b"Content-Length: +1\r\n", b"x"),
    "CL below zero": _post(b"Content-Length: -1\r\n", b"x"),
    "CL with an underscore": _post(b"Content-Length: 1_0\r\n", b"x" * 10),
    "CL of other digits": _post("Content-Length: \N{FULLWIDTH DIGIT ONE}\r\n".encode(), b"x"),
    "CL in sixteens": _post(b"Content-Length: 0x1\r\n", b"x"),
    "CL with a vertical tab": _post(b"Content-Length: \x0b1\r\n", b"x"),
    "CL with zeros before": _post(b"Content-Length: 0001\r\n", b"x") + _GOOD,
    "CL that overflows": _post(b"Content-Length: 18446744073709551617\r\n", b"x"),
    "CL named by Connection": _post(b"Connection: content-length\r\nContent-Length: 1\r\n", b"x") + _GOOD,
    "TE named by Connection": _post(b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    # How the coding is written.
    "TE with a vertical tab": _post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "TE with a tab": _post(b"Transfer-Encoding:\tchunked\t\r\n", b"0\r\n\r\n") + _GOOD,
    "TE with a NUL": _post(b"Transfer-Encoding: chunked\x00\r\n", b"0\r\n\r\n"),
    "TE with a no-break space": _post(b"Transfer-Encoding: \xa0chunked\r\n", b"0\r\n\r\n"),
    "TE with a list": _post(b"Transfer-Encoding: identity, chunked\r\n", b"0\r\n\r\n"),
    "TE with a comma": _post(b"Transfer-Encoding: chunked,\r\n", b"0\r\n\r\n"),
    "TE in quotes": _post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    "TE with a parameter": _post(b"Transfer-Encoding: chunked;a=b\r\n", b"0\r\n\r\n"),
    "TE of nothing": _post(b"Transfer-Encoding:\r\n", b""),
    "TE of 1.0": _chunks(b"0\r\n\r\n").replace(b"1.1", b"1.0") + _GET,
    "TE with a blank before the colon": _post(b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "TE with a CR before the colon": _post(b"Content-Length: 5\r\nTransfer-Encoding\r: chunked\r\n", b"0\r\n\r\n"),
    "TE with an underscore": _post(b"Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", b"0\r\n\r\n") + _GOOD,
    "TE behind a blank": _post(b"Content-Length: 5\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE behind a NUL": _post(b"Content-Length: 5\r\n\x00Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE behind a bare LF": _post(b"Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE behind a bare CR": _post(b"Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE on a folded line": _post(b"Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "TE folded by a tab": _post(b"Transfer-Encoding:\r\n\tchunked\r\n", b"0\r\n\r\n"),
    "TE as another's fold": _post(b"Content-Length: 5\r\nX: y\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "a fold before any field": _get(b"GET / HTTP/1.1", b" Transfer-Encoding: chunked\r\nHost: a\r\n"),
    # Chunks and what is behind them.
    "chunks": _chunks(b"3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n") + _GOOD,
    "an extension with a bare LF": _chunks(b"3;a\n\r\nabc\r\n0\r\n\r\n"),  # CVE-2025-22871
    "an extension ended by a bare LF": _chunks(b"2;\nxx\r\n23\r\n0\r\n\r\n" + _GET),
    "an extension with a bare CR": _chunks(b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    "an extension in quotes": _chunks(b'3;a="b;c=d"\r\nabc\r\n0;e\r\n\r\n') + _GOOD,
    "an extension with a line end in quotes": _chunks(b'3;a="\r\nabc\r\n0\r\n\r\n'),
    "an extension with an escape": _chunks(b'3;a="\\""\r\nabc\r\n0\r\n\r\n'),
    "an extension of nothing": _chunks(b"3;\r\nabc\r\n0\r\n\r\n"),
    "a size ended by a bare LF": _chunks(b"3\nabc\r\n0\r\n\r\n"),
    "a size ended by a bare CR": _chunks(b"3\rabc\r\n0\r\n\r\n"),
    "a size with a blank behind": _chunks(b"3 \r\nabc\r\n0\r\n\r\n"),
    "a size with a blank before": _chunks(b" 3\r\nabc\r\n0\r\n\r\n"),
    "a size with 0x": _chunks(b"0x3\r\nabc\r\n0\r\n\r\n"),
    "a size with a sign": _chunks(b"+3\r\nabc\r\n0\r\n\r\n"),
    "a size below zero": _chunks(b"-3\r\nabc\r\n0\r\n\r\n"),
    "a size with an underscore": _chunks(b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"),
    "a size that overflows": _chunks(b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    "a size of many zeros": _chunks(b"0000000000000003\r\nabc\r\n0\r\n\r\n"),
    "a size of nothing": _chunks(b"\r\nabc\r\n0\r\n\r\n"),
    "a chunk ended by a bare LF": _chunks(b"3\r\nabc\n0\r\n\r\n"),
    "a chunk ended by anything": _chunks(b"3\r\nabcXX0\r\n\r\n"),
    "a chunk ended by nothing": _chunks(b"3\r\nabc0\r\n\r\n"),
    "a chunk longer than told": _chunks(b"3\r\nabcd\r\n0\r\n\r\n"),
    "two zeros": _chunks(b"00\r\n\r\n") + _GOOD,
    "trailers": _chunks(b"0\r\nX-Sum: 1\r\nx-more:\t2 \r\n\r\n") + _GOOD,
    "trailers that frame": _chunks(b"0\r\nContent-Length: 35\r\nTransfer-Encoding: chunked\r\n\r\n" + _GET),
    "trailers ended by bare LFs": _chunks(b"0\r\nX: y\n\n" + _GET),
    "a last chunk ended by bare LFs": _chunks(b"0\n\n" + _GET),
    "a last chunk ended by LF CR": _chunks(b"0\n\r\n" + _GET),
    "a last chunk with one line end": _chunks(b"0\r\n" + _GET),
    "a last chunk and a CR": _chunks(b"0\r\n\r"),
    "a trailer that is a request": _chunks(b"0\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"),
    "a folded trailer": _chunks(b"0\r\nX: y\r\n z\r\n\r\n"),
    # Where a head ends.
    "bare LFs": _get(b"GET / HTTP/1.1").replace(b"\r\n", b"\n"),
    "a bare LF at the end": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n",
    "a bare CR at the end": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n",
    "CRs alone": b"GET / HTTP/1.1\rHost: a\r\r",
    "a line of a blank": b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n",
    "a CR too many": b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
    "LF CR": b"GET / HTTP/1.1\n\rHost: a\n\r\n\r",
    "a NUL in a value": _get(b"GET / HTTP/1.1", b"Host: a\r\nX: y\x00z\r\n"),
    "a NUL in a name": _get(b"GET / HTTP/1.1", b"Host: a\r\nX\x00: y\r\n"),
    "empty lines before": b"\r\n\r\n" + _GOOD + b"\r\n" + _GOOD,
    "an empty line of a bare LF before": b"\n" + _GOOD,
    "a CR before": b"\r" + _GOOD,
    # The request line.
    "two blanks": _get(b"GET  / HTTP/1.1"),
    "two blanks before the version": _get(b"GET /  HTTP/1.1"),
    "a blank behind": _get(b"GET / HTTP/1.1 "),
    "tabs for blanks": _get(b"GET\t/\tHTTP/1.1"),
    "a blank in the target": _get(b"GET /a HTTP/1.1 b HTTP/1.1"),
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/0.9 with a version": _get(b"GET / HTTP/0.9"),
    "HTTP/1.2": _get(b"GET / HTTP/1.2"),
    "HTTP/1.10": _get(b"GET / HTTP/1.10"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an absolute target and another Host": _get(b"GET http://b:81/c?d HTTP/1.1"),
    "an absolute target in capitals, without a path": _get(b"GET HTTP://B?c HTTP/1.1"),
    "an absolute target with a user": _get(b"GET http://a@b/ HTTP/1.1"),
    "an absolute target with a backslash": _get(b"GET http://b\\@a/ HTTP/1.1"),
    "an absolute target without a host": _get(b"GET http:///c HTTP/1.1"),
    "an absolute target for OPTIONS": _get(b"OPTIONS http://b HTTP/1.1") + _get(b"OPTIONS * HTTP/1.1"),
    "a target of two slashes": _get(b"GET //b/c HTTP/1.1"),
    "a fragment": _get(b"GET /a#b HTTP/1.1"),
    "a target for CONNECT": _get(b"CONNECT b:443 HTTP/1.1") + _GET,
    "TRACE": _get(b"TRACE / HTTP/1.1"),
    # Who is asked, and who asks.
    "no Host": _get(b"GET / HTTP/1.1", b""),
    "two Hosts": _get(b"GET / HTTP/1.1", b"Host: a\r\nHost: b\r\n"),
    "a Host and a blank": _get(b"GET / HTTP/1.1", b"Host : b\r\nHost: a\r\n"),
    "a Host with a path": _get(b"GET / HTTP/1.1", b"Host: a/b\r\n"),
    "a Host with a list": _get(b"GET / HTTP/1.1", b"Host: a,b\r\n"),
    "a Host named by Connection": _get(b"GET / HTTP/1.1", b"Host: a\r\nConnection: host, x-forwarded-for\r\n"),
    "others' words": _get(b"GET / HTTP/1.1", b"Host: a\r\nX_Forwarded_For: 1\r\nX-Forwarded-For: 2\r\nVia: 1.0 b\r\n"),
    # One behind the other.
    "HTTP/1.0 kept": _get(b"GET / HTTP/1.0", b"Connection: keep-alive\r\n") * 2,
    "HTTP/1.0 not kept": _get(b"GET / HTTP/1.0", b"") + _GET,
    "HTTP/1.0 kept and not": _get(b"GET / HTTP/1.0", b"Connection: keep-alive\r\nConnection: close\r\n") + _GET,
    "closed": _get(b"GET / HTTP/1.1", b"Host: a\r\nConnection: close\r\n") + _GET,
    "Expect": _post(b"Expect: 100-continue\r\nContent-Length: 1\r\n", b"x") + _GOOD,
    "another expectation": _post(b"Expect: a\r\nContent-Length: 1\r\n", b"x"),
    "an upgrade to what is no token": _get(b"GET / HTTP/1.1", b"Host: a\r\nConnection: upgrade\r\nUpgrade: h3\xa1\r\n"),
    "an upgrade": _get(b"GET / HTTP/1.1", b"Host: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n") + _GOOD,
    "many": _GOOD * 4 + _chunks(b"1\r\nx\r\n0\r\n\r\n") + _post(b"Content-Length: 1\r\n", b"x") + _GOOD,
}  # fmt: skip


def _ok(fields: bytes, body: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + fields + b"\r\n" + body


_OK = _ok(b"Content-Length: 2\r\n", b"ok")
_SMUGGLED = _ok(b"Content-Length: 4\r\n", b"evil")

RESPONSES = {
    "plain": _OK * 3,
    "chunks": _ok(b"Transfer-Encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n") + _OK,
    "chunks with everything": _ok(b"Transfer-Encoding: Chunked\r\n", b'1;a\r\no\r\n01;b="c"\r\nk\r\n0\r\nX: y\r\n\r\n'),
    "to the end": _ok(b"", b"some\r\n\r\nmore"),
    "to the end by 1.0": _ok(b"", b"some").replace(b"1.1", b"1.0"),
    "kept by 1.0": _ok(b"Connection: keep-alive\r\nContent-Length: 2\r\n", b"ok").replace(b"1.1", b"1.0") * 2,
    "closed": _ok(b"Connection: close\r\nContent-Length: 2\r\n", b"ok") + _SMUGGLED,
    "interim": _ok(b"", status=b"100 Continue") + _ok(b"Link: a\r\n", status=b"103 Early Hints") + _OK * 2,
    "interim with a length": _ok(b"Content-Length: 5\r\n", status=b"103 x") + _OK,
    "interim with a coding": _ok(b"Transfer-Encoding: chunked\r\n", status=b"102 x") + _OK,
    "switching": _ok(b"Upgrade: h2c\r\nConnection: upgrade\r\n", status=b"101 x") + _SMUGGLED,
    "204 with a length": _ok(b"Content-Length: 40\r\n", status=b"204 x") + _SMUGGLED,
    "204 with chunks": _ok(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"204 x"),
    "304 with a length": _ok(b"Content-Length: 40\r\n", status=b"304 x") + _OK,
    "304 with chunks": _ok(b"Transfer-Encoding: chunked\r\n", status=b"304 x") + _OK,
    "205 with a body": _ok(b"Content-Length: 1\r\n", b"x", b"205 x") + _OK,
    "both": _ok(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "two lengths": _ok(b"Content-Length: 2\r\nContent-Length: 40\r\n", b"ok" + _SMUGGLED),
    "a list of lengths": _ok(b"Content-Length: 2, 2\r\n", b"ok"),
    "a length of 1.0 and chunks": _ok(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n").replace(b"1.1", b"1.0"),
    "a coding that is not": _ok(b"Transfer-Encoding: identity\r\n", b"some"),
    "a coding with a vertical tab": _ok(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "a folded length": _ok(b"X: y\r\n Content-Length: 2\r\n", b"ok"),
    "bare LFs": _OK.replace(b"\r\n", b"\n"),
    "a bare CR": _ok(b"X: y\rContent-Length: 0\r\n", b""),
    "a split": _ok(b"X: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n", b"evil"),
    "an extension with a bare LF": _ok(b"Transfer-Encoding: chunked\r\n", b"2;a\n\r\nok\r\n0\r\n\r\n"),
    "trailers that frame": _ok(b"Transfer-Encoding: chunked\r\n", b"0\r\nContent-Length: 4\r\n\r\n") + _SMUGGLED,
    "trailers ended by bare LFs": _ok(b"Transfer-Encoding: chunked\r\n", b"0\n\n") + _SMUGGLED,
    "no reason": _OK.replace(b"200 OK", b"200"),
    "a reason with a CR": _OK.replace(b"OK", b"O\rK"),
    "600": _OK.replace(b"200", b"600"),
    "HTTP/2": _OK.replace(b"1.1", b"2.0"),
    "ICY": _OK.replace(b"HTTP/1.1", b"ICY"),
    "an empty line before": b"\r\n" + _OK,
    "a CR before": b"\r" + _OK,
    "fields of a hop": _ok(b"Connection: x-a, content-length\r\nX-A: b\r\nContent-Length: 2\r\n", b"ok") + _OK,
}  # fmt: skip

# What is asked of an instance that sends the responses: by whom, and in which order. Only the last one may close.
_HEAD = _GOOD.replace(b"GET", b"HEAD")
_PUT = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
_OLD = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
ASKED = [
    [_GOOD, _GOOD, _GOOD],
    [_HEAD, _GOOD],
    [_GOOD, _HEAD, _PUT],
    [_OLD, _OLD, _GOOD],
    [_HEAD.replace(b"1.1", b"1.0")],
    [_PUT, _OLD, _HEAD],
    [_GOOD, b"GET / HTTP/1.0\r\n\r\n"],
    [_GOOD.replace(b"Host", b"Connection: close\r\nHost")],
]
