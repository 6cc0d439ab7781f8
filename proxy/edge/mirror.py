"""Which requests of a route are copied to another service, and how much is kept of them for that."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.header_rules import MARK
from proxy.edge.ruled_origin import RuledOrigin, unruled
from proxy.http.bodies import BodyReader, chunk, last_chunk
from proxy.http.copy import Copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.edge.header_rules import HeaderRules
    from proxy.http.heads import RequestHead
    from proxy.service import Service

_MARK = MARK.encode()
_MARKED = _MARK + b": true"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Has a `share` of requests copied to a service, whose header rules are `rules`; `random` draws from 0 to below 1.

    No more than `in_flight` copies are under way to the service at a time, and none has a body of more than `max_body`
    bytes: more are dropped and counted. Sizes are bytes, `timeout` is seconds.
    """

    service: Service
    random: Callable[[], float]
    share: float = 1.0
    in_flight: int = 100
    max_body: int = 65536
    timeout: float = 30.0
    rules: HeaderRules | None = None

    def taken(
        self, request: RequestHead, content: bytes, trailers: bytes, body: BodyReader | None
    ) -> BodyReader | None:
        """Copy a request if its turn has come. Return the reader for the rest of its body, of which `content` is there.

        It goes out in the loop's next turn: after the request itself, which waits for nothing.
        """
        if self.random() >= self.share or request.switches or _is_copy(request):
            return body
        copies = self.service.copies
        if copies.in_flight >= self.in_flight:
            copies.drop("in_flight")
        elif (request.length or len(content)) > self.max_body:
            copies.drop("body")
        elif body is not None:
            return Kept(self, request, body, content)
        else:
            self.send(request, content, trailers)
        return body

    def send(self, request: RequestHead, content: bytes, trailers: bytes) -> None:
        """Send a copy of a request that is whole."""
        service = self.service
        if service.copies.in_flight >= self.in_flight:
            service.copies.drop("in_flight")  # while its body came
            return
        marked = request.again()
        marked.fields = [*request.fields, _MARKED]
        marked.expects_continue = False
        marked.origin = unruled(request.origin)
        if self.rules is not None:
            marked.origin = RuledOrigin(marked.origin, self.rules, service.name)
        if request.length is None:
            content = chunk(content) + last_chunk(trailers)
        mirrored = Copy(service, marked, content, time.monotonic() + self.timeout)
        service.copies.begin(mirrored)
        asyncio.get_running_loop().call_soon(mirrored.start)


class Kept(BodyReader):
    """Reads a body on behalf of its reader, and keeps it for a copy while it is not too long."""

    __slots__ = ("_body", "_kept", "_mirror", "_request")

    def __init__(self, mirror: Mirror, request: RequestHead, body: BodyReader, content: bytes) -> None:
        super().__init__()
        self._mirror = mirror
        self._request = request
        self._body = body
        self._kept: bytearray | None = bytearray(content)

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; return what of it is content. Raises BadMessageError."""
        body = self._body
        content = body.feed(data)
        self.whole, self.rest, self.trailers = body.whole, body.rest, body.trailers
        kept = self._kept
        if kept is None:
            return content
        if len(kept) + len(content) > self._mirror.max_body:
            self._kept = None
            self._mirror.service.copies.drop("body")
        else:
            kept += content
            if body.whole:
                self._kept = None
                self._mirror.send(self._request, bytes(kept), body.trailers)
        return content


def _is_copy(request: RequestHead) -> bool:
    """Tell whether a trusted proxy has copied it already: copies of copies would go round and round."""
    return bool(request.forwarded) and any(name == _MARK.lower() for name, _ in request.origin.told(request))
