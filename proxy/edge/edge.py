"""Everything that a route asks for beside its service, in the order in which it comes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proxy.edge.rewriting import rewritten, stripped
from proxy.edge.ruled_origin import apply_rules

if TYPE_CHECKING:
    from proxy.edge.guard import Guard
    from proxy.edge.header_rules import HeaderRules
    from proxy.edge.mirror import Mirror
    from proxy.edge.own_answers import Fixed, Redirect
    from proxy.edge.rewriting import Rewriting
    from proxy.edge.sides import Sides
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
    own: Fixed | Redirect | None = None  # what answers every request, so that none is passed
    sides: Sides | None = None  # the services between which a split shares requests
    rewriting: Rewriting | None = None  # another path for the instance
    own_rules: HeaderRules | None = None  # for the headers of what it answers itself
    mirror: Mirror | None = None  # who gets a copy of what has passed
    guard: Guard | None = None  # what decides whether a request may pass at all; it is asked before the rest

    def answer(self, request: RequestHead, now: float) -> Answer | None:
        """Answer a request without an instance; None when one is to be asked."""
        if self.own is None:
            return None
        answer = self.own.answer(request)
        return answer if self.own_rules is None else replace(answer, rules=self.own_rules)

    def passed(self, request: RequestHead, terms: Terms) -> Terms:
        """Change the request as its instance is to have it, and return what holds for it. Raises BadMessageError."""
        if self.sides is not None:
            terms = self.sides.choose(request)
        if self.strip:
            request.line = stripped(request.method, request.target, self.strip)
        if self.rewriting is not None:
            request.line = rewritten(request, self.rewriting)
        if terms.request_rules is not None and terms.service is not None:
            apply_rules(request, terms.request_rules, terms.service.name)
        return terms
