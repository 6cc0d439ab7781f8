"""Records to write, fixed ones and any that there could be."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from proxy.access_log.record import DOWNSTREAM_ENDS, UPSTREAM_ENDS, Record
from proxy.http.heads import RequestHead

BROWSER = [b"Accept: */*", b"User-Agent: Mozilla/5.0 (X11)", b"Referer: http://shop.example.com/"]


def request(
    target: bytes = b"/a?b=c", fields: list[bytes] = BROWSER, method: bytes = b"GET", host: bytes = b"shop.example.com",
    minor_version: int = 1,
) -> RequestHead:  # fmt: skip
    head = RequestHead()
    head.method, head.target, head.fields, head.authority = method, target, fields, host
    head.minor_version = minor_version
    return head


def record(**values: Any) -> Record:
    """An exchange that went well, but for what is given."""
    made = Record()
    given = {
        "time": 1_800_000_000.25,
        "client": "192.0.2.7",
        "listener": "0.0.0.0:8080",
        "service": "web",
        "endpoint": "consul/web-1",
        "address": "10.0.0.1:9001",
        "attempts": 1,
        "request": request(),
        "status": 200,
        "request_id": "0190e3a1",
        "received": 0,
        "sent": 1234,
        "first_byte": 0.00125,
        "duration": 0.0025,
        "own": 0.000021,
        "upstream_end": "complete",
        "reused": True,
        **values,
    }
    for name, value in given.items():
        setattr(made, name, value)
    return made


ANY_BYTES = st.binary(max_size=40) | st.sampled_from([b'"', b"\\", b"\n", b'\r\n{"a":1}', b"\xe2\x80\xa8", b"%0a", b""])
ANY_TEXT = st.text(st.characters(), max_size=20) | ANY_BYTES.map(lambda value: value.decode("latin-1"))
SECONDS = st.floats(0, 1e6)
ANY_REQUEST = st.builds(
    request,
    target=ANY_BYTES,
    fields=st.lists(
        ANY_BYTES | st.builds(b"%b:%b".__mod__, st.tuples(st.sampled_from([b"User-Agent", b"REFERER"]), ANY_BYTES))
    ),
    method=ANY_BYTES,
    host=ANY_BYTES,
    minor_version=st.integers(0, 1),
)
ANY_RECORD = st.builds(
    record,
    time=st.floats(0, 4e9),
    client=ANY_TEXT,
    listener=ANY_TEXT,
    service=ANY_TEXT,
    endpoint=ANY_TEXT,
    address=ANY_TEXT,
    attempts=st.integers(0, 5),
    request=st.none() | ANY_REQUEST,
    status=st.integers(0, 599),
    request_id=ANY_TEXT,
    received=st.integers(0, 1 << 60),
    sent=st.integers(0, 1 << 60),
    first_byte=st.none() | SECONDS,
    duration=SECONDS,
    own=SECONDS,
    downstream_end=st.sampled_from(DOWNSTREAM_ENDS),
    upstream_end=st.sampled_from(UPSTREAM_ENDS),
    reused=st.booleans(),
    error=ANY_TEXT,
)
