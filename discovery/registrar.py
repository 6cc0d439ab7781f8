"""The provider's side: the seam between pointsman and a registry in which it registers an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from discovery.instance import Instance


class LeaseLostError(Exception):
    """The registry does not know the instance any more: it must be registered anew. The text says why."""


class Lease(Protocol):
    """An instance's place in a registry, which has to be kept.

    `interval` is how many seconds may pass between two renewals: a third of what the registry itself waits, or how
    often a session is looked at that the client library keeps alive.
    """

    interval: float

    async def renew(self) -> None:
        """Tell the registry that the instance is there.

        Raises LeaseLostError when the registry has lost it, and RegistryError when the registry cannot be asked; the
        lease may then still be in force, and the caller asks again.
        """
        ...

    async def revoke(self) -> None:
        """Take the instance out; when this returns, the registry tells nobody of it any more.

        An instance that is gone already is no error. Raises RegistryError when the registry cannot be asked; the lease
        may then be revoked again, but must not be used for anything else. What it held (a session, a connection) is
        released in either case. It is called too when the lease was lost.
        """
        ...

    async def release(self) -> None:
        """Release what it holds, and leave the instance to another process, which has registered it too.

        Raises nothing but faults; the lease must not be used any more.
        """
        ...


class Registrar(Protocol):
    """A place in which an instance can be registered."""

    async def register(self, service: str, instance: Instance) -> Lease:
        """Put the instance in, in place of one of the same identity, and return the lease.

        Raises RegistryError when that fails: the registry is away, refuses, or cannot hold what the instance has.
        """
        ...
