"""How a takeover comes to nothing. These are apart from the channel for those who only expect them."""

from __future__ import annotations

FAILED, REFUSED = "failed", "refused"  # the kinds of it that are counted


class TakeoverError(Exception):
    """Nothing comes of the takeover; the text says why."""


class GoneError(TakeoverError):
    """The process at the other end has ended, or has hung up without a word."""
