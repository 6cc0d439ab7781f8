"""The head that an instance is sent, written anew from what was understood of the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.http.heads import RequestHead


class Writes:
    """Whoever sends a request to an instance."""

    __slots__ = ()

    request: RequestHead
    request_whole: bool

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
