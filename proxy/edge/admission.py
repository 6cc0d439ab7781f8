"""A request that waits for a verdict: whether its password is right, whether a service lets it pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.http.answers import refusal
from proxy.http.terms import NEVER

if TYPE_CHECKING:
    from proxy.edge.step import Step
    from proxy.http.answers import Answer
    from proxy.http.downstream import Downstream
    from proxy.http.exchange import Exchange
    from proxy.http.heads import RequestHead
    from proxy.http.terms import Terms


class Admission:
    """Stands in for the exchange until the verdict is there: then there is one, or the client is refused.

        begin -> asking, step by step -> admitted by all, refused by one
                          |
                 timed_out, expired, failed, abandon

    No more of the body is read meanwhile than has come already; what waits behind the request waits as it does for an
    exchange. Each step has its own deadline, and timeouts.request counts from the head on.
    """

    __slots__ = (
        "_asked",
        "_content",
        "_downstream",
        "_steps",
        "_trailers",
        "request",
        "request_whole",
        "started",
        "terms",
    )

    upstream = None  # as of an exchange that is not connected: then the client is not read from
    tunnel = None

    def __init__(
        self, downstream: Downstream, request: RequestHead, terms: Terms, now: float, steps: tuple[Step, ...]
    ) -> None:
        self._downstream = downstream
        self.request = request
        self.terms = terms
        self.started = now
        self._steps = list(steps)
        self._asked: Step | None = None
        self._content = self._trailers = b""
        self.request_whole = False

    def begin(self, content: bytes, whole: bool, trailers: bytes) -> None:
        """Start, with what there is of the request's body."""
        self._content, self.request_whole, self._trailers = content, whole, trailers
        if self.terms.timeouts.request != NEVER:
            self._downstream.expires = self.started + self.terms.timeouts.request
        self._next()

    @property
    def content(self) -> tuple[bytes, bool, bytes]:
        """What there is of the body, whether that is all, and the trailers."""
        return self._content, self.request_whole, self._trailers

    def body(self, content: bytes, whole: bool, trailers: bytes) -> None:
        """Keep a piece that was on its way already."""
        self._content += content
        self.request_whole, self._trailers = whole, trailers

    def hold_instance(self, held: bool) -> None:
        """There is nothing to hold."""

    def abandon(self) -> None:
        """Give up: the client is gone, or must be."""
        if self._drop():
            downstream = self._downstream
            if downstream.marks is not None:
                downstream.listener.log_refusal(downstream.origin, self.request, 0, "", self.started, "left")

    def hand_over(self, exchange: Exchange) -> None:
        """Have what has begun just now count from the head on, as a whole; each of its waits began now."""
        exchange.started = self.started
        if exchange.terms.timeouts.request != NEVER:
            self._downstream.expires = self.started + exchange.terms.timeouts.request

    def timed_out(self) -> None:
        """Take the step's time for over."""
        step, self._asked = self._asked, None
        if step is not None:
            self._decided(step.timed_out())

    def expired(self) -> None:
        """Give up: the whole took too long."""
        self._drop()
        text = f"the request was not answered within {self.terms.timeouts.request:g} s"
        self._downstream.admitted(self, refusal(504, text))

    def failed(self, status: int, error: str, downstream_end: str, upstream_end: str) -> None:
        """Give up: the body makes no sense, or is too large."""
        self._drop()
        self.request_whole = False
        self._downstream.admitted(self, refusal(status, error))

    def _next(self) -> None:
        step = self._asked = self._steps.pop(0)
        self._downstream.deadline = time.monotonic() + step.patience
        step.start(self._decided)

    def _decided(self, answer: Answer | None) -> None:
        self._asked = None
        if answer is None and self._steps:
            self._next()
        else:
            self._downstream.admitted(self, answer)

    def _drop(self) -> bool:
        """Ask no more; false when nobody is asked."""
        step, self._asked = self._asked, None
        if step is not None:
            step.drop()
        return step is not None
