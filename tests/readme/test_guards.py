"""Who may pass."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.readme.staging import Staged

WEB, WEB_2, AUTH = "10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.4:8000"
HASH = "$2b$04$cK7LVfA7wKFjMD/UWP310OBCvX8nB1mKnRX3yLx158aX0ov03O0Wu"  # of secret


@pytest.mark.runs("Address lists")
async def test_address_lists(stage: Staged) -> None:
    async with stage(at={"192.0.2.0/24": "127.0.0.2/32", "10.0.0.0/8": "127.0.0.3/32"}) as staged:
        assert (await staged.ask(me="127.0.0.2")).status == 403
        assert (await staged.ask()).status == 200
        assert (await staged.ask("/admin")).status == 403
        assert (await staged.ask("/admin", me="127.0.0.3")).status == 200


@pytest.mark.runs("Rate limits")
async def test_rate_limits(stage: Staged) -> None:
    async with stage() as staged:
        answers = [await staged.ask("/api") for _ in range(6)]
        assert [answer.status for answer in answers] == [200] * 5 + [429]
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
        assert (await staged.ask("/api", me="127.0.0.2")).status == 200
        keyed = [(await staged.ask("/keyed", headers={"X-Api-Key": key})).status for key in "aaab"]
        assert keyed == [200, 200, 429, 200]


def login(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"alice:{password}".encode()).decode()}


@pytest.mark.runs("Basic authentication")
async def test_basic_authentication(stage: Staged, tmp_path: Path) -> None:
    (tmp_path / "users.htpasswd").write_text(f"alice:{HASH}\n")
    async with stage() as staged:
        refused = await staged.ask()
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith('Basic realm="Back office"')
        assert (await staged.ask(headers=login("wrong"))).status == 401
        answer = await staged.ask(headers={**login("secret"), "X-User": "root"})
        [asked] = staged.instances[answer.text].asked
        assert asked.headers.getall("X-User") == ["alice"]


@pytest.mark.runs("Forward authentication")
async def test_forward_authentication(stage: Staged) -> None:
    async with stage() as staged:
        auth = staged.instances[AUTH]
        auth.headers = {"X-User": "alice"}
        answer = await staged.ask("/basket", headers={"X-User": "root"})
        [asked] = staged.instances[answer.text].asked
        assert asked.headers.getall("X-User") == ["alice"]
        assert (auth.asked[0].path, auth.asked[0].headers["X-Forwarded-Uri"]) == ("/check", "/basket")
        auth.status = 401
        refused = await staged.ask("/basket")
        assert (refused.status, refused.text) == (401, AUTH)
