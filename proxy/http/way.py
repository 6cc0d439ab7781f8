"""The way to an endpoint: TCP or a unix socket, a PROXY header for each client, TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from discovery.dialing import Dial
from proxy.proxy_protocol import header, own_header
from proxy.tls.instances import Resuming

if TYPE_CHECKING:
    import asyncio
    import ssl

    from discovery.instance import Instance
    from proxy.proxy_protocol import Ends, Version
    from proxy.tls.instances import InstanceTls


class HasClient(Protocol):
    """Whoever asks on behalf of a client."""

    def ends(self) -> Ends | None: ...


class Way:
    """How connections to one endpoint are begun."""

    __slots__ = ("_instance", "_plain", "_proxy_protocol", "_resuming", "_tls")

    def __init__(self, instance: Instance, tls: InstanceTls | None, proxy_protocol: Version | None) -> None:
        self._instance = instance
        self._tls = tls if tls is not None and (tls.options.always or instance.secure) else None
        self._proxy_protocol: Version | None = proxy_protocol
        self._resuming: dict[str, Resuming] = {}  # by the protocol that is spoken
        self._plain = Dial(instance.address, instance.port, instance.path)

    async def dial(self, client: HasClient, protocol: str) -> Dial:
        """Say how to connect for a client, to speak `protocol`. Raises CertificateError."""
        if self._tls is None and self._proxy_protocol is None:
            return self._plain
        instance, version = self._instance, self._proxy_protocol
        first = header(version, client.ends()) if version is not None else b""
        if self._tls is None:
            return Dial(instance.address, instance.port, instance.path, first=first)
        resuming = self._resuming.get(protocol)
        if resuming is None:
            resuming = self._resuming[protocol] = Resuming()
        context = resuming.by(await self._tls.context(protocol))
        name = self._tls.name_of(instance)
        return Dial(instance.address, instance.port, instance.path, context, name, first)

    def why(self, error: ssl.SSLError) -> str:
        """Say why a handshake failed."""
        assert self._tls is not None
        return self._tls.why(error, self._instance)

    def ended(self, transport: asyncio.Transport) -> None:
        """Take in that a connection with TLS is over."""
        for resuming in self._resuming.values():
            resuming.ended(transport.get_extra_info("ssl_object"))


async def probing(
    instance: Instance, port: int, tls: InstanceTls | None, version: Version | None, protocol: str
) -> Dial:
    """Say how to connect for a probe of ours, after which `protocol` is spoken. Raises CertificateError."""
    first = own_header(version) if version is not None else b""
    if tls is None or not (tls.options.always or instance.secure):
        return Dial(instance.address, port, instance.path, first=first)
    return Dial(instance.address, port, instance.path, await tls.context(protocol), tls.name_of(instance), first)
