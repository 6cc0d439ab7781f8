"""The etcd registry against a real server with authentication on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from discovery.registry import RegistryError
from tests.discovery.etcd.service import Service
from tests.discovery.watching import first, has, until, watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.etcd import EtcdServer


@pytest.fixture
def service(own_etcd: EtcdServer) -> Service:
    """A service with one instance, a user `reader` who may read it, and a `stranger` who may not."""
    service = Service(own_etcd)
    service.put("one")
    own_etcd.add_user("reader", "reader's")
    own_etcd.let_read("reader", service.prefix)
    own_etcd.add_user("stranger", "stranger's")
    own_etcd.enable_authentication()
    return service


async def test_the_right_password_reads(service: Service):
    async with service.watch(username="reader", password="reader's") as watch:
        await until(watch, has("one"))
        service.put("two")
        assert (await until(watch, has("one", "two"))).continuous


async def test_the_wrong_password_is_an_error(service: Service):
    async with service.watch(username="reader", password="wrong") as watch:
        with pytest.raises(RegistryError, match="authentication failed, invalid user ID or password") as caught:
            await first(watch)
    assert "wrong" not in str(caught.value)


async def test_no_login_is_an_error(service: Service):
    async with service.watch() as watch:
        with pytest.raises(RegistryError, match="user name is empty; give username and password"):
            await first(watch)


async def test_a_user_without_the_right_is_an_error(service: Service):
    async with service.watch(username="stranger", password="stranger's") as watch:
        with pytest.raises(RegistryError, match=r"HTTP 403: .*permission denied; .* may read the prefix"):
            await first(watch)


async def test_a_right_that_is_taken_away_while_we_watch_is_an_error(service: Service):
    async with service.watch(username="reader", password="reader's", heartbeat=0.05) as watch:
        await until(watch, has("one"))
        service.server.call("auth/user/revoke", {"name": "reader", "role": "reader"})
        with pytest.raises(RegistryError, match="permission denied"):
            await until(watch, has())


async def test_the_password_file_is_read_anew_by_each_watch(service: Service, tmp_path: Path):
    file = tmp_path / "password"
    registry = service.registry(username="reader", password_file=file)
    async with watching(registry, service.prefix) as watch:
        with pytest.raises(RegistryError, match=f"the password file {file} cannot be read: .*No such file"):
            await first(watch)
    file.write_text("wrong\n")
    async with watching(registry, service.prefix) as watch:
        with pytest.raises(RegistryError, match="invalid user ID or password"):
            await first(watch)
    file.write_text("reader's\n")
    async with watching(registry, service.prefix) as watch:
        await until(watch, has("one"))


async def test_a_token_that_expires_is_renewed(service: Service):
    """A user whose password is set anew loses all tokens."""
    async with service.watch(username="reader", password="reader's", heartbeat=0.05) as watch:
        await until(watch, has("one"))
        await first(watch)  # the watch is open
        service.server.call("auth/user/changepw", {"name": "reader", "password": "reader's"})
        for _ in range(3):
            await first(watch)
        service.put("two")
        assert (await until(watch, has("one", "two"))).continuous


async def test_authentication_may_be_turned_off_and_on(service: Service):
    login = {"username": "reader", "password": "reader's"}
    async with service.watch(heartbeat=0.05, **login) as watch:
        await until(watch, has("one"))
        await first(watch)  # the watch is open
        service.server.disable_authentication()
        for _ in range(3):
            await first(watch)
        async with service.watch(heartbeat=0.05, **login) as other:
            await until(other, has("one"))
            await first(other)
            service.server.enable_authentication()
            for _ in range(3):
                await first(other)
                assert has("one")(await first(watch))
