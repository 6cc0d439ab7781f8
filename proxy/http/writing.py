"""Who asks an instance, and the head that it is sent: written anew from what was understood of the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from proxy.http.bodies import Content
    from proxy.http.client import Client
    from proxy.http.heads import RequestHead, ResponseHead
    from proxy.http.upstream import Upstream


@mypyc_attr(allow_interpreted_subclasses=True)
class Asks:
    """Whoever a connection is lent to: an exchange, its hedge, or a copy.

    A base and not a typing.Protocol, whose methods compiled code would have to look up by name at each call.
    """

    __slots__ = ()

    request: RequestHead
    request_whole: bool

    def hold_client(self, held: bool) -> None:
        """Stop or go on reading what is sent on: the instance does not keep up, or does again."""
        raise NotImplementedError

    def interim(self, response: ResponseHead) -> None:
        """Take in an interim response."""
        raise NotImplementedError

    def respond(self, response: ResponseHead, content: Content, whole: bool, trailers: bytes = b"") -> None:
        """Take in the response's head, with what there is of its body."""
        raise NotImplementedError

    def more(self, content: Content, whole: bool, trailers: bytes) -> None:
        """Take in a piece of the response's body."""
        raise NotImplementedError

    def reader(self) -> Client | None:
        """Return the client who gets the bytes of the body as they come, if there is one without TLS."""
        return None

    def handed_on(self, count: int) -> None:
        """Take in that so many bytes of the body went to that client."""
        raise NotImplementedError

    def moves(self) -> None:
        """Take in that the response goes on."""
        raise NotImplementedError

    def switch(self, upstream: Upstream, response: ResponseHead, rest: bytes) -> None:
        """Take in that the connection speaks HTTP no more; `rest` is what came behind the head."""
        raise NotImplementedError

    def complete(self, now: float) -> None:
        """End well: the response is whole, and the connection is not lent any more."""
        raise NotImplementedError

    def lost(self, upstream: Upstream, exc: Exception | None) -> None:
        """Take in that the connection was lost before the response was whole."""
        raise NotImplementedError

    def malformed(self, failure: str) -> None:
        """Take in that the response makes no sense; the connection is closed."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Writes(Asks):
    """Whoever sends a request to an instance."""

    __slots__ = ()

    def head(self, home: bytes) -> bytes:
        """Write the request's head anew; `home` is what a client of HTTP/1.0 asks for that names no host."""
        request = self.request
        origin, known = request.origin, request.known
        if (
            known is not None and known.start is not None and origin.plain
            and request.line is known.line and request.fields is known.fields
        ):  # fmt: skip
            if request.request_id:
                return b"%b\r\nX-Request-Id: %b\r\n%b" % (
                    known.start, request.request_id, origin.tails[request.minor_version]
                )  # fmt: skip
            return b"%b\r\n%b" % (known.start, origin.tails[request.minor_version])
        authority = request.authority
        lines = [request.line, b"Host: " + (authority or home), *request.fields]
        if origin.plain:
            if authority:  # a client of HTTP/1.0 need not say whom it asks
                lines.append(b"X-Forwarded-Host: " + authority)
        else:
            origin.tell(lines, request)
        if request.length is None:
            lines.append(b"Transfer-Encoding: chunked")
        if request.upgrade:
            lines.append(b"Connection: Upgrade\r\nUpgrade: " + b", ".join(request.upgrade))
        if request.expects_continue and not self.request_whole:
            lines.append(b"Expect: 100-continue")
        if request.request_id:
            lines.append(b"X-Request-Id: " + request.request_id)
        lines.append(origin.tails[request.minor_version])
        return b"\r\n".join(lines)
