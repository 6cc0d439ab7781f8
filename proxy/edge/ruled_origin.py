"""The rules for the headers of a request, at the place where its head is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.http.forwarding import Origin

if TYPE_CHECKING:
    from proxy.edge.header_rules import HeaderRules
    from proxy.http.heads import RequestHead


class RuledOrigin(Origin):
    """Stands in for the origin of a request to whose head rules apply.

    The request itself stays as its client sent it, for balancers, sessions and the access log; and so a request that is
    sent again, or to a second endpoint, has them applied once. Requests without rules do not even ask for them.
    """

    __slots__ = ("_rules", "_service", "inner")

    def __init__(self, inner: Origin, rules: HeaderRules, service: str) -> None:
        self.inner = inner
        self._rules = rules
        self._service = service
        # All else is as the origin has it: named one by one, since compiled code asks nobody for what is missing.
        self.address, self.secured = inner.address, inner.secured
        self._scheme, self._forwarding, self._trusted = inner._scheme, inner._forwarding, inner._trusted
        self.plain = False
        old, new = inner.tails
        self.tails = (_without_ours(old), _without_ours(new)) if rules.by_us else inner.tails

    def tell(self, lines: list[bytes], request: RequestHead) -> None:
        """Apply the rules to a head, and say in it where the request came from."""
        rules, inner = self._rules, self.inner
        if rules.host and request.method != b"CONNECT":  # whose Host is its target (RFC 9112, section 3.2.3)
            lines[1] = b"Host: " + rules.host
        told = lines[2:]
        if inner.plain and not rules.by_us:
            if request.authority:
                told.append(b"X-Forwarded-Host: " + request.authority)
        else:
            told.extend(inner.fields(request))
        lines[2:] = rules.applied(told, request, self._service)


def apply_rules(request: RequestHead, rules: HeaderRules, service: str) -> None:
    """Have rules applied to a request's head when it is written, in place of any that were."""
    request.origin = RuledOrigin(unruled(request.origin), rules, service)


def unruled(origin: Origin) -> Origin:
    """Return an origin to which no rules belong."""
    return origin.inner if isinstance(origin, RuledOrigin) else origin


def _without_ours(tail: bytes) -> bytes:
    """Leave out of the end of a head what `Origin.fields` tells too."""
    lines = tail.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith((b"X-Forwarded-For:", b"X-Forwarded-Proto:")))
