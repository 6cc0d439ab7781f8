"""Tasks that try again after any fault, asked to end while what they wait for fails on its way out: they end."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from discovery import check as probes
from discovery.consul.datacenters import Datacenters
from discovery.embedded import probing, server
from discovery.embedded.catalog import Check
from discovery.embedded.definition import CheckDefinition
from discovery.eureka.client import Client, EurekaError
from discovery.eureka.poller import Account, Poller
from discovery.login import BasicLogin
from discovery.registry import RegistryError
from proxy.catalog import Catalog
from proxy.tasks import Tasks
from tests.proxy.test_prober import Probed, options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

SOON = 5.0  # seconds; a task that goes on would never end


class Waits:
    """What does not come to an end until it is cancelled, and then fails instead, the first time."""

    def __init__(self, fault: Exception) -> None:
        self.times = 0
        self._fault = fault
        self._began = asyncio.Event()

    async def wait(self, *_: object, **__: object) -> Any:
        self.times += 1
        self._began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.times == 1:
                raise self._fault from None
            raise  # who has begun anew is ended by the time limit

    async def watch(self, *_: object) -> AsyncIterator[Any]:
        yield await self.wait()

    async def ends(self, ending: Awaitable[object]) -> None:
        """Once somebody waits for it: this ends in time, and nobody has begun anew."""
        async with asyncio.timeout(SOON):
            await self._began.wait()
            await ending
        assert self.times == 1


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("fault", [RegistryError("it went away"), AttributeError("_abort")])
async def test_a_catalog(fault: Exception) -> None:
    waits = Waits(fault)
    stub: Any = waits
    catalog = Catalog("c", stub, keep=stub, make=stub, read=stub, changed=stub, journal=stub)
    await waits.ends(cancelled(asyncio.create_task(catalog.run(Tasks()))))
    assert not catalog.error


async def test_a_datacenter() -> None:
    waits = Waits(RegistryError("it went away"))
    stub: Any = waits

    async def follow() -> None:
        async for _ in Datacenters([("dc1", stub)]).watch("web"):
            raise AssertionError("there is no answer")

    await waits.ends(cancelled(asyncio.create_task(follow())))


async def test_a_prober(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(ConnectionResetError("gone"))
    monkeypatch.setattr(probes, "tcp", waits.wait)
    async with Probed("127.0.0.1:9", options(path="")) as probed:
        await waits.ends(probed.prober.stop())
        assert [kind for kind, _ in probed.events] == ["joined"]


async def test_those_who_ask_eureka(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(EurekaError("it went away"))
    monkeypatch.setattr(Client, "send", waits.wait)
    account = Account(("http://127.0.0.1:1/eureka/", "http://127.0.0.1:2/eureka/"), BasicLogin(""))

    async def follow() -> None:
        async for _ in Poller(account).moments():
            raise AssertionError("there is no answer")

    await waits.ends(cancelled(asyncio.create_task(follow())))


async def test_a_check_of_the_embedded_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(ConnectionResetError("gone"))
    monkeypatch.setattr(probes, "tcp", waits.wait)
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.0)
    found = Waits(AssertionError("nothing was found"))
    checks = probing.Probing(found.wait)
    definition = CheckDefinition.model_validate({"TCP": "127.0.0.1:9", "Interval": "1s"})
    checks.follow([("a", Check("a", "a", "", "web", "tcp", definition, "critical", "", 1, 1))])
    await waits.ends(checks.close())
    assert not found.times


async def test_a_work_of_the_embedded_registry() -> None:
    waits = Waits(OSError("the disk is full"))
    end = server._started(waits.wait, "work")
    await waits.ends(end())
