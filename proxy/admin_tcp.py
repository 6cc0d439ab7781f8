"""What the admin API shows of a TCP listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.tcp.listener import TcpListener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.listener import Listener


def raw_routes(listener: Listener | TcpListener) -> Iterator[dict[str, Any]]:
    """Yield where a listener's raw connections go, in the order in which it is tried; nothing where it speaks HTTP."""
    if isinstance(listener, TcpListener):
        shown = {"listener": listener.address, "connections": listener.clients}
        for name, terms in listener.names.shown():
            yield {**shown, "sni": name, "service": terms.service.name if terms.service is not None else ""}
