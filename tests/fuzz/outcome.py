"""What somebody made of a stream of bytes, in a form in which two opinions can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field

Fields = tuple[tuple[bytes, bytes], ...]  # the names in lower case, the values without the blanks around them

WAITING = "waiting"  # for more bytes
REFUSED = "refused"  # the rest makes no sense
CLOSED = "closed"  # the rest is not looked at: the connection was to be closed


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message. Its framing is seen in its fields."""

    line: bytes
    fields: Fields
    content: bytes = b""
    trailers: Fields = ()

    def values(self, name: bytes) -> list[bytes]:
        """All values of a field, in their order."""
        return [value for found, value in self.fields if found == name]


@dataclass(slots=True)
class Reading:
    """The whole messages that a stream began with, and what became of the rest.

    `ends` are the offsets behind the messages, if it was fed byte by byte; `sent` is what pointsman wrote for each.
    """

    messages: list[Message] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    rest: str = WAITING
    why: str = ""  # of a refusal, for people
    begun: Message | None = None  # what pointsman wrote of one that is not whole yet


def fields_of(lines: list[bytes]) -> Fields:
    """Take field lines apart that are known to be well-formed."""
    return tuple((name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines))
