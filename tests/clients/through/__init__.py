"""Plugins of pytest that send a library's own tests through pointsman; they run where that library's tests run.

Each runs only the tests that ask a plain HTTP server, makes that server listen on 127.0.0.1 at THROUGH_PORT, and has it
asked at THROUGH_URL, where pointsman stands before it. What became of each test is written to THROUGH_REPORT.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

PORT = int(os.environ["THROUGH_PORT"])
URL = os.environ["THROUGH_URL"]  # ends with a slash
REPORT = Path(os.environ["THROUGH_REPORT"])


class Record:
    """Leaves out the tests for which there is a reason to, and remembers what became of the others."""

    def __init__(self, asks_elsewhere: Callable[[pytest.Item], str], left_out: Mapping[str, str]) -> None:
        self._asks_elsewhere = asks_elsewhere  # the empty text for a test that asks a plain HTTP server
        self._reasons = left_out  # by how the IDs of the tests begin
        self._left_out: dict[str, str] = {}
        self._outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        reasons = {item: self._why_not(item) for item in items}
        left_out = [item for item, reason in reasons.items() if reason]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item, reason in reasons.items() if not reason]
        self._left_out = {item.nodeid: reasons[item] for item in left_out}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = self._outcomes.get(report.nodeid)
        if known != "failed" and (report.when == "call" or report.outcome != "passed"):
            self._outcomes[report.nodeid] = "xfailed" if hasattr(report, "wasxfail") else report.outcome

    def pytest_sessionfinish(self) -> None:
        REPORT.write_text(json.dumps({"outcomes": self._outcomes, "left_out": self._left_out}))

    def _why_not(self, item: pytest.Item) -> str:
        because = (reason for start, reason in self._reasons.items() if item.nodeid.startswith(start))
        return self._asks_elsewhere(item) or next(because, "")
