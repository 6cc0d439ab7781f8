"""What an order is made with, and why it may fail: all that is known of it without the library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuthorityOptions:
    """Which authority, and who we are there."""

    directory: str
    email: str = ""
    ca: str = ""  # a file; empty: certifi's


class OrderError(Exception):
    """No certificate was got. `ordered`: an order was made; `retry_after`: seconds that the authority asks to wait."""

    def __init__(self, text: str, *, ordered: bool, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.ordered = ordered
        self.retry_after = retry_after
