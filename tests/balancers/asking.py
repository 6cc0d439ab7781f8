"""Requests for policies to look at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Asked:
    """A request that has no more than what a policy may look at."""

    client: str = "10.1.0.1"
    method: bytes = b"GET"
    target: bytes = b"/"
    headers: dict[bytes, bytes] = field(default_factory=dict)

    def header(self, name: bytes, /) -> bytes:
        return self.headers.get(name, b"")


def of_user(name: object) -> Asked:
    return Asked(headers={b"x-user": str(name).encode()})
