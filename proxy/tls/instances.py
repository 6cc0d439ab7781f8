"""TLS to the instances of a service: whom we trust, who we are, and in words why a handshake failed."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from proxy.tls.pair import CertificateError, Pair, Stamp, read_authorities, stamp_of

if TYPE_CHECKING:
    from pathlib import Path

    from config.upstream_tls import UpstreamTls
    from discovery.instance import Instance

_log = logging.getLogger(__name__)

LOOK = 1.0  # seconds that the files are taken to be as they were when they were looked at last
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class InstanceTlsOptions:
    """How TLS is spoken to instances; `place` is the path of its key in the configuration.

    With `always`, to all of them; else to those of which their registry says that they speak it.
    """

    place: str = field(default="tls", compare=False)
    always: bool = True
    verify: bool = True
    ca: Path | None = None
    server_name: str = ""
    pair: Pair | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"


def instance_tls_options(wanted: UpstreamTls | None, place: str) -> InstanceTlsOptions:
    """Read the keys; without any, the defaults hold for instances that speak TLS by their registry's word."""
    if wanted is None:
        return InstanceTlsOptions(place, always=False)
    return InstanceTlsOptions(
        place,
        verify=wanted.verify,
        ca=wanted.ca,
        server_name=wanted.server_name or "",
        pair=Pair(wanted.cert, wanted.key or wanted.cert, place) if wanted.cert else None,
        min_version=wanted.min_version,
    )


class InstanceTls:
    """The contexts of a service: made once, and anew when the files have changed.

    The files are looked at when a connection is made, at most once a second. A change that cannot be used leaves what
    was there before in force, and is told in the log.
    """

    def __init__(self, options: InstanceTlsOptions) -> None:
        self.options = options
        self._contexts: dict[str, ssl.SSLContext] = {}  # by the protocol that is asked for (ALPN)
        self._seen: tuple[Stamp, ...] = ()
        self._looked = 0.0
        self._lock = asyncio.Lock()

    def load(self) -> None:
        """Load the files, for whoever wants to know now whether they can be. Raises CertificateError."""
        self._seen = self._stamps()
        self._contexts = self._made()
        self._looked = time.monotonic()
        if not self.options.verify:
            _log.warning(
                "%s.verify is false: the certificates of these instances are not looked at, and anybody on the way can "
                "pretend to be one of them, read what is sent and change it", self.options.place,
            )  # fmt: skip

    async def context(self, protocol: str = "http/1.1") -> ssl.SSLContext:
        """Return the context for a connection on which `protocol` is to be spoken, "" for whatever it may be.

        Raises CertificateError.
        """
        if time.monotonic() - self._looked >= LOOK:
            async with self._lock:
                if time.monotonic() - self._looked >= LOOK:
                    await asyncio.to_thread(self._look)
        return self._contexts[protocol]

    def name_of(self, instance: Instance) -> str:
        """Return the name that an instance's certificate must bear."""
        if self.options.server_name:
            return self.options.server_name
        # A zone says which of our networks an address is in, a final dot where a name ends; certificates have neither.
        return "localhost" if instance.path else instance.address.partition("%")[0].rstrip(".")

    def why(self, error: ssl.SSLError, instance: Instance) -> str:
        """Say why a handshake failed."""
        if isinstance(error, ssl.SSLCertVerificationError):
            authorities = f"those in {self.options.ca}" if self.options.ca else "the system's"
            return (
                f"TLS: the instance's certificate is not to be trusted: {error.verify_message}"
                f" (the name wanted: {self.name_of(instance)}; the authorities: {authorities})"
            )
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return "TLS: the instance does not speak it on this port"
        words = (error.reason or str(error)).lower().replace("_", " ")
        return f"TLS: the handshake failed: {words}"

    def _look(self) -> None:
        seen = self._stamps()
        if not self._contexts:
            self.load()
        elif seen != self._seen:
            self._seen = seen
            try:
                self._contexts = self._made()
                _log.info("%s: the files have changed, and are loaded anew", self.options.place)
            except CertificateError as error:
                _log.warning("what was there before stays in force: %s", error)
        self._looked = time.monotonic()

    def _stamps(self) -> tuple[Stamp, ...]:
        options = self.options
        ca = (stamp_of(options.ca),) if options.ca else ()
        return ca + (options.pair.stamp() if options.pair else ())

    def _made(self) -> dict[str, ssl.SSLContext]:
        return {protocol: self._context(protocol) for protocol in ("http/1.1", "h2", "")}

    def _context(self, protocol: str) -> ssl.SSLContext:
        options = self.options
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _VERSIONS[options.min_version]
        if protocol:
            context.set_alpn_protocols([protocol])
        if not options.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif options.ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cadata=read_authorities(options.ca, f"{options.place}.ca"))
        if options.pair is not None:
            options.pair.load(context)
        return context


class Resuming(ssl.SSLContext):
    """A context whose handshakes resume the session of the last connection to the same endpoint that has ended.

    asyncio asks a context for no more than `wrap_bio`, and has no other way to be given a session; all else is that of
    the service's context, which `by` names. A session that the instance knows no more costs nothing: the handshake is a
    full one. A resumed one is not verified anew, so each endpoint has one of these, and always the same name.
    """

    _context: ssl.SSLContext | None
    _session: ssl.SSLSession | None

    def __new__(cls) -> Self:
        """Make one that has resumed nothing yet."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made._context = made._session = None
        return made

    def by(self, context: ssl.SSLContext) -> Resuming:
        """Take this context from now on."""
        if context is not self._context:
            self._context, self._session = context, None
        return self

    def ended(self, speaker: ssl.SSLObject) -> None:
        """Keep the session of a connection that has ended; in TLS 1.3 it is told of long after the handshake."""
        session = speaker.session
        if session is not None and session.has_ticket and speaker.context is self._context:
            self._session = session

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *given: Any, **more: Any) -> ssl.SSLObject:
        """Begin a connection, as ssl.SSLContext.wrap_bio does."""
        assert self._context is not None
        return self._context.wrap_bio(incoming, outgoing, *given, **{**more, "session": self._session})
