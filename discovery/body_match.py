"""What the body of a healthy answer holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

MOST = 16 * 1024  # bytes of a body that are looked at; what comes after them is not read


@dataclass(frozen=True, slots=True)
class BodyMatch:
    """Wants a text in the body, or something that a regular expression finds in it.

    A body is taken for UTF-8; what is none matches nothing but the Unicode replacement character.
    """

    contains: str = ""
    matches: re.Pattern[str] | None = None

    def __call__(self, body: bytes) -> bool:
        """Tell whether the first `MOST` bytes of a body are as wanted."""
        text = body.decode("utf-8", "replace")
        return self.contains in text if self.matches is None else self.matches.search(text) is not None

    def __str__(self) -> str:
        return repr(self.contains) if self.matches is None else f"/{self.matches.pattern}/"
