"""A client goes back to the endpoint that answered it before, by a cookie."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING

from balancers.hash_keys import cookie_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from balancers.balancer import Request
    from balancers.endpoint import Endpoint

_MARK = 16  # bytes of a digest


@dataclass(frozen=True, slots=True)
class Cookie:
    """How the cookie is called and what stands beside its value (RFC 6265, section 4.1.2).

    `max_age` is seconds, 0 until the browser is closed. `same_site` is Lax, Strict, None or empty.
    """

    name: str
    path: str = "/"
    domain: str = ""
    max_age: int = 0
    secure: bool = False
    http_only: bool = True
    same_site: str = "Lax"

    @property
    def attributes(self) -> bytes:
        """What follows the value."""
        parts = [f"Path={self.path}"]
        if self.domain:
            parts.append(f"Domain={self.domain}")
        if self.max_age:
            parts.append(f"Max-Age={self.max_age}")
        if self.secure:
            parts.append("Secure")
        if self.http_only:
            parts.append("HttpOnly")
        if self.same_site:
            parts.append(f"SameSite={self.same_site}")
        return "".join(f"; {part}" for part in parts).encode()


class Sticky:
    """Knows the endpoints by what their cookies hold.

    That is a digest of an endpoint's identity, which tells nothing of it and is the same in every proxy. With a `key`
    it is signed (HMAC-SHA256): without knowing the key nobody can make one, and so choose an endpoint.
    """

    def __init__(self, cookie: Cookie, key: bytes = b"") -> None:
        self._name = cookie.name.encode()
        self._attributes = cookie.attributes
        self._key = key
        self._marks: dict[Endpoint, bytes] = {}
        self._endpoints: dict[bytes, Endpoint] = {}

    def follow(self, joined: Iterable[Endpoint], left: Iterable[Endpoint]) -> None:
        """Take in who has come and who has gone."""
        for endpoint in left:
            mark = self._marks.pop(endpoint)
            if self._endpoints.get(mark) is endpoint:
                del self._endpoints[mark]
        for endpoint in joined:
            mark = self._marks[endpoint] = self.mark(endpoint.instance.id)
            self._endpoints[mark] = endpoint

    def mark(self, identity: str) -> bytes:
        """Return what the cookie holds of an endpoint with this identity."""
        if self._key:
            return hmac.digest(self._key, identity.encode(), sha256)[:_MARK].hex().encode()
        return blake2b(identity.encode(), digest_size=_MARK).hexdigest().encode()

    def endpoint(self, request: Request) -> Endpoint | None:
        """Return the endpoint that the request's cookie names; None without one, or when it has left."""
        return self._endpoints.get(cookie_of(request, self._name))

    def set_cookie(self, request: Request, endpoint: Endpoint) -> bytes:
        """Return the field that a response needs whose request was answered by this endpoint; b"" for none."""
        mark = self._marks.get(endpoint)
        if mark is None or cookie_of(request, self._name) == mark:
            return b""
        return b"Set-Cookie: %b=%b%b" % (self._name, mark, self._attributes)
