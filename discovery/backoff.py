"""How long to wait before a watch that failed is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


class Backoff:
    """Delays in seconds that double from `base` up to `cap`, each drawn between half of that and all of it.

    Consul's own Go watcher waits 5 s times the square of the failures, up to 180 s. We start and end far lower, for
    instances that come back with their registry must be seen in seconds; the random half keeps a fleet from knocking
    in step.
    """

    def __init__(self, random: Random, *, base: float = 0.2, factor: float = 2.0, cap: float = 10.0) -> None:
        self._random = random
        self._base = base
        self._factor = factor
        self._cap = cap
        self._ceiling = base

    def next(self) -> float:
        """Return the delay to wait now; the one after it will be longer."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * self._factor, self._cap)
        return self._random.uniform(ceiling / 2, ceiling)

    def reset(self) -> None:
        """Begin again at `base`: what failed works now."""
        self._ceiling = self._base
