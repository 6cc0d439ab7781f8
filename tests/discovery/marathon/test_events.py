from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.marathon.events import Events
from tests.discovery.marathon.recorded import STREAM

APPS = ["", "/shop/web", "/shop/other", "/shop/web", "/shop/web"]


def test_the_apps_of_the_recorded_stream():
    assert Events().feed(STREAM) == APPS
    assert Events().feed(STREAM.replace(b"\n", b"\r\n")) == APPS


@given(st.integers(1, 100))
def test_events_may_be_cut_anywhere(size: int):
    events = Events()
    pieces = (STREAM[start : start + size] for start in range(0, len(STREAM), size))
    assert [app for piece in pieces for app in events.feed(piece)] == APPS


def test_an_event_without_data_is_none():
    assert Events().feed(b"event: ping\n\n:\n\n\n") == []


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"data: {\n\n", "an event is no JSON"),
        (b"data: []\n\n", "an event must be an object, not a list"),
        (b"x" * 101, "an event is larger than 100 bytes"),
        (b"data: 12345\n" * 21, "an event is larger than 100 bytes"),
    ],
)
def test_nonsense_is_an_error(stream: bytes, error: str):
    with pytest.raises(ValueError, match=error):
        Events(limit=100).feed(stream)
