"""What instances answer: the client gets what its row says, and nobody gets anything that was not meant for him."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.driving import WAYS, run_response
from tests.hostile.responses.gathered import RESPONSES

if TYPE_CHECKING:
    from tests.hostile.rows import Response


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", RESPONSES.values(), ids=RESPONSES.keys())
async def test_a_response_comes_through_as_told_or_not_at_all(row: Response, way: str) -> None:
    await run_response(row, way)
