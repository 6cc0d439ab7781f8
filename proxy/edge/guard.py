"""What stands before a route: lists of addresses, then rate limits, then passwords, then a service that is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.http.answers import Answer, refusal

if TYPE_CHECKING:
    from proxy.edge.access import Access
    from proxy.edge.basic_auth import BasicAuth
    from proxy.edge.forward_auth import ForwardAuth
    from proxy.edge.rate_limit import RateLimits
    from proxy.edge.step import Step
    from proxy.http.heads import RequestHead

DENIED = "this client's address is not let in here"


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """Decides whether a request may pass; each of its parts may be missing.

    `listener_limits` are those of the listener that the request came on, which count before all that is the route's.
    """

    name: str  # the route's, for those who read metrics
    access: Access | None = None
    limits: RateLimits | None = None
    basic: BasicAuth | None = None
    forward: ForwardAuth | None = None
    listener_limits: RateLimits | None = None

    def judge(self, request: RequestHead, now: float) -> Answer | tuple[Step, ...]:
        """Answer a request that may not pass, or return what must be waited for, in this order; nothing for most."""
        if self.listener_limits is not None and (answer := self.listener_limits.refuses(request, now)):
            return answer
        if self.access is not None and not self.access.admits(request.client):
            return refusal(403, DENIED)
        if self.limits is not None and (answer := self.limits.refuses(request, now)):
            return answer
        steps: tuple[Step, ...] = ()
        if self.basic is not None:
            verdict = self.basic.judge(request, now)
            if isinstance(verdict, Answer):
                return verdict
            if verdict is not None:
                steps = (verdict,)
        if self.forward is not None:
            steps = (*steps, self.forward.ask(request))
        return steps
