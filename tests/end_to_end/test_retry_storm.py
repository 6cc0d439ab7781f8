"""Every instance fails every request: what is tried again stays within the budget, so that the outage does not grow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.fleet import Fleet
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("storm-1", "storm-2", "storm-3")
STORM = 12.0  # seconds, more than the ten of the budget's window
SHARE, FLOOR = 0.2, 3  # of the requests, and retries a second
WINDOW = 10.0  # seconds that the budget looks back
LOOK = 0.3  # seconds by which its window may be longer


@pytest.mark.slow
@pytest.mark.parametrize(("clients", "pause"), [(24, 0.02), (2, 0.5)], ids=["many requests", "few requests"])
def test_retries_stay_within_the_budget(tmp_path: Path, clients: int, pause: float) -> None:
    retries = {"attempts": 2, "on": ["5xx"], "budget": f"{SHARE:.0%}", "budget_floor": FLOOR}
    with Fleet(tmp_path, *NAMES) as fleet:
        for name in NAMES:
            fleet.behave(name, "500")
        web = {"discovery": fleet.discovery, "retries": retries}
        with Pointsman(tmp_path, {"web": web}) as proxy:
            proxy.until_in_traffic("web", *NAMES)
            began = time.monotonic()
            with Load(tmp_path, proxy.url, clients=clients, pause=pause, all_answered=False) as load:
                time.sleep(STORM)
                result = load.finish()
            lasted = time.monotonic() - began
            reached = fleet.asked()
    wanted = result.sent
    # The budget of a window is the larger of the two; added up, they bound any number of windows.
    most = wanted * (1 + SHARE) + FLOOR * (lasted + WINDOW + LOOK)
    print(f"\n{wanted} requests in {lasted:.1f} s, all failed; {reached} reached the instances: ", end="")
    print(f"{reached / wanted:.2f} times as many; {wanted * 3} would without a budget; allowed are {most:.0f}")
    assert len(result.failed) == wanted
    assert not [failed for failed in result.failed if failed.status != 500]
    assert wanted < reached <= most
