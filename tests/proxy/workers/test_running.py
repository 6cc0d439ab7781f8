"""How many workers there are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from config.errors import ConfigError
from config.load import parse
from proxy.workers.running import workers_of

if TYPE_CHECKING:
    from pathlib import Path

OURS = len(os.sched_getaffinity(0))


def test_a_number_is_taken_as_it_is(tmp_path: Path) -> None:
    assert workers_of(7, tmp_path / "none") == 7


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("max 100000", OURS),
        ("100000 100000", 1),
        ("150000 100000", min(2, OURS)),
        ("1000 100000", 1),
        ("10000000 100000", OURS),
        ("what is this", OURS),
        ("", OURS),
    ],
)
def test_auto_is_as_many_as_we_may_use_processors(tmp_path: Path, quota: str, count: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert workers_of("auto", file) == count


def test_without_a_quota_all_processors_count(tmp_path: Path) -> None:
    assert workers_of("auto", tmp_path / "none") == OURS


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [("0", "0"), ("1000", "1000"), ("-1", "-1"), ("many", "'many'"), ("1.5", "1.5"), ("", "nothing")],
)
def test_another_number_is_refused(tmp_path: Path, wanted: str, shown: str) -> None:
    text = f"""
workers: {wanted}
listeners: [{{bind: "127.0.0.1:0"}}]
routes: [{{service: web}}]
services: {{web: {{discovery: {{static: ["127.0.0.1:9"]}}}}}}
"""
    with pytest.raises(ConfigError) as refused:
        parse(text, name="test", folder=tmp_path, environ={})
    assert str(refused.value) == f"test:2: workers: must be a whole number from 1 to 256, or auto, not {shown}"
