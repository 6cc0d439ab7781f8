"""The journal, and what the log looks like."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

from proxy import logs
from proxy.journal import SIZE, Journal

if TYPE_CHECKING:
    import pytest


def test_the_journal_keeps_the_last_events() -> None:
    journal = Journal()
    for number in range(SIZE + 5):
        journal.keep("web" if number % 2 else "shop", "joined", f"i{number}", "")
    assert len(journal.since(0)) == SIZE
    assert journal.since(0)[0].number == 6
    assert [event.endpoint for event in journal.since(SIZE + 3)] == [f"i{SIZE + 3}", f"i{SIZE + 4}"]
    assert {event.service for event in journal.since(0, "web")} == {"web"}
    assert journal.since(0, limit=0) == []


def test_an_event_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pointsman.events"):
        journal = Journal()
        journal.record("web", "ejected", "a", "3 probes in a row failed")
        journal.record("web", "joined", "b", "at 10.0.0.1:80")
    ejected, joined = caplog.records
    assert (ejected.levelname, ejected.getMessage()) == ("WARNING", "web: a ejected, 3 probes in a row failed")
    assert (joined.levelname, joined.getMessage()) == ("INFO", "web: b joined, at 10.0.0.1:80")


def record(message: str = "routed %d requests", *values: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("proxy.x", logging.WARNING, __file__, 1, message, values, None)
    made.__dict__.update(extra)
    made.created = 1_800_000_000.25
    return made


def test_a_json_line_is_one_object_with_the_fields_given() -> None:
    line = logs.JsonFormatter().format(record("routed %d requests\nto \x1b[31mé", 3, service="web"))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "warning",
        "logger": "proxy.x",
        "message": "routed 3 requests\nto \x1b[31mé",
        "service": "web",
    }


def test_a_json_line_has_the_traceback() -> None:
    made = record("it broke")
    try:
        raise ValueError("of this")
    except ValueError:
        made.exc_info = sys.exc_info()
    assert "ValueError: of this" in json.loads(logs.JsonFormatter().format(made))["traceback"]


def test_a_text_line_is_for_people() -> None:
    assert logs.TextFormatter().format(record("fine")) == "2027-01-15T08:00:00.250Z WARNING fine"
