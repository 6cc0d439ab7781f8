"""A path that takes in what the groups of an expression have matched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence


def filled(pieces: Sequence[bytes | int | str], found: re.Match[bytes] | None) -> bytes:
    """Join texts and groups, which are given by number or name; one that has matched nothing is empty."""
    texts = [piece if isinstance(piece, bytes) else (found and found[piece]) or b"" for piece in pieces]
    return b"".join(texts)
