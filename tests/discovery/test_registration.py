"""Registration: the loop that does what Presence decides, against a registrar that the test holds in its hands."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from discovery import registration as module
from discovery.check import Outcome
from discovery.instance import Instance
from discovery.registrar import LeaseLostError
from discovery.registration import Registration
from discovery.registry import RegistryError
from tests.discovery.watching import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WEB = Instance("web-1", "10.0.0.1", 80)


class World:
    """A registry, an instance and what it answers to probes; `said` is what the registry was told, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.events: list[tuple[str, str, str]] = []
        self.passes = True
        self.away = False
        self.lost = False
        self.broken = False
        self.hangs = False
        self.interval = 0.02
        self.present = False

    async def check(self) -> Outcome:
        return Outcome(self.passes, "fine" if self.passes else "HTTP 503")

    async def describe(self) -> Instance:
        return WEB

    async def register(self, service: str, instance: Instance) -> Lease:
        await self.hear(f"register {service} {instance.id}")
        self.present = True
        self.lost = False
        return Lease(self)

    async def hear(self, what: str) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.broken:
            raise KeyError("not foreseen")
        if self.away:
            raise RegistryError("it is away")
        self.said.append(what)

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.events]


class Lease:
    def __init__(self, world: World) -> None:
        self.world = world
        self.interval = world.interval

    async def renew(self) -> None:
        await self.world.hear("renew")
        if self.world.lost:
            raise LeaseLostError("never heard of it")

    async def revoke(self) -> None:
        await self.world.hear("revoke")
        self.world.present = False

    async def release(self) -> None:
        await self.world.hear("release")


@pytest.fixture
def world() -> World:
    return World()


@asynccontextmanager
async def kept(world: World, *, probed: bool = True, **options: Any) -> AsyncIterator[Registration]:
    registration = Registration(
        "web",
        world,
        world.describe,
        check=world.check if probed else None,
        interval=0.01,
        journal=lambda kind, identity, text: world.events.append((kind, identity, text)),
        source=random.Random(1),
        **options,
    )
    running = asyncio.create_task(registration.run())
    try:
        yield registration
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled() or running.exception() is None


async def test_it_is_registered_once_its_probe_passes_and_kept_alive(world: World):
    world.passes = False
    async with kept(world) as registration:
        await asyncio.sleep(0.05)
        assert world.said == []
        world.passes = True
        await eventually(lambda: registration.is_in)
        await eventually(lambda: world.said.count("renew") >= 3)
    assert world.said[:4] == ["register web web-1", "renew", "renew", "renew"]
    assert world.events[0] == ("registered", "web-1", "at 10.0.0.1:80")


async def test_without_a_probe_it_is_registered_at_once(world: World):
    async with kept(world, probed=False) as registration:
        await eventually(lambda: registration.is_in)


async def test_a_probe_that_fails_takes_it_out_and_one_that_passes_puts_it_in(world: World):
    async with kept(world, rise=2, fall=2):
        await eventually(lambda: world.present)
        world.passes = False
        await eventually(lambda: not world.present)
        world.passes = True
        await eventually(lambda: world.present)
    assert [kind for kind in world.kinds() if kind != "registration_recovered"] == [
        "registered", "probe_failed", "deregistered", "registered",
    ]  # fmt: skip
    assert ("probe_failed", "web-1", "HTTP 503") in world.events


async def test_it_is_registered_anew_when_the_registry_lost_it(world: World):
    async with kept(world):
        await eventually(lambda: world.present)
        world.lost, world.present = True, False
        await eventually(lambda: world.present)
    assert ("registration_lost", "web-1", "never heard of it") in world.events
    # The old lease is revoked too, so that it releases what it holds.
    lost = world.said.index("revoke")
    assert world.said[lost + 1] == "register web web-1"


async def test_a_registry_that_is_away_ends_nothing(world: World):
    world.away = True
    async with kept(world) as registration:
        await eventually(lambda: registration.error == "it is away")
        world.away = False
        await eventually(lambda: registration.is_in)
        assert registration.error == ""
        world.away = True
        await eventually(lambda: registration.error == "it is away")
        assert registration.is_in  # as far as anybody knows
        world.away = False
        await eventually(lambda: registration.error == "")
    assert world.said.count("register web web-1") == 1
    assert world.kinds()[:2] == ["registration_failed", "registration_recovered"]


async def test_a_fault_of_the_registrar_ends_nothing(world: World):
    world.broken = True
    async with kept(world) as registration:
        await eventually(lambda: registration.error == "KeyError: 'not foreseen'")
        world.broken = False
        await eventually(lambda: registration.is_in)


async def test_leaving_takes_it_out_before_it_returns(world: World):
    async with kept(world) as registration:
        await eventually(lambda: world.present)
        assert await registration.leave()
        assert not world.present
        world.said.clear()
        await asyncio.sleep(0.05)
        assert world.said == []


async def test_leaving_what_was_never_in_asks_nobody(world: World):
    world.passes = False
    async with kept(world) as registration:
        assert not await registration.leave()
    assert world.said == []


async def test_leaving_goes_on_trying_while_the_registry_is_away(world: World):
    async with kept(world) as registration:
        await eventually(lambda: world.present)
        world.interval = 10.0
        await eventually(lambda: world.said[-1] == "renew")
        world.away = True
        leaving = asyncio.create_task(registration.leave())
        await eventually(lambda: bool(registration.error))
        assert not leaving.done()
        world.away = False
        assert await leaving
        assert not world.present


async def test_leaving_has_a_deadline(world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(module, "BRIEF", 0.1)
    async with kept(world, leaving=0.1) as registration:
        await eventually(lambda: world.present)
        world.hangs = True
        assert await registration.leave()
    assert "could not be taken out within 0.1 s" in caplog.text


async def test_an_act_without_an_end_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    monkeypatch.setattr(module, "BRIEF", 0.1)
    world.hangs = True
    async with kept(world) as registration:
        await eventually(lambda: registration.error == "no answer within 0.05 s")
        world.hangs = False
        await eventually(lambda: registration.is_in)


async def test_being_cancelled_takes_it_out_too(world: World):
    async with kept(world):
        await eventually(lambda: world.present)
    assert not world.present


async def test_being_cancelled_ends_it_though_its_connection_cannot_be_closed(world: World):
    async def closes_badly(what: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RegistryError(f"{what}: it went away")

    world.hear = closes_badly  # type: ignore[method-assign]
    async with kept(world, probed=False) as registration:
        await eventually(lambda: registration._is_acting)
    assert not registration.error
    assert not world.events


async def test_an_instance_that_dies_in_mid_probe_has_failed_it(world: World):
    async def check() -> Outcome:
        if world.passes:
            return Outcome(True, "fine")
        raise ConnectionResetError("gone")

    world.check = check  # type: ignore[method-assign]
    async with kept(world, fall=1):
        await eventually(lambda: world.present)
        world.passes = False
        await eventually(lambda: not world.present)
    assert ("probe_failed", "web-1", "ConnectionResetError: gone") in world.events


async def test_while_another_process_takes_its_place_it_does_no_more_than_renew(world: World):
    async with kept(world) as registration:
        await eventually(lambda: world.present)
        await registration.share()
        said = len(world.said)
        world.passes, world.lost = False, True
        await eventually(lambda: "renew" in world.said[said:])
        await eventually(lambda: not registration.is_in)
        await asyncio.sleep(0.05)
        assert set(world.said[said:]) <= {"renew", "revoke"}  # a lease that is lost releases what it holds
        assert "registration_lost" not in world.kinds()
        world.passes = True
        registration.resume()
        await eventually(lambda: registration.is_in)
        assert world.said[-1] != "revoke"


async def test_what_is_given_up_stays_in_the_registry(world: World):
    async with kept(world) as registration:
        await eventually(lambda: world.present)
        await registration.share()
        registration.give_up()
        await eventually(lambda: world.said[-1] == "release")
    assert world.present
    assert "revoke" not in world.said
    assert "deregistered" not in world.kinds()
