"""What a guard waits for before it lets a request pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.http.answers import Answer

    # Told once, by the loop: None when the request may pass, else what the client gets.
    Decided = Callable[[Answer | None], None]


class Step(Protocol):
    """Somebody who is asked whether one request may pass."""

    @property
    def patience(self) -> float:
        """How long it may take, in seconds."""

    def start(self, decided: Decided) -> None:
        """Ask; `decided` may be called before this returns."""

    def timed_out(self) -> Answer | None:
        """Ask no more: the time is over. Return what that means, as `decided` would be told."""

    def drop(self) -> None:
        """Ask no more: nobody wants to know. `decided` is not called."""
