"""Draw a few of many at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def distinct(wanted: int, count: int, draw: Callable[[], float]) -> Iterator[int]:
    """Yield `wanted` different numbers from 0 to below `count`, each set of them with the same chance; O(wanted).

    `draw` gives numbers from 0 to below 1 (Floyd's algorithm: Bentley, "Programming Pearls", CACM 30, 1987).
    """
    seen: set[int] = set()
    for end in range(count - wanted, count):
        number = int(draw() * (end + 1))
        if number in seen:
            number = end
        seen.add(number)
        yield number
