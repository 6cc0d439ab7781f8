"""Who gets how much, whatever the policy, on a whole pointsman."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from proxy.settings import StickyKeyError
from tests.proxy.running import instance, running, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proxy.running import Running


async def web(stack: AsyncExitStack, instances: list[dict[str, Any]], **service: Any) -> Running:
    addresses = [{**one, "address": await stack.enter_async_context(instance(one["id"]))} for one in instances]
    services = {"web": {"discovery": {"static": addresses}, **service}}
    pointsman = await stack.enter_async_context(running({"services": services}))
    await until(lambda: not pointsman.application.unready())
    return pointsman


async def answers(pointsman: Running, count: int = 40, **options: Any) -> Counter[str]:
    return Counter([(await pointsman.get(**options))[1] for _ in range(count)])


async def test_a_header_chooses_the_version() -> None:
    async with AsyncExitStack() as stack:
        instances = [{"id": "old", "metadata": {"version": "1"}}, {"id": "new", "metadata": {"version": "2"}}]
        subset = {"header": "X-Version", "metadata": "version", "strict": True}
        pointsman = await web(stack, instances, subset=subset)
        assert await answers(pointsman, headers={"X-Version": "2"}) == {"new": 40}
        assert await answers(pointsman) == {"old": 20, "new": 20}
        status, text = await pointsman.get(headers={"X-Version": "3"})
        assert status == 503
        assert "none of its instances belongs to the subset that the request asks for" in text


async def test_a_backup_stands_by() -> None:
    async with AsyncExitStack() as stack:
        instances: list[dict[str, Any]] = [{"id": "main"}, {"id": "spare", "tags": ["backup"]}]
        overrides = [{"tags": ["backup"], "priority": 1}]
        pointsman = await web(stack, instances, overrides=overrides)
        assert await answers(pointsman) == {"main": 40}
        pool = pointsman.application.services["web"].pool
        main = next(one for one in pool.endpoints if one.instance.id == "main")
        main.health.eject("probe", "for the test", 0.0)
        pool._stale = True
        assert await answers(pointsman) == {"spare": 40}


async def test_shares_and_zones_and_what_the_admin_api_shows() -> None:
    async with AsyncExitStack() as stack:
        instances: list[dict[str, Any]] = [
            {"id": "near", "zone": "a", "weight": 4},
            {"id": "near too", "zone": "a"},
            {"id": "far", "zone": "b"},
        ]
        overrides = [{"id": "near", "share": "25%"}]
        zones = {"prefer": "a", "min_instances": 2}
        pointsman = await web(stack, instances, overrides=overrides, zones=zones, slow_start={})
        assert await answers(pointsman) == {"near": 20, "near too": 20}
        _, shown = await pointsman.admin("/api/v1/services/web")
        assert [(one["id"], one["weight"], one["weight_in_force"], one["priority"]) for one in shown["endpoints"]] == [
            ("far", 1, 1, 0),
            ("near", 1, 1, 0),
            ("near too", 1, 1, 0),
        ]


async def test_clients_go_back_to_who_answered_them() -> None:
    async with AsyncExitStack() as stack:
        sticky = {"cookie": "sid", "key": "secret", "max_age": "1h"}
        pointsman = await web(stack, [{"id": name} for name in "abc"], sticky=sticky, balancer="random")
        async with pointsman.session.get(pointsman.url) as response:
            first = await response.text()
            assert response.cookies["sid"]["max-age"] == "3600"
            value = response.cookies["sid"].value
        pointsman.session.cookie_jar.clear()
        for _ in range(20):
            async with pointsman.session.get(pointsman.url, headers={"Cookie": f"sid={value}"}) as response:
                assert await response.text() == first
                assert "Set-Cookie" not in response.headers
        pool = pointsman.application.services["web"].pool
        gone = next(one for one in pool.endpoints if one.instance.id == first)
        gone.health.eject("probe", "for the test", 0.0)
        pool._stale = True
        async with pointsman.session.get(pointsman.url, headers={"Cookie": f"sid={value}"}) as response:
            assert await response.text() != first
            assert response.cookies["sid"].value != value


async def test_a_key_that_cannot_be_read_is_an_error_that_says_which(tmp_path: Path) -> None:
    services = {"web": {"discovery": {"static": ["127.0.0.1:9"]}, "sticky": {"key_file": "key"}}}
    with pytest.raises(StickyKeyError, match=r"sticky\.key_file: .*key cannot be read: No such file"):
        async with running({"services": services}, tmp_path):
            pass
    (tmp_path / "key").write_text("\n")
    with pytest.raises(StickyKeyError, match="is empty"):
        async with running({"services": services}, tmp_path):
            pass


async def test_a_panic_shows_in_the_responses_of_those_who_ask_for_it() -> None:
    async with AsyncExitStack() as stack:
        pointsman = await web(stack, [{"id": name} for name in "ab"], health={"panic_header": True})
        async with pointsman.session.get(pointsman.url) as response:
            assert "X-Pointsman-Panic" not in response.headers
        pool = pointsman.application.services["web"].pool
        for one in pool.endpoints:
            one.health.eject("probe", "for the test", 0.0)
        pool._stale = True
        async with pointsman.session.get(pointsman.url) as response:
            assert response.status == 200
            assert response.headers["X-Pointsman-Panic"] == "true"
