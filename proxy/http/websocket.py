"""Where the frames of a WebSocket begin and end (RFC 6455 5.2), and the one frame that we write ourselves."""

from __future__ import annotations

GOING_AWAY = b"\x88\x02\x03\xe9"  # a Close frame from a server, with status 1001: unmasked, two bytes of payload


class Frames:
    """Follows one direction of a WebSocket without looking into its frames."""

    __slots__ = ("_head", "_left", "ended")

    def __init__(self) -> None:
        self._head = b""  # the beginning of a frame whose length is not known yet
        self._left = 0  # bytes missing of the present frame
        self.ended = False  # we have written the last frame

    @property
    def whole(self) -> bool:
        """True between two frames."""
        return not self._left and not self._head

    def feed(self, data: bytes, *, stop: bool = False) -> int:
        """Follow what is passed on. With `stop`, return how much of it belongs to the frame under way; -1: all."""
        at, size = 0, len(data)
        while at < size:
            if self._left:
                step = min(self._left, size - at)
                self._left -= step
                at += step
            else:
                begun = len(self._head)
                head = self._head + data[at : at + 14 - begun]
                length = _frame_length(head)
                if length < 0:
                    self._head = head
                    return -1
                self._head = b""
                self._left = length - begun
            if stop and not self._left:
                return at
        return -1


def _frame_length(head: bytes) -> int:
    """Return the length of the frame that begins so, its own head included; -1 when that cannot be told yet."""
    if len(head) < 2:
        return -1
    length, masked = head[1] & 0x7F, 4 if head[1] & 0x80 else 0
    if length < 126:
        return 2 + masked + length
    width = 2 if length == 126 else 8
    if len(head) < 2 + width:
        return -1
    return 2 + width + masked + int.from_bytes(head[2 : 2 + width])
