"""What strangers ask: the instance gets what its row says, and the next client its own answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.driving import WAYS, run_request, run_tunnel
from tests.hostile.requests.gathered import REQUESTS, TUNNELS

if TYPE_CHECKING:
    from tests.hostile.rows import Request, Tunnel


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_request_comes_through_as_told_or_not_at_all(row: Request, way: str) -> None:
    await run_request(row, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", TUNNELS.values(), ids=TUNNELS.keys())
async def test_nothing_goes_through_a_tunnel_before_it_is_granted(row: Tunnel, way: str) -> None:
    await run_tunnel(row, way)
