"""Which instance gets a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from proxy.simulate.reading import parse
from proxy.simulate.results import simulate

if TYPE_CHECKING:
    from tests.readme.snippets import Snippet
    from tests.readme.staging import Stage, Staged

WEB, WEB_2, NEXT, NEXT_2 = (f"10.0.0.{number}:8000" for number in range(1, 5))
SECRET = {"${STICKY_KEY}": "a key that is long enough"}


@pytest.mark.runs("Balancing")
async def test_balancing(stage: Staged) -> None:
    both = [{"path": "/next", "service": "next"}, {"service": "web"}]
    async with stage(beside={"routes": both}) as staged:
        policies = {name: one["balancer"] for name, one in (await services(staged)).items()}
        assert policies == {"web": "least_request", "next": "ring_hash"}
        assert set(await staged.answers(40)) == {WEB, WEB_2}
        by_user = [set(await staged.answers(4, "/next", headers={"X-User": f"user-{n}"})) for n in range(12)]
        assert all(len(answered) == 1 for answered in by_user)
        assert set.union(*by_user) == {NEXT, NEXT_2}


async def services(staged: Stage) -> dict[str, Any]:
    _, told = await staged.pointsman.admin("/api/v1/services")
    return {one["name"]: one for one in told["services"]}


@pytest.mark.runs("Sticky sessions")
async def test_sticky_sessions(stage: Staged) -> None:
    async with stage(at=SECRET) as staged:
        first = await staged.ask()
        cookie = first.headers["Set-Cookie"]
        assert cookie.startswith("shop=")
        assert "Max-Age=3600" in cookie
        again = {"Cookie": cookie.partition(";")[0]}
        assert set(await staged.answers(6, headers=again)) == {first.text}
        forged = await staged.ask(headers={"Cookie": again["Cookie"][:-2] + "xx"})
        assert "Set-Cookie" in forged.headers


@pytest.mark.runs("Slow start, zones, subsets, backups")
async def test_slow_start_zones_subsets_and_backups(stage: Staged) -> None:
    async with stage() as staged:
        assert set(await staged.answers(12)) == {WEB}  # the near one
        assert set(await staged.answers(6, headers={"X-Version": "2"})) == {WEB_2}
        pool = staged.application.services["web"].pool
        first, second, backup = pool.endpoints
        assert backup.instance.tags == ("backup",)
        for endpoint in (first, second):
            pool.drain(endpoint, "tried")
        assert set(await staged.answers(6)) == {NEXT}  # the backup
        pool.undrain(first.instance.id, "tried", asyncio.get_running_loop().time())
        assert 0 < first.weight < first.instance.weight


@pytest.mark.runs("Simulation")
def test_simulation(parts: list[Snippet]) -> None:
    scenario = parse(parts[0].text, name="README.md")
    [peak_ewma] = simulate(scenario, scenario.policies).comparisons
    assert peak_ewma.p99 is not None
    assert 10 < 1 / peak_ewma.p99 < 12
