"""Access rules: what may not be seen is an error, and never an empty set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from discovery.registry import RegistryError
from tests.discovery.watching import eventually, first, has, until
from tests.discovery.zookeeper.service import Kept

if TYPE_CHECKING:
    from pathlib import Path

    from tests.discovery.zookeeper.service import Service

REFUSED = r"the rights \(ACL\) of the node do not allow it"


@pytest.mark.parametrize("login", [{}, {"username": "reader", "password": "wrong"}, {"username": "x", "password": "y"}])
async def test_a_list_that_may_not_be_read(service: Service, login: dict[str, str]):
    service.put("one")
    service.server.protect(service.path, "reader", "reader's")
    async with service.watch(**login) as watch:
        with pytest.raises(RegistryError, match=f"{service.path}: {REFUSED}"):
            await first(watch)


async def test_a_child_that_may_not_be_read(service: Service):
    """Were it left out, a set that is all hidden would look like an empty one."""
    service.put("one")
    hidden = service.put("two")
    service.server.protect(hidden, "reader", "reader's")
    async with service.watch() as watch:
        with pytest.raises(RegistryError, match=REFUSED):
            await first(watch)
    async with service.watch(username="reader", password="reader's") as watch:
        assert has("one", "two")(await first(watch))


async def test_a_right_that_is_taken_away_changes_nothing_and_is_said(service: Service):
    service.put("one")
    async with Kept(service, heartbeat=0.1) as kept:
        await eventually(lambda: kept.shows("one"))
        service.server.protect(service.path, "reader", "reader's")
        service.put("two")
        await eventually(lambda: "rights" in kept.keeper.error)
        assert kept.shows("one")


async def test_the_password_file_is_read_whenever_a_watch_begins(service: Service, tmp_path: Path):
    service.put("one")
    service.server.protect(service.path, "reader", "reader's: secret")
    file = tmp_path / "password"
    options = {"username": "reader", "password_file": file}
    async with service.watch(**options) as watch:
        with pytest.raises(RegistryError, match=r"the password file .* cannot be read"):
            await first(watch)
    file.write_text("wrong\n")
    async with service.watch(**options) as watch:
        with pytest.raises(RegistryError, match=REFUSED):
            await first(watch)
    file.write_text("reader's: secret\n")
    async with service.watch(**options) as watch:
        await until(watch, has("one"))
