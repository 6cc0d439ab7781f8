"""What an instance is told of where a request came from, and whose word on that is believed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from mypy_extensions import mypyc_attr

from config.trusted import TrustedProxies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.http.heads import RequestHead
    from proxy.tls.secured import Secured

_NOBODY = TrustedProxies()
_SCHEMES = (b"http", b"https")
_VIA: Final[tuple[bytes, ...]] = (b"Via: 1.0 pointsman\r\n\r\n", b"Via: 1.1 pointsman\r\n\r\n")


class Telling(Protocol):
    """A request, as far as it tells of where it came from."""

    @property
    def forwarded(self) -> list[tuple[bytes, bytes]] | None: ...


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Which fields are written, and from whom such fields are taken over.

    From anybody but a trusted proxy these fields are dropped, since anybody can write them.
    """

    trusted: TrustedProxies = TrustedProxies()
    x_forwarded: bool = True  # X-Forwarded-For, -Proto and -Host
    rfc7239: bool = False  # Forwarded

    def trusts(self, address: str) -> bool:
        """Tell whether a peer is one of the trusted proxies; "" is the client of a unix socket."""
        return self.trusted.trusts(address.partition("%")[0]) if address else self.trusted.unix


@mypyc_attr(allow_interpreted_subclasses=True)
class Origin:
    """A client's connection as its requests tell of it; made once, so that a request costs next to nothing.

    `plain` is the usual case: nobody is believed, and X-Forwarded-* is written. Then `tails` (for HTTP/1.0 and 1.1) end
    the head; only X-Forwarded-Host hangs on the request. Otherwise `fields` says what comes before them.
    """

    __slots__ = ("_forwarding", "_scheme", "_trusted", "address", "plain", "secured", "tails")

    def __init__(self, forwarding: Forwarding, peer: object, secured: Secured | None = None) -> None:
        self.address: str = peer[0] if isinstance(peer, tuple) else ""  # a unix socket's client has none
        self.secured = secured  # what is known by TLS; None without
        self._scheme = _SCHEMES[secured is not None]
        self._forwarding = forwarding
        self._trusted = forwarding.trusted != _NOBODY and forwarding.trusts(self.address)
        self.plain = not self._trusted and forwarding.x_forwarded and not forwarding.rfc7239
        start = secured.fields if secured is not None else b""
        if self.plain:
            address = f"X-Forwarded-For: {self.address}\r\n" if self.address else ""
            start = f"{address}X-Forwarded-Proto: {self._scheme.decode()}\r\n".encode() + start
        self.tails: tuple[bytes, ...] = (start + _VIA[0], start + _VIA[1]) if start else _VIA

    def under(self, forwarding: Forwarding) -> Origin:
        """Return the same client as its listener believes and writes about it from now on."""
        if forwarding == self._forwarding:
            return self
        return Origin(forwarding, (self.address,) if self.address else None, self.secured)

    def fields(self, request: RequestHead) -> Iterator[bytes]:
        """Write the fields that say where a request came from: what trusted proxies told, and what we saw."""
        forwarding = self._forwarding
        told = self.told(request)
        names = {name for name, _ in told}
        ours = self.address.encode()
        if forwarding.x_forwarded or b"x-forwarded-for" in names:
            chain = [value for name, value in told if name == b"x-forwarded-for" and value]
            if ours and (forwarding.x_forwarded or forwarding.rfc7239):
                chain.append(ours)
            if chain:
                yield b"X-Forwarded-For: " + b", ".join(chain)
        if forwarding.x_forwarded:
            if b"x-forwarded-proto" not in names:
                yield b"X-Forwarded-Proto: " + self._scheme
            if b"x-forwarded-host" not in names and request.authority:
                yield b"X-Forwarded-Host: " + request.authority
        for name, value in told:
            if name not in (b"x-forwarded-for", b"forwarded"):
                yield name.title().replace(b"-Ip", b"-IP") + b": " + value
        if forwarding.rfc7239 or b"forwarded" in names:
            elements = [value for name, value in told if name == b"forwarded" and value]
            if forwarding.x_forwarded or forwarding.rfc7239:
                elements.append(self._element(request))
            if elements:
                yield b"Forwarded: " + b", ".join(elements)

    def tell(self, lines: list[bytes], request: RequestHead) -> None:
        """Say in a head where its request came from; the head is the request line, Host and what the client sent."""
        lines.extend(self.fields(request))

    def told(self, request: Telling) -> list[tuple[bytes, bytes]]:
        """Return what a request tells of where it came from, name and value, as far as that is believed."""
        return request.forwarded if self._trusted and request.forwarded else []

    def scheme(self, request: Telling) -> bytes:
        """Return the scheme that the client used: what a trusted proxy says of it, else what we see."""
        told = [value.lower() for name, value in self.told(request) if name == b"x-forwarded-proto"]
        return told[-1] if told and told[-1] in _SCHEMES else self._scheme

    def client(self, request: RequestHead) -> str:
        """Return the address of the client as far as it can be believed: the last in the chain that is not trusted."""
        if not self._trusted or not request.forwarded:
            return self.address
        chain = [value for name, value in request.forwarded if name == b"x-forwarded-for"]
        hops = [hop.strip().decode("latin-1") for hop in b",".join(chain).split(b",")] if chain else []
        client = self.address
        for hop in reversed(hops):
            if not _is_address(hop):
                break
            client = hop
            if not self._forwarding.trusts(hop):
                break
        return client

    def _element(self, request: RequestHead) -> bytes:
        """Write our element of Forwarded (RFC 7239 4): an IPv6 address and whatever is no token go in quotes."""
        address = self.address.partition("%")[0]
        node = f'"[{address}]"' if ":" in address else address or "unknown"
        host = b';host="%b"' % request.authority if request.authority else b""
        return b"for=%b%b;proto=%b" % (node.encode(), host, self._scheme)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
