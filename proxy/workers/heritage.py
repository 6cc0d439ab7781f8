"""What a control process has left that died: its sockets, its configuration, and what operators set by hand."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from proxy.application import Application
    from proxy.config_file import Loaded
    from proxy.workers.supervisor import Kept


class Heritage:
    """The sockets that a predecessor listened on, which are as many as there were; see Claim, which has them too."""

    def __init__(self, kept: Kept) -> None:
        sockets = list(kept.sockets)
        self.restarts = kept.restarts
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
