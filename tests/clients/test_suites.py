"""The libraries' own tests ask pointsman instead of their servers, and notice nothing."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.clients.suites import Suites, suites
from tests.servers.pointsman import Pointsman
from tests.servers.ports import free_port
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from pathlib import Path

# How many tests of each library ask a plain HTTP server and pass; versions of Python differ by a few.
PASSED = {"requests": 185, "httpx": 75, "urllib3": 170}


@pytest.fixture(scope="module")
def libraries(request: pytest.FixtureRequest) -> Suites:
    return had_or_skipped(request.config, "tests of other libraries", suites)


@pytest.mark.parametrize("library", PASSED)
def test_through_pointsman(libraries: Suites, library: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        # The others start a server themselves.
        port = stack.enter_context(libraries.httpbin(tmp_path)).port if library == "requests" else free_port()
        service = {"discovery": {"static": [f"127.0.0.1:{port}"]}}
        proxy = stack.enter_context(Pointsman(tmp_path, {"web": service}))
        result = libraries.run(library, proxy, port, tmp_path)
        codes = [f'pointsman_requests_total{{code="{digit}xx",service="web"}}' for digit in range(1, 6)]
        answered = sum(proxy.metric(code) for code in codes)
    counts, left_out = Counter(result.outcomes.values()), Counter(result.left_out.values())
    print(f"\n{library}: {dict(counts)}, {answered:g} requests; left out:")
    for reason, count in left_out.items():
        print(f"{count:8}  {reason}")
    assert counts["failed"] == 0, result.output
    assert counts["passed"] >= PASSED[library], result.output
    assert answered >= counts["passed"] / 2
