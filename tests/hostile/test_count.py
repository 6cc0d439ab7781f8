"""How much the rows cover, and that no two of them are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.requests.gathered import REQUESTS, TUNNELS
from tests.hostile.responses.gathered import RESPONSES

if TYPE_CHECKING:
    import pytest


def test_there_are_enough_rows_and_no_two_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [(row.sent, row.options, row.body) for row in REQUESTS.values()]
    granted = [(row.sent, row.answer) for row in TUNNELS.values()]
    answered = [(row.sent, row.asked, row.then, row.later) for row in RESPONSES.values()]
    for rows in (asked, granted, answered):
        assert len(set(rows)) == len(rows)
    requests = {row.sent for row in (*REQUESTS.values(), *TUNNELS.values())}
    responses = {row.sent for row in RESPONSES.values()}
    with capsys.disabled():
        print(f"\n{len(requests)} different requests in {len(asked) + len(granted)} rows,", end=" ")
        print(f"{len(responses)} different responses in {len(answered)} rows")
    assert len(requests) >= 150
    assert len(responses) >= 60
