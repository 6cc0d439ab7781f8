"""The answers that pointsman gives by itself."""

from __future__ import annotations

import json
from datetime import UTC
from email.utils import parsedate_to_datetime

from proxy.http.answers import refusal
from proxy.http.heads import RequestHead


def answer(status: int, error: str, *, close: bool, service: str = "", request: RequestHead | None = None) -> bytes:
    return refusal(status, error, service=service).written(close=close, request=request)


def test_an_answer_says_what_is_wrong_and_of_which_service() -> None:
    head, _, body = answer(503, "nobody is there", service="shop", close=False).partition(b"\r\n\r\n")
    assert json.loads(body) == {"error": "nobody is there", "service": "shop"}
    status, date, *fields = head.split(b"\r\n")
    assert parsedate_to_datetime(date.removeprefix(b"Date: ").decode()).tzinfo is UTC
    assert [status, *fields] == [
        b"HTTP/1.1 503 Service Unavailable",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
        b"Retry-After: 1",
    ]


def test_the_answer_to_head_has_the_head_alone() -> None:
    request = RequestHead()
    request.method, request.request_id = b"HEAD", b""
    whole, bare = answer(404, "x", close=True), answer(404, "x", close=True, request=request)
    assert whole.startswith(bare)
    assert bare.endswith(b"\r\nConnection: close\r\n\r\n")


def test_405_says_what_is_allowed() -> None:
    assert b"\r\nAllow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n" in answer(405, "x", close=True)


def test_an_error_stays_inside_its_json() -> None:
    text = answer(502, 'a "quoted"\r\nX: y \xe9', close=True)
    assert b"\r\nX: y" not in text
    assert json.loads(text.partition(b"\r\n\r\n")[2])["error"] == 'a "quoted"\r\nX: y \xe9'
