"""A reader of what pointsman writes, which takes nothing but the plainest form of a message."""

from __future__ import annotations

import re

from tests.fuzz.outcome import Fields, Message, fields_of

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_START = re.compile(_TOKEN + rb" [!-~]+ HTTP/1\.1|HTTP/1\.1 [1-5][0-9]{2} [\t -~\x80-\xff]*")
_FIELD = re.compile(_TOKEN + rb":[\t -~\x80-\xff]*")
_SIZE = re.compile(rb"[1-9a-f][0-9a-f]*\r\n")


def read_written(sent: bytes, *, to: bytes = b"", closes: bool = False) -> tuple[Message, bytes]:
    """Read the message that begins here, which must be whole; return what is behind it, too.

    `to` is the method that a response answers; `closes`: the connection was closed behind it.
    """
    start, fields, rest = _head(sent)
    framing = [(name, value) for name, value in fields if name in (b"content-length", b"transfer-encoding")]
    assert len(framing) <= 1, f"more than one framing: {sent!r}"
    if to == b"HEAD" or re.match(rb"HTTP/1\.1 (?:1..|204|304)", start):
        assert not any(name == b"transfer-encoding" for name, _ in framing), sent
        return Message(start, fields), rest
    if not framing:
        if start.startswith(b"HTTP/"):
            assert closes, f"nothing tells where this response ends: {sent!r}"
            return Message(start, fields, rest), b""
        return Message(start, fields), rest
    [(name, value)] = framing
    if name == b"content-length":
        assert value.isdigit(), sent
        assert len(rest) >= int(value), f"not whole: {sent!r}"
        return Message(start, fields, rest[: int(value)]), rest[int(value) :]
    assert value == b"chunked", sent
    content, rest = _chunks(rest)
    trailers, rest = _trailers(rest)
    return Message(start, fields, content, trailers), rest


def begun(sent: bytes) -> Message | None:
    """Read the beginning of a message: its head and, however it was cut, what is there of its content."""
    if not sent:
        return None
    start, fields, rest = _head(sent)
    if (b"transfer-encoding", b"chunked") in fields:
        rest, end = _chunks(rest, whole=False)
        assert not end, sent
    return Message(start, fields, rest)


def is_ours(sent: bytes) -> bool:
    """Tell whether this is an answer that pointsman gave by itself: a response passed on bears a Via, if final."""
    head = sent.partition(b"\r\n\r\n")[0]
    return not head.startswith(b"HTTP/1.1 1") and re.search(rb"\r\nVia: 1\.[01] pointsman", head) is None


def _head(sent: bytes) -> tuple[bytes, Fields, bytes]:
    head, end, rest = sent.partition(b"\r\n\r\n")
    assert end, f"a head that does not end: {sent!r}"
    start, *lines = head.split(b"\r\n")
    # These leave no room for a bare CR or LF, a fold, or a NUL.
    assert _START.fullmatch(start), f"a malformed start line: {sent!r}"
    assert all(_FIELD.fullmatch(line) for line in lines), f"a malformed field: {sent!r}"
    return start, fields_of(lines), rest


def _chunks(data: bytes, *, whole: bool = True) -> tuple[bytes, bytes]:
    """Read chunks up to the last one, or, if they are not `whole`, as many as there are."""
    content: list[bytes] = []
    while data or whole:
        if data.startswith(b"0\r\n"):
            return b"".join(content), data[3:]
        size = _SIZE.match(data)
        assert size, f"not how a chunk is written: {data!r}"
        start, length = size.end(), int(size[0], 16)
        assert data[start + length : start + length + 2] == b"\r\n", f"a chunk is longer than its size: {data!r}"
        content.append(data[start : start + length])
        data = data[start + length + 2 :]
    return b"".join(content), b""


def _trailers(data: bytes) -> tuple[Fields, bytes]:
    if data.startswith(b"\r\n"):
        return (), data[2:]
    section, end, rest = data.partition(b"\r\n\r\n")
    assert end, f"trailers that do not end: {data!r}"
    lines = section.split(b"\r\n")
    assert all(_FIELD.fullmatch(line) for line in lines), f"a malformed trailer: {data!r}"
    return fields_of(lines), rest
