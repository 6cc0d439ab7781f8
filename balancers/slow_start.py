"""How much of its weight an endpoint counts with that has just come, or come back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlowStart:
    """A weight that grows over `window` seconds, as Envoy's does.

    After a time t it is the weight times max(least, (t / window) ** (1 / aggression)): with an `aggression` of 1 it
    grows evenly, above 1 faster at first. `least` is a share from 0 to 1.
    https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start
    """

    window: float
    aggression: float = 1.0
    least: float = 0.1

    def factor(self, age: float) -> float:
        """Return the share of its weight that counts, above 0, `age` seconds after the beginning."""
        if age >= self.window:
            return 1.0
        grown = max(age, 0.0) / self.window
        return max(self.least, grown if self.aggression == 1.0 else grown ** (1 / self.aggression), 1e-6)
