"""Everything that a route asks for beside its service, in the order in which it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.edge.rewriting import stripped

if TYPE_CHECKING:
    from proxy.edge.guard import Guard
    from proxy.http.answers import Answer
    from proxy.http.heads import RequestHead
    from proxy.http.terms import Terms


@dataclass(frozen=True, slots=True)
class Edge:
    """What comes between a request and its instance; routes that ask for nothing have none.

    `answer` comes first: a request that it answers goes no further. `passed` makes of the others what the instance is
    to get.
    """

    strip: bytes = b""  # what is taken off the beginning of the target on the way to the instance
    guard: Guard | None = None  # what decides whether a request may pass at all; it is asked before the rest

    def answer(self, request: RequestHead, now: float) -> Answer | None:
        """Answer a request without an instance; None when one is to be asked."""
        return None

    def passed(self, request: RequestHead, terms: Terms) -> Terms:
        """Change the request as its instance is to have it, and return what holds for it."""
        if self.strip:
            request.line = stripped(request.method, request.target, self.strip)
        return terms
