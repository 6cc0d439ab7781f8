"""What a process listens on, which another one can take over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from config.model import Config

SOCKET = "takeover.sock"  # the file beside what is in state_dir


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """An address, as the configuration writes it, and the sockets that listen there; `lent` if by somebody else."""

    role: Literal["listener", "admin", "registry", "takeover"]
    bind: str
    lent: bool
    sockets: list[socket.socket]


def socket_path(config: Config) -> Path | None:
    """Return where the takeover is offered; None: nowhere."""
    wanted = config.takeover
    if wanted is None:
        return None
    if wanted.socket is not None:
        return wanted.socket.absolute()
    assert config.state_dir is not None  # references.py has seen to it
    return (config.state_dir / SOCKET).absolute()
