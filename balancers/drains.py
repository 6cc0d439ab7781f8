"""Which endpoints an operator took out of a pool by hand, whatever becomes of them in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from balancers.endpoint import Endpoint

MOST_AWAY = 1000  # drained identities that are remembered while the registry does not name them


class Drains:
    """The drained identities of one pool, and why each of them is.

    It is the identity that is drained, not the endpoint: one that leaves and comes back, be it at another address, is
    still drained. Of those that are `away` the last `most_away` to leave are remembered, so that a registry whose
    identities are made anew at each start does not fill the memory; those that are there are as many as the registry
    names.
    """

    def __init__(self, most_away: int = MOST_AWAY) -> None:
        self.reasons: dict[str, str] = {}  # by identity
        self.away: dict[str, Endpoint] = {}  # as they were when they left, which may still have requests in flight
        self._most_away = most_away

    def add(self, endpoint: Endpoint, reason: str) -> bool:
        """Drain one that is there; False when it is drained already, and then for the reason that it was."""
        if endpoint.drained:
            return False
        self.reasons[endpoint.instance.id] = reason
        endpoint.drain(reason)
        return True

    def remove(self, identity: str, endpoint: Endpoint | None) -> bool:
        """Undrain an identity, and the endpoint that it stands for if that is there; False when it is not drained."""
        self.away.pop(identity, None)
        if endpoint is not None:
            endpoint.drain("")
        return self.reasons.pop(identity, None) is not None

    def follow(self, joined: Iterable[Endpoint], left: Iterable[Endpoint]) -> None:
        """Take in who has come and who has gone."""
        for endpoint in left:
            identity = endpoint.instance.id
            if identity in self.reasons:
                self.away.pop(identity, None)  # the last to leave is the last in the row
                self.away[identity] = endpoint
        for endpoint in joined:
            identity = endpoint.instance.id
            if identity in self.reasons:
                self.away.pop(identity, None)
                endpoint.drain(self.reasons[identity])
        while len(self.away) > self._most_away:
            first = next(iter(self.away))
            del self.away[first], self.reasons[first]
