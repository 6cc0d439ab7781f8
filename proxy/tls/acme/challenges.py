"""The authority's questions (HTTP-01, RFC 8555 section 8.3), answered before any route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from proxy.edge.edge import Edge
from proxy.http.answers import Answer
from proxy.http.terms import Terms
from proxy.routes import Router

if TYPE_CHECKING:
    from proxy.http.heads import RequestHead
    from proxy.routes import Request
    from proxy.service import Service
    from proxy.tls.acme.files import Folder

PREFIX = b"/.well-known/acme-challenge/"

_NONE = Answer(404)


@dataclass(frozen=True, slots=True)
class _Proof(Edge):
    """What answers a question of the authority's; no service is asked."""

    given: Answer = _NONE

    def answer(self, request: RequestHead, now: float) -> Answer | None:
        """Answer with the proof."""
        return self.given


class Challenged(Router[Terms]):
    """A listener's routes, before which questions about our domains are answered.

    It costs a request 0.1 µs. The proofs are files, for the question may come to another process than the one that
    orders; a question of nobody's goes the way that the routes have for it.
    """

    def __init__(self, router: Router[Terms], folder: Folder) -> None:
        self._router = router
        self._folder = folder

    def find(self, request: Request) -> Terms | None:
        """Return what answers a request."""
        if request.target.startswith(PREFIX):
            proof = self._folder.proof(request.target[len(PREFIX) :].decode("ascii", "replace"))
            if proof is not None and cast("RequestHead", request).method in (b"GET", b"HEAD"):
                given = Answer(200, proof, b"application/octet-stream", (b"Cache-Control: no-store",))
                return Terms(cast("Service", None), edge=_Proof(given=given))  # which is never asked
        return self._router.find(request)
