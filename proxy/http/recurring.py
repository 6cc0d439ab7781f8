"""Heads that came before, byte for byte: what they mean is known, and how they are sent on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from proxy.http.heads import RequestHead

H = TypeVar("H")

LONGEST: Final = 2048  # bytes of a head that is remembered


class Recurring(Generic[H]):
    """Remembers whole heads, as Lines in fields.py does their lines.

    Clients on kept connections ask with the same head again and again but for the path, and instances answer with the
    same one until the second of their Date is over. One dictionary look-up then takes the place of reading it. Only a
    head whose lines were all known is kept, so one that bears something new each time costs the look-up alone, 0.05 µs.
    """

    __slots__ = ("found", "get")

    _ROOM = 512  # heads

    def __init__(self) -> None:
        self.found: dict[bytes, H] = {}
        self.get = self.found.get

    def keep(self, head: bytes, meaning: H) -> None:
        """Remember a head; all are forgotten once there are too many."""
        if len(head) <= LONGEST:
            if len(self.found) >= self._ROOM:
                self.found.clear()
            self.found[head] = meaning


class KnownRequest:
    """A request head that came before. Whoever changes a request gives it another line or other fields."""

    __slots__ = ("fields", "head", "line", "start")

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.line = head.line
        self.fields = head.fields
        self.start: bytes | None = None  # how an instance is sent it from a client of whom nobody is believed, up to
        # what hangs on the connection; None for one of which more is to be said
        if head.length is not None and head.authority and not (head.upgrade or head.expects_continue):
            told = (head.line, b"Host: " + head.authority, *head.fields, b"X-Forwarded-Host: " + head.authority)
            self.start = b"\r\n".join(told)
