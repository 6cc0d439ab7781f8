"""What a control process has left that died: its sockets, its configuration, and what operators set by hand.

How the endpoints are the workers remember.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from balancers.endpoint import Endpoint
    from balancers.known import Known
    from proxy.application import Application
    from proxy.config_file import Loaded
    from proxy.service import Service
    from proxy.workers.supervisor import Kept


class Heritage:
    """The sockets that a predecessor listened on, which are as many as there were; see Claim, which has them too."""

    def __init__(self, kept: Kept) -> None:
        sockets = list(kept.sockets)
        self.why = kept.why
        self.loaded: Loaded | None
        # By service the weights and the reasons for which endpoints are drained, each by identity; those of splits.
        self._by_hand: dict[str, tuple[dict[str, int], dict[str, str]]]
        self._splits: dict[str, dict[str, int]]
        self.loaded, self._by_hand, self._splits = kept.state or (None, {}, {})
        self._offered: list[tuple[str, str, bool, list[socket.socket]]] = []
        for spot in kept.spots:
            self._offered.append((spot.role, spot.bind, spot.lent, sockets[: spot.count]))
            sockets = sockets[spot.count :]
        self._lent = {(spot.role, spot.bind): spot.lent for spot in kept.spots}
        self._known: dict[str, dict[str, Known]] = {}  # by service and identity, what the workers remember

    def lends(self, role: str, bind: str) -> bool:
        """Tell whether somebody else listens on the sockets of an address, too."""
        return self._lent.get((role, bind), False)

    def sockets_of(self, role: str, bind: str) -> list[socket.socket]:
        """Take the sockets of an address, none if there are none."""
        for number, (its_role, its_bind, _, sockets) in enumerate(self._offered):
            if (its_role, its_bind) == (role, bind):
                del self._offered[number]
                return sockets
        return []

    def left(self, role: str = "") -> list[socket.socket]:
        """Return the sockets that nobody has taken, of one role or of all."""
        return [sock for its_role, _, _, sockets in self._offered if role in ("", its_role) for sock in sockets]

    def set_by_hand(self, application: Application) -> None:
        """Do again what operators did."""
        for name, (weights, drained) in self._by_hand.items():
            service = application.services.get(name)
            if service is None:
                continue
            service.weights.update(weights)
            service.pool.drains.reasons.update(drained)
        for name, shares in self._splits.items():
            split = application.splits.get(name)
            if split is not None:
                with contextlib.suppress(ValueError):  # its services are others
                    split.reweigh(shares)

    def remember(self, services: Mapping[str, Mapping[str, Known]]) -> None:
        """Keep what a worker knows of the endpoints; where workers do not agree, that they are out."""
        for name, known in services.items():
            ours = self._known.setdefault(name, {})
            for identity, one in known.items():
                if identity not in ours or one.state == "ejected":
                    ours[identity] = one

    def recall(self, service: Service) -> list[Endpoint]:
        """Go on with what is known of those endpoints that are there now; return those of them that are ejected."""
        pool, known = service.pool, self._known.get(service.name, {})
        there = {endpoint.instance.id: endpoint for endpoint in pool.endpoints if endpoint.instance.id in known}
        found = {identity: known.pop(identity) for identity in there}
        out = [endpoint for endpoint in there.values() if endpoint.health.state == "ejected"]  # as we have found
        pool.begin_with({identity: one for identity, one in found.items() if there[identity] not in out})
        return [endpoint for endpoint in there.values() if endpoint.health.state == "ejected"]


def known_of(service: Service) -> dict[str, Known]:
    """Return what is known of the health of each endpoint, by identity."""
    return {endpoint.instance.id: endpoint.health.known() for endpoint in service.pool.endpoints}
