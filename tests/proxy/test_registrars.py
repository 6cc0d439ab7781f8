"""From what is to be registered to a registrar, and the address that is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from config.load import parse
from config.provider import Provider
from config.register import TARGETS
from discovery.registry import RegistryError
from proxy import registrars
from proxy.commands.register import ADDRESSES
from proxy.registrars import Target
from tests.config.reading import FOLDER

if TYPE_CHECKING:
    from discovery.instance import Instance
    from discovery.registrar import Lease


def target(**keys: Any) -> Target:
    written = {"register": {"service": "web", "port": 80, **keys}}
    config = parse(yaml.safe_dump(written), name="test", folder=FOLDER, environ={}, model=Provider)
    return registrars.make(config.registered[0])


def test_every_registry_has_a_registrar_and_an_option():
    for kind in TARGETS:
        assert target(**{kind: {}}).places
    assert tuple(ADDRESSES) == TARGETS


def test_where_the_registry_listens():
    assert target(consul={"address": "https://c.internal:8501"}).places == (("c.internal", 8501),)
    assert target(consul={"address": "https://c.internal"}).places == (("c.internal", 443),)
    assert target(etcd={"endpoints": ["http://a:2379", "http://[fd00::1]:2380"]}).places == (
        ("a", 2379), ("fd00::1", 2380),
    )  # fmt: skip


def test_the_service_s_name_there():
    assert target(consul={}).service == "web"
    assert target(etcd={}).service == "/services/web/"
    assert target(etcd={"prefix": "/s/"}).service == "/s/"


class Registrar:
    async def register(self, service: str, instance: Instance) -> Lease:
        raise AssertionError


async def test_the_address_that_leads_to_the_registry():
    assert await Target(Registrar(), "web", (("127.0.0.1", 1),)).own_address() == "127.0.0.1"


async def test_the_first_place_that_can_be_reached_counts():
    places = (("nowhere.invalid", 1), ("127.0.0.1", 1))
    assert await Target(Registrar(), "web", places).own_address() == "127.0.0.1"
    with pytest.raises(RegistryError, match=r"nowhere\.invalid has no address"):
        await Target(Registrar(), "web", places[:1]).own_address()


async def test_a_registry_on_this_machine_is_asked_for_an_address_that_others_know():
    async def told() -> str:
        return "10.0.0.7"

    assert await Target(Registrar(), "web", (("127.0.0.1", 1),), told).own_address() == "10.0.0.7"


async def test_one_that_does_not_tell_is_an_error_that_says_what_to_do():
    async def told() -> str:
        raise RegistryError("HTTP 403")

    with pytest.raises(RegistryError, match="HTTP 403; or give the address to register"):
        await Target(Registrar(), "web", (("127.0.0.1", 1),), told).own_address()
