"""Forward authentication: what a service is asked about a request, and what its answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.edge.inquiry import Inquiry
from proxy.edge.request_fields import name_of, replace
from proxy.http.answers import Answer, refusal
from proxy.http.heads import RequestHead

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proxy.http.heads import ResponseHead
    from proxy.service import Service

# The body stays here, and so does what is said of the part or the version that a client has of what it asks for: an
# answer of 206, 304 or 412 would be about something else.
_NOT_ASKED = frozenset(
    [
        b"content-length",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    ]
)
_OURS = frozenset([b"x-forwarded-method", b"x-forwarded-uri"])  # told by whom it may be, they are about this request
_WRITTEN_ANEW = frozenset([b"content-length", b"content-type", b"date", b"via", b"x-request-id"])


class ForwardAuth:
    """Lets pass what a service lets pass: it answers with a 2xx.

    `service` is looked up by its name each time; the last one answers on for those who came before it went, by routes
    that lead nobody else here. `headers` are those of the request that it gets, in lower case, None
    for all; `copied` those of its answer that the instance gets. `patience` is in seconds.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        service: str,
        *,
        path: str,
        patience: float,
        headers: Collection[str] | None = None,
        copied: Sequence[str] = (),
        fail_open: bool = False,
    ) -> None:
        self._services = services
        self._last = services.get(service)
        self.name = service
        self.patience = patience
        self._line = b"GET %b HTTP/1.1" % path.encode()
        self._path = path.encode()
        self._headers = None if headers is None else {name.lower().replace("_", "-").encode() for name in headers}
        self._copied = {name.lower().replace("_", "-").encode() for name in copied}
        self._fail_open = fail_open
        self.passed = self.refused = self.failed = 0  # requests, by what came of asking

    @property
    def service(self) -> Service | None:
        """The service that is asked; None when there is none yet."""
        self._last = self._services.get(self.name, self._last)
        return self._last

    def ask(self, request: RequestHead) -> Inquiry:
        """Return the inquiry about a request, not begun yet."""
        return Inquiry(self, request)

    def asked(self, request: RequestHead) -> RequestHead:
        """Return what the service is asked, as a request that its balancer and its connections understand."""
        asked = RequestHead()
        asked.method, asked.target, asked.line = b"GET", self._path, self._line
        asked.authority, asked.minor_version, asked.origin = request.authority, 1, request.origin
        asked.keep_alive, asked.expects_continue, asked.length = True, False, 0
        asked.upgrade, asked.forwarded, asked.max_forwards = (), request.forwarded, None
        asked.request_id, asked.user = request.request_id, request.user
        wanted = self._headers
        asked.fields = [
            field
            for field in request.fields
            if (name := name_of(field)) not in _NOT_ASKED and (wanted is None or name in wanted)
        ]
        return asked

    def head(self, request: RequestHead, asked: RequestHead, home: bytes) -> bytes:
        """Write the head; `home` is the address of the instance that is asked, which is its Host."""
        told = [field for field in self._origin(request) if name_of(field) not in _OURS]
        lines = [self._line, b"Host: " + home, *asked.fields, *told]
        lines.append(b"X-Forwarded-Method: " + request.method)
        lines.append(b"X-Forwarded-Uri: " + request.target)
        if request.request_id:
            lines.append(b"X-Request-Id: " + request.request_id)
        return b"\r\n".join([*lines, b"Via: 1.%d pointsman" % request.minor_version, b"", b""])

    def decide(self, request: RequestHead, response: ResponseHead, content: bytes | None) -> Answer | None:
        """Let the request pass (None), or make the client's answer of the service's; `content` is None if too long."""
        status = response.status
        if 200 <= status < 300:
            self.passed += 1
            replace(request, self._copied, [field for field in response.fields if name_of(field) in self._copied])
            return None
        if status >= 500 and self._fail_open:
            return self.fail(request, f"answered {status}")
        self.refused += 1
        kind = next(
            (field.partition(b":")[2].strip() for field in response.fields if name_of(field) == b"content-type"), b""
        )
        return Answer(
            status,
            content or b"",
            kind if content else b"",
            tuple(field for field in response.fields if name_of(field) not in _WRITTEN_ANEW),
            f"the service {self.name} answered {status}",
        )

    def fail(self, request: RequestHead, why: str) -> Answer | None:
        """Say what becomes of a request about which nobody could be asked."""
        self.failed += 1
        if self._fail_open:
            replace(request, self._copied)  # what a client wrote there nobody has confirmed
            return None
        return refusal(503, f"whether this may pass could not be asked: {why}", service=self.name)

    def _origin(self, request: RequestHead) -> Iterator[bytes]:
        """Say where the request came from, whichever of these fields instances get."""
        origin = request.origin
        fields = list(origin.fields(request))
        yield from fields
        names = {name_of(field) for field in fields}
        client = request.client.encode()
        if b"x-forwarded-for" not in names and client:
            yield b"X-Forwarded-For: " + client
        if b"x-forwarded-proto" not in names:
            yield b"X-Forwarded-Proto: " + origin.scheme(request)
        if b"x-forwarded-host" not in names and request.authority:
            yield b"X-Forwarded-Host: " + request.authority
