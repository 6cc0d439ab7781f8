"""Where requests go."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.proxy.running import until

if TYPE_CHECKING:
    from tests.readme.consoles import Console
    from tests.readme.staging import Staged

WEB, WEB_2, NEXT = "10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"


@pytest.mark.runs("What it does")
async def test_what_the_others_leave_out(stage: Staged) -> None:
    async with stage() as staged:
        assert Counter(await staged.answers(4)) == {WEB: 2, WEB_2: 2}
        assert (await staged.pointsman.admin("/readyz"))[0] == 200


@pytest.mark.runs("Routing")
async def test_routing(stage: Staged) -> None:
    async with stage(at={"10.0.0.0/8": "127.0.0.2/32"}) as staged:

        async def goes(path: str, host: str = "shop", **options: object) -> bool:
            """Whether it goes to the other service."""
            return (await staged.ask(path, host=host, **options)).text == NEXT  # type: ignore[arg-type]

        for path in ("/api", "/api/x", "/%61pi", "//api", "/x/../api"):
            assert await goes(path, "shop.example.com"), path
        assert not await goes("/apis", "shop.example.com")
        assert not await goes("/api", "shop.example.com", method="POST")
        assert not await goes("/api", "other.example.com")
        assert await goes("/login", "a.example.com")
        assert not await goes("/login/x", "a.example.com")
        assert not await goes("/login", "example.com")
        assert await goes("/v2/x?debug=1")
        assert not await goes("/v2/x")
        assert not await goes("/vx/?debug=1")
        canary = {"X-Canary": "yes"}
        assert await goes("/", headers=canary, me="127.0.0.2")
        assert not await goes("/", headers=canary)
        assert not await goes("/", headers={"X-Canary": "no"}, me="127.0.0.2")


@pytest.mark.runs("Redirects and fixed answers")
async def test_redirects_and_fixed_answers(stage: Staged) -> None:
    async with stage() as staged:
        moved = await staged.ask("/basket?item=7", host="old.example.com")
        assert (moved.status, moved.headers["Location"]) == (308, "https://shop.example.com/basket?item=7")
        article = await staged.ask("/articles/12")
        assert (article.status, article.headers["Location"]) == (302, "/a/12")
        closed = await staged.ask("/closed/today")
        assert (closed.status, closed.text, closed.headers["Retry-After"]) == (503, "back at noon", "3600")
        assert (await staged.ask("/articles/x")).text in {WEB, WEB_2}
        assert sum(len(one.asked) for one in staged.instances.values()) == 1


@pytest.mark.runs("Rewriting")
async def test_rewriting(stage: Staged) -> None:
    async with stage() as staged:
        for path in ("/api/v1/users?a=b", "/old/x", "/users/12/edit", "/users/12"):
            await staged.ask(path, host="shop")
        asked = [one.path for name in (WEB, WEB_2) for one in staged.instances[name].asked]
        assert sorted(asked) == ["/edit/12", "/new/x", "/users/12", "/users?a=b"]


@pytest.mark.runs("Splits", "Splits 2")
async def test_splits(stage: Staged, console: Console) -> None:
    async with stage() as staged:
        first = await staged.ask()
        assert first.text in {WEB, WEB_2, NEXT}
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        assert cookie.startswith("pointsman_web-canary=")
        who = set(await staged.answers(10, headers={"Cookie": cookie}))
        assert who <= ({NEXT} if first.text == NEXT else {WEB, WEB_2})
        await console(staged)
        counted = Counter(answer == NEXT for answer in await staged.answers(60))
        assert counted[True] >= 10  # of 60; with a weight of 5 it would be 3
        assert counted[False] >= 10


@pytest.mark.runs("Header rules")
async def test_header_rules(stage: Staged) -> None:
    async with stage() as staged:
        answer = await staged.ask(host="shop.example.com", headers={"X-Debug-Level": "9"})
        instance = staged.instances[answer.text]
        [asked] = instance.asked
        assert "X-Debug-Level" not in asked.headers
        assert (asked.headers["Host"], asked.headers["X-Served-For"]) == ("web.internal", "127.0.0.1")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert answer.headers["Server-Timing"] == f'instance;desc="{instance.address}"'
        ours = await staged.ask(method="TRACE")
        assert (ours.status, ours.headers["Strict-Transport-Security"]) == (405, "max-age=31536000")


@pytest.mark.runs("Mirroring")
async def test_mirroring(stage: Staged) -> None:
    async with stage() as staged:
        mirror = staged.instances[NEXT]
        mirror.status = 500
        assert (await staged.ask("/search?q=x")).status == 200
        assert (await staged.ask("/other")).status == 200
        await until(lambda: mirror.asked)
        [copy] = mirror.asked
        assert (copy.path, copy.headers["X-Pointsman-Mirror"]) == ("/search?q=x", "true")
