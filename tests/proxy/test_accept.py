"""An operator says that a set which is held back is right."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.proxy.running import Running, running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def holding(folder: Path, guard: dict[str, str], *left: str) -> AsyncIterator[Running]:
    """A pointsman that watched a file with three instances become senseless, and then this."""
    file = folder / "web.json"
    file.write_text(json.dumps(["127.0.0.1:7", "127.0.0.1:8", "127.0.0.1:9"]))
    services = {"web": {"discovery": [{"file": "web.json"}, {"static": ["127.0.0.1:10"]}], "guard": guard}}
    async with running({"services": services}, folder) as pointsman:
        keeper = pointsman.application.services["web"].sources[0].keeper
        await until(lambda: not pointsman.application.unready())
        file.write_text("[")
        await until(lambda: keeper.error)
        file.write_text(json.dumps(left))
        await until(lambda: not keeper.error)
        yield pointsman


async def accept(pointsman: Running, query: str = "", service: str = "web", **headers: str) -> tuple[int, Any]:
    url = f"{pointsman.admin_url}/api/v1/services/{service}/accept{query}"
    async with pointsman.session.post(url, headers=headers) as response:
        return response.status, await response.json()


async def test_what_is_held_is_accepted(tmp_path: Path) -> None:
    async with holding(tmp_path, {"hold": "10m", "max_shrink": "50%"}, "127.0.0.1:7") as pointsman:
        _, shown = await pointsman.admin("/api/v1/services/web")
        held = shown["registry"]["held"]
        assert 500 < held.pop("accepted_in_seconds") <= 600
        assert held == {"instances": 1, "kept": 2, "reason": "nobody saw them go"}
        assert len(shown["endpoints"]) == 4
        assert (await accept(pointsman, "?source=static"))[0] == 409
        assert (await accept(pointsman, Origin="http://elsewhere.test"))[0] == 403
        status, shown = await accept(pointsman, "?source=file")
        assert (status, len(shown["endpoints"]), shown["registry"]["held"]) == (200, 2, None)
        assert await accept(pointsman) == (409, {"error": "nothing is held back"})
        _, body = await pointsman.admin("/api/v1/events")
        told = {event["kind"]: event["reason"] for event in body["events"]}
        assert told["shrink_accepted"] == "file: the set of 1 that was held back is in force: an operator said so"


async def test_who_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    async with holding(tmp_path, {"hold": "10m"}) as pointsman:
        assert (await accept(pointsman, service="shop"))[0] == 404
        status, body = await accept(pointsman, "?source=consul")
        assert (status, body) == (400, {"error": "there is no source 'consul'; there are: file, static"})
        _, shown = await pointsman.admin("/api/v1/services/web")
        assert shown["registry"]["held"]["kept"] == 3


async def test_who_cuts_a_file_short_means_it(tmp_path: Path) -> None:
    async with holding(tmp_path, {}, "127.0.0.1:7") as pointsman:
        await until(lambda: len(pointsman.application.services["web"].pool.endpoints) == 2)
