"""The authority's questions (HTTP-01, RFC 8555 section 8.3), answered before any route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.edge.edge import Edge
from proxy.edge.own_answers import Fixed
from proxy.http.answers import Answer
from proxy.http.terms import Terms
from proxy.routes import Router

if TYPE_CHECKING:
    from proxy.conditions import Asked
    from proxy.tls.acme.files import Folder

PREFIX = b"/.well-known/acme-challenge/"


class Challenged(Router[Terms]):
    """A listener's routes, before which questions about our domains are answered.

    It costs a request at such a listener 0.08 µs. The proofs are files, for the question may come to another process
    than the one that orders; a question of nobody's goes the way that the routes have for it.
    """

    def __init__(self, router: Router[Terms], folder: Folder) -> None:
        self._router = router
        self._folder = folder

    def find(self, request: Asked) -> Terms | None:
        """Return what answers a request. Raises BadMessageError."""
        if request.target.startswith(PREFIX) and request.method in (b"GET", b"HEAD"):
            proof = self._folder.proof(request.target[len(PREFIX) :].decode("ascii", "replace"))
            if proof is not None:
                answer = Answer(200, proof, b"application/octet-stream", (b"Cache-Control: no-store",))
                return Terms(None, edge=Edge(own=Fixed(answer)))
        return self._router.find(request)
