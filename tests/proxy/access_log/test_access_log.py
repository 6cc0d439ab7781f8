"""The way in: which exchanges are written, from a name of a format to a line in a file; and what is said of it all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from proxy.access_log.access_log import AccessLog, open_access_log
from proxy.access_log.formats import FormatError, make_formatter
from proxy.access_log.placeholders import FIELDS
from proxy.access_log.record import DOWNSTREAM_ENDS, UPSTREAM_ENDS, Record
from proxy.access_log.redaction import Redaction
from tests.proxy.access_log.records import record, request

if TYPE_CHECKING:
    from proxy.access_log.writer import Writer

PAGE = Path(__file__).parents[3] / "docs" / "access_log.md"


class Kept:
    """Stands in for a writer."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def put(self, line: bytes) -> None:
        self.lines.append(line)


def sampled(sample: float, drawn: list[float], *records: Record) -> list[bytes]:
    """Write records; return the statuses that were written. Each random number may be drawn once."""
    kept = Kept()
    numbers = iter(drawn)
    log = AccessLog(lambda of: b"%d" % of.status, cast("Writer", kept), sample=sample, random=lambda: next(numbers))
    for one in records:
        log.write(one)
    return kept.lines


def test_all_is_written_without_drawing_a_number() -> None:
    assert sampled(1.0, [], record(), record()) == [b"200", b"200"]


def test_a_share_of_what_went_well_is_written() -> None:
    well = [record(status=200 + number) for number in range(4)]
    assert sampled(0.5, [0.0, 0.49, 0.5, 0.99], *well) == [b"200", b"201"]
    assert sampled(0.0, [0.0, 0.0, 0.5, 0.99], *well) == []


@pytest.mark.parametrize("status", [100, 101, 200, 304, 404, 499])
def test_a_status_that_went_well(status: int) -> None:
    assert sampled(0.0, [0.0], record(status=status)) == []


@pytest.mark.parametrize("status", [0, 500, 503, 599])
def test_failures_are_always_written(status: int) -> None:
    assert sampled(0.0, [], record(status=status)) == [b"%d" % status]


@pytest.mark.parametrize("end", DOWNSTREAM_ENDS[1:])
def test_what_ended_otherwise_downstream_is_always_written(end: str) -> None:
    assert sampled(0.0, [], record(downstream_end=end))


@pytest.mark.parametrize("end", UPSTREAM_ENDS[1:])
def test_what_ended_otherwise_upstream_is_always_written(end: str) -> None:
    assert sampled(0.0, [], record(upstream_end=end))


def test_a_record_is_shown_for_people() -> None:
    assert repr(record(status=502, upstream_end="reset")) == "<Record <RequestHead GET /a?b=c> 502 complete/reset>"


def test_from_a_record_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = open_access_log(str(path), "json", sample=1.0, redact=["Token"], buffer=65536, random=lambda: 0.0)
    log.write(record(request=request(target=b"/a?token=5eCr3T")))
    log.write(record(status=503, upstream_end="unavailable"))
    log.writer.close(10)
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["target"], first["status"]) == ("/a?token=REDACTED", 200)
    assert (second["status"], second["upstream_end"]) == (503, "unavailable")
    assert (log.writer.written, log.writer.dropped, log.writer.failed) == (2, 0, 0)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=": Is a directory"):
        open_access_log(str(tmp_path), "json", sample=1.0, redact=[], buffer=1, random=lambda: 0.0)
    with pytest.raises(FormatError):
        open_access_log(str(tmp_path / "a"), "jsn", sample=1.0, redact=[], buffer=1, random=lambda: 0.0)
    assert not (tmp_path / "a").exists()


def test_the_documentation_has_every_field_and_every_end_and_no_other() -> None:
    tables = re.split(r"(?m)^## ", PAGE.read_text())
    of = {table.splitlines()[0]: re.findall(r"(?m)^\| `(\w+)` \|", table) for table in tables[1:]}
    assert of["The fields"] == list(FIELDS)
    assert of["Why it ended, at the client"] == list(DOWNSTREAM_ENDS)
    assert of["Why it ended, at the instance"] == list(UPSTREAM_ENDS)


def test_the_documentation_shows_what_is_written() -> None:
    shown = record(request=request(target=b"/items?page=2&token=abc"), own=0.000021)
    for format in ("json", "clf", "combined"):
        assert make_formatter(format, Redaction(["token"]))(shown).decode() in PAGE.read_text()
