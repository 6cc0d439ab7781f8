"""The provider's side of etcd: a key below the service's prefix, which etcd deletes when its lease ends.

The value is what `entries` reads. The lease is kept alive by a question every third of its time, and the key is looked
at each time: a lease may live on after its key was deleted by hand.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.etcd.gateway import Login, RefusedError
from discovery.etcd.members import Members
from discovery.etcd.messages import encode
from discovery.instance import Availability
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from discovery.instance import Instance

TIMEOUT = 5.0  # seconds
_NO_LEASE = "lease not found"


class EtcdRegistrar:
    """The cluster whose members are at `endpoints` (`http://127.0.0.1:2379`), which are tried in turn.

    A service's name is its prefix, `/services/web/`. With a `username`, the password, or the content of
    `password_file`, gets the token that is shown; the user needs to read and to write below the prefix. `ttl` is how
    many seconds the key outlives the last renewal; etcd counts whole ones.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        *,
        username: str = "",
        password: str = "",
        password_file: Path | None = None,
        ttl: float = 15.0,
        timeout: float = TIMEOUT,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._login = Login(username, password, password_file) if username else None
        self._ttl = max(1, round(ttl))
        self._timeout = timeout

    async def register(self, service: str, instance: Instance) -> EtcdLease:
        """Put the instance's key, with a lease of its own."""
        members = Members(self._endpoints, self._login, self._timeout)
        try:
            granted = await _ask(members, "/v3/lease/grant", {"TTL": str(self._ttl)})
            number, seconds = granted.get("ID"), granted.get("TTL")
            if not isinstance(number, str) or not isinstance(seconds, str) or not seconds.isdecimal():
                raise RegistryError(f"a lease must have an ID and a TTL, not {show(number)} and {show(seconds)}")
            # A short TTL is raised to what the cluster can keep.
            lease = EtcdLease(members, number, (service + instance.id).encode(), int(seconds) / 3)
            try:
                await _ask(
                    members,
                    "/v3/kv/put",
                    {"key": encode(lease.key), "value": encode(_value(instance)), "lease": number},
                )
            except BaseException:
                await lease.revoke()  # it would end by itself, but not before its time
                raise
        except BaseException:
            await members.close()
            raise
        return lease


class EtcdLease:
    """A lease of the cluster with one key, to be kept alive every `interval` seconds."""

    def __init__(self, members: Members, number: str, key: bytes, interval: float) -> None:
        self.interval = interval
        self.key = key
        self._members = members
        self._number = number

    async def renew(self) -> None:
        """Keep the lease alive, and see that its key is there."""
        answer = await _ask(self._members, "/v3/lease/keepalive", {"ID": self._number})
        result = answer.get("result")
        if not isinstance(result, dict):
            raise RegistryError(f"result must be an object, not {show(result)}; is this etcd's JSON gateway?")
        if result.get("TTL", "0") == "0":
            raise LeaseLostError("etcd does not know the lease any more")
        found = await _ask(self._members, "/v3/kv/range", {"key": encode(self.key), "keys_only": True})
        match found.get("kvs", []):
            case []:
                raise LeaseLostError("the key was deleted")
            case [{"lease": str(number)}] if number == self._number:
                return
        # To put it anew would begin a row without an end: the other one would do the same.
        raise RegistryError(
            f"the key {self.key.decode()} was written by somebody else: no two instances may have one identity"
        )

    async def revoke(self) -> None:
        """End the lease, and with it the key."""
        try:
            await self._members.ask("/v3/lease/revoke", {"ID": self._number})
        except RefusedError as error:
            if _NO_LEASE not in str(error):
                raise RegistryError(f"etcd: {error}") from error
        finally:
            await self._members.close()

    async def release(self) -> None:
        """Let the lease run out: the key hangs on that of who put it last."""
        await self._members.close()


async def _ask(members: Members, path: str, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return await members.ask(path, question)
    except RefusedError as error:
        if _NO_LEASE in str(error):
            raise LeaseLostError("etcd does not know the lease any more") from error
        raise RegistryError(f"etcd: {error}") from error


def _value(instance: Instance) -> bytes:
    """Write the instance as `entries` reads it; what is as it is by default is left out."""
    fields: dict[str, Any] = {"address": instance.address, "port": instance.port}
    if instance.weight != 1:
        fields["weight"] = instance.weight
    if instance.zone:
        fields["zone"] = instance.zone
    if instance.tags:
        fields["tags"] = list(instance.tags)
    if instance.metadata:
        fields["metadata"] = dict(instance.metadata)
    if instance.availability is not Availability.UP:
        fields["draining"] = True
    return json.dumps(fields, ensure_ascii=False).encode()
