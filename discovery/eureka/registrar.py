"""Register an instance in Eureka: put it in, renew its lease, and take it out again.

Whoever asks a server hears what it last put into its cache, half a minute ago at most; so who takes an instance out
waits for a while until the server says so, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from discovery.eureka.answers import read_answer
from discovery.eureka.client import NO_DELTA, Client, EurekaError, RefusedError
from discovery.instance import Availability
from discovery.login import BasicLogin
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path

    from discovery.instance import Instance

log = logging.getLogger(__name__)

LEASE = 90.0  # seconds; Eureka's own default, as is a third of it for the renewals
SETTLE = 3.0  # seconds; a server's cache may hold an answer for 30, for which nobody who ends can wait here
LOOK = 0.5  # seconds between two looks whether the server still tells of an instance
SEPARATOR = ","  # between tags, in the metadata

_STATUSES = {Availability.UP: "UP", Availability.DRAINING: "OUT_OF_SERVICE", Availability.DOWN: "DOWN"}


class EurekaRegistrar:
    """Registers instances in the Eureka whose servers' APIs are at `urls`; they are tried in turn.

    A service's name is that of an application, which Eureka writes in capitals, and in small letters that of its
    virtual host. A lease lasts `ttl` seconds without a renewal. `settle` is how many seconds are waited until a server
    tells of an instance no more, once it is taken out; its cache may take longer, which the log then says.
    """

    def __init__(
        self,
        urls: Iterable[str],
        *,
        username: str = "",
        password: str = "",
        password_file: Path | None = None,
        timeout: float = 5.0,
        ttl: float = LEASE,
        settle: float = SETTLE,
    ) -> None:
        self._urls = list(urls)
        self._login = BasicLogin(username, password, password_file)
        self._timeout = timeout
        self._ttl = ttl
        self._settle = settle

    async def register(self, service: str, instance: Instance) -> EurekaLease:
        """Put the instance in, in place of one of the same identity. Raises RegistryError."""
        lease = EurekaLease(self, service.upper(), instance, self._ttl)
        await self._ask(lease.put)
        return lease

    async def _ask(self, question: Callable[[Client], Awaitable[object]]) -> None:
        """Ask the servers in turn, first the one that last worked; raise RegistryError when none gives an answer."""
        complaints: list[str] = []
        for url in tuple(self._urls):
            try:
                async with Client(url, self._login, self._timeout) as client:
                    await question(client)
                    return
            except EurekaError as error:
                complaints.append(f"Eureka at {url}: {error}")
                self._urls.sort(key=lambda other: other == url)
        raise RegistryError("; ".join(complaints))


class EurekaLease:
    """An instance's place in Eureka, for as long as it is renewed in time."""

    def __init__(self, registrar: EurekaRegistrar, app: str, instance: Instance, seconds: float) -> None:
        self.interval = seconds / 3
        self._registrar = registrar
        self._app = app
        self._id = instance.id
        self._told = described(app, instance, seconds)

    async def renew(self) -> None:
        """Raises LeaseLostError when the server does not know the instance, RegistryError when none can be asked."""
        await self._registrar._ask(self._renew)

    async def revoke(self) -> None:
        """Take the instance out, and return when the server tells nobody of it any more, or when `settle` is over.

        Raises RegistryError when no server can be asked.
        """
        await self._registrar._ask(self._take_out)

    async def release(self) -> None:
        """Leave the instance to who renews it from now on."""

    async def put(self, client: Client) -> None:
        """Register the instance at one server."""
        if self._told["status"] == "UP" and await self._is_out(client):
            await client.send("DELETE", "apps", self._app, self._id)
        await self._post(client, self._told)

    async def _post(self, client: Client, told: Mapping[str, Any]) -> None:
        # Of two descriptions of an instance, servers keep the later one.
        self._registered = str(int(time.time() * 1000))
        await client.send(
            "POST", "apps", self._app, body={"instance": {**told, "lastDirtyTimestamp": self._registered}}
        )

    async def _is_out(self, client: Client) -> bool:
        """Tell whether the server knows the instance as out of service.

        If so it would hold on to that, though it is registered as UP in its own place (LeaseExistsRule). What somebody
        set as an override stays, for that is what overrides are for.
        """
        try:
            answer = await client.send("GET", "apps", self._app, self._id)
            told = json.loads(answer)["instance"]
            return bool(told["status"] == "OUT_OF_SERVICE" and told.get("overriddenStatus", "UNKNOWN") == "UNKNOWN")
        except RefusedError as error:
            if error.status != 404:
                raise
            return False
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise EurekaError("the answer describes no instance") from None

    async def _renew(self, client: Client) -> None:
        query = {"status": self._told["status"], "lastDirtyTimestamp": self._registered}
        try:
            await client.send("PUT", "apps", self._app, self._id, query=query)
        except RefusedError as error:
            if error.status != 404:
                raise
            raise LeaseLostError(f"Eureka does not know {self._id} of {self._app} any more") from error

    async def _take_out(self, client: Client) -> None:
        # Not by an override, which would outlast us if the second step fails: an instance that is registered anew
        # within the lease would then stay out of service. One that says itself that it is down may come back.
        await self._post(client, {**self._told, "status": "DOWN"})
        try:
            await client.send("DELETE", "apps", self._app, self._id)
        except RefusedError as error:
            if error.status != 404:
                raise
        give_up = time.monotonic() + self._registrar._settle
        while await self._is_told_of(client):
            if time.monotonic() > give_up:
                log.warning(
                    "%s of %s is taken out, but Eureka's cache still tells of it %g s later; it should go on serving "
                    "for as long as that cache lasts, 30 s unless it is configured",
                    self._id, self._app, self._registrar._settle,
                )  # fmt: skip
                return
            await asyncio.sleep(LOOK)

    async def _is_told_of(self, client: Client) -> bool:
        """Tell whether readers may still not know that the instance was taken out.

        That it is missing in what changed lately proves nothing: it may have been there for long, in an older answer.
        """
        try:
            delta = read_answer(await client.send("GET", "apps", "delta"))
        except RefusedError as error:
            if error.status not in NO_DELTA:
                raise
            full = read_answer(await client.send("GET", "apps"))
            return any((entry.app, entry.id) == (self._app, self._id) for entry in full.entries)
        gone = (one for one, is_gone in zip(delta.entries, delta.taken_out, strict=True) if is_gone)
        return all((entry.app, entry.id) != (self._app, self._id) for entry in gone)


def described(app: str, instance: Instance, seconds: float) -> dict[str, Any]:
    """Return the instance in Eureka's own form; raise RegistryError for what that cannot hold."""
    return {
        "instanceId": instance.id,
        "app": app,
        "hostName": instance.address,
        # Readers that go by the one and readers that go by the other find the instance.
        "ipAddr": instance.address,
        "vipAddress": app.lower(),
        "status": _STATUSES[instance.availability],
        "overriddenstatus": "UNKNOWN",
        "port": {"$": instance.port, "@enabled": "true"},
        "securePort": {"$": 443, "@enabled": "false"},
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
            "name": "MyOwn",
        },
        "leaseInfo": {
            "renewalIntervalInSecs": max(1, round(seconds / 3)),
            "durationInSecs": max(1, round(seconds)),
        },
        "metadata": _metadata(instance),
    }


def _metadata(instance: Instance) -> Mapping[str, str]:
    """Return the metadata with what Eureka has no fields for, under the names that are read again."""
    added: dict[str, str] = {}
    if instance.weight != 1:
        added["weight"] = str(instance.weight)
    if instance.zone:
        added["zone"] = instance.zone
    if instance.tags:
        split = [tag for tag in instance.tags if SEPARATOR in tag or tag != tag.strip() or not tag]
        if split:
            raise RegistryError(f"the tag {split[0]!r} cannot be kept in Eureka: tags stand there parted by commas")
        added["tags"] = SEPARATOR.join(instance.tags)
    return {**instance.metadata, **added}
