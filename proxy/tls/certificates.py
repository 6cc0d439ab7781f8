"""The certificates of a listener, as they are in force, and their files, which are followed."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from proxy.tls.pair import CertificateError, Pair, Stamp, read_authorities, stamp_of
from proxy.tls.speaking import Front, Names, Speaker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from proxy.tls.served import Served

_log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at the files; a look costs some microseconds a file
_TICKETS = 12 * 3600.0  # seconds after which tickets are sealed with new keys: who steals one opens half a day
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How a listener speaks TLS; `place` is the path of its key in the configuration."""

    pairs: tuple[Pair, ...]
    place: str = field(default="tls", compare=False)
    min_version: Literal["1.2", "1.3"] = "1.2"
    ciphers: str = ""
    strict_sni: bool = False
    client_ca: Path | None = None
    client_required: bool = True
    forward_certificate: bool = False
    alpn: tuple[str, ...] = ("http/1.1",)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A certificate in force; `since` in seconds since 1970."""

    pair: Pair
    context: ssl.SSLContext
    certificate: Served
    since: float


class _Followed:
    """A pair whose files are followed: what is in force of it, and what was seen of the files last."""

    __slots__ = ("doubted", "error", "loaded", "seen")

    def __init__(self, loaded: Loaded, seen: tuple[Stamp, Stamp]) -> None:
        self.loaded = loaded
        self.seen = seen  # of which what is in force was loaded, or which was found bad
        self.doubted: tuple[Stamp, Stamp] | None = None  # found bad once: perhaps half of it is not written yet
        self.error = ""  # why what the files hold now is not in force


class Certificates:
    """The certificates of a listener.

    `front` is what handshakes begin with. A change of the files takes effect for those that begin afterwards; a pair
    that cannot be used leaves the one before it in force. Raises CertificateError with everything that is wrong.
    """

    def __init__(self, options: TlsOptions) -> None:
        self.options = options
        self.loads = 0  # pairs loaded since the start because their files had changed
        self.refusals = 0  # changes of files that left the pair before in force
        self.ca_error = ""  # why what client_ca holds now is not in force
        # Is told what happens to certificates: its kind for the journal, and the sentence.
        self.tell: Callable[[str, str], None] = lambda kind, text: None
        self._ca, self._ca_seen, self._ca_doubted = self._read_ca()
        self._followed = self._load_all(options.pairs)
        self.front = self._make_front()
        self._install()
        self._sealed = time.monotonic()  # when the keys of tickets were made

    def go_on_from(self, before: Certificates) -> None:
        """Take the place of others of the same listener."""
        self.loads, self.refusals, self.tell = before.loads, before.refusals, before.tell

    @property
    def in_force(self) -> list[tuple[Loaded, str]]:
        """The certificates, each with why a later one of its files is not in force."""
        return [(followed.loaded, followed.error) for followed in self._followed]

    async def follow(self) -> None:
        """Do what is due: load what has changed, seal tickets with new keys."""
        stamps = await asyncio.to_thread(self._stamps)
        if self._changed(stamps):
            self.look()  # some milliseconds, rarely; handshakes see all of it or nothing
        if time.monotonic() - self._sealed > _TICKETS:
            self._sealed = time.monotonic()
            self.front = self._make_front()
            self._install()

    def look(self) -> None:
        """Load what has changed since the last look."""
        changed = self._look_at_ca()
        for followed in self._followed:
            changed = self._look_at(followed) or changed
        if changed:
            self._install()

    def _stamps(self) -> list[object]:
        ca = self.options.client_ca
        return [stamp_of(ca) if ca else None, *(followed.loaded.pair.stamp() for followed in self._followed)]

    def _changed(self, stamps: list[object]) -> bool:
        doubts = self._ca_doubted is not None or any(followed.doubted for followed in self._followed)
        return doubts or stamps != [self._ca_seen, *(followed.seen for followed in self._followed)]

    def _look_at(self, followed: _Followed) -> bool:
        """Load a pair whose files have changed; tell whether that is in force now."""
        pair = followed.loaded.pair
        stamps = pair.stamp()
        if stamps == followed.seen:
            return False
        try:
            loaded = self._load(pair)
            _refuse_expired(loaded, followed.loaded)
            if pair.stamp() != stamps:
                return False  # they change at this moment: what was loaded may be of two minds
        except CertificateError as error:
            # One of two files is written before the other: what is bad only now is not complained of.
            if followed.doubted == stamps:
                followed.doubted, followed.seen, followed.error = None, stamps, str(error)
                self.refusals += 1
                self.tell("certificate_refused", f"{error}; the one before it stays in force")
            else:
                followed.doubted = stamps
            return False
        same = loaded.certificate == followed.loaded.certificate
        followed.doubted, followed.seen, followed.error = None, stamps, ""
        if not same:
            self.loads += 1
            self.tell("certificate_loaded", _described(loaded))
        followed.loaded = loaded
        return True

    def _look_at_ca(self) -> bool:
        path = self.options.client_ca
        if path is None or stamp_of(path) == self._ca_seen:
            return False
        try:
            ca, seen, _ = self._read_ca()
        except CertificateError as error:
            stamp = stamp_of(path)
            if self._ca_doubted == (stamp,):
                self._ca_doubted, self._ca_seen, self.ca_error = None, stamp, str(error)
                self.refusals += 1
                self.tell("certificate_refused", f"{error}; those before stay in force")
            else:
                self._ca_doubted = (stamp,)
            return False
        before, self._ca = self._ca, ca
        try:
            pairs = [self._load(followed.loaded.pair) for followed in self._followed]
        except CertificateError:
            self._ca = before  # a pair is bad at this moment; it is told of as one
            return False
        self._ca_seen, self._ca_doubted, self.ca_error = seen, None, ""
        for followed, loaded in zip(self._followed, pairs, strict=True):
            followed.loaded = loaded
        # Sessions of clients whom the issuers before vouched for must not be resumed.
        self.front = self._make_front()
        self.loads += 1
        self.tell("certificate_loaded", f"{path}: the issuers of clients' certificates")
        return True

    def _read_ca(self) -> tuple[str, Stamp, tuple[Stamp] | None]:
        path = self.options.client_ca
        if path is None:
            return "", None, None
        stamp = stamp_of(path)
        text = read_authorities(path, f"{self.options.place}.client_ca")
        return text, stamp, None

    def _load_all(self, pairs: Sequence[Pair]) -> list[_Followed]:
        """Load all pairs. Raises CertificateError with everything that is wrong."""
        followed, errors = [], []
        for pair in pairs:
            seen = pair.stamp()
            try:
                loaded = self._load(pair)
            except CertificateError as error:
                errors.append(str(error))
                continue
            followed.append(_Followed(loaded, seen))
            _warn(loaded)
        if errors:
            raise CertificateError("\n".join(errors))
        return followed

    def _load(self, pair: Pair) -> Loaded:
        context = self._bare(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        return Loaded(pair, context, pair.serve(context), time.time())

    def _bare(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Set what all contexts have in common; they are asked for it in turns while a handshake goes on."""
        options = self.options
        context.minimum_version = _VERSIONS[options.min_version]
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        if options.ciphers:
            context.set_ciphers(options.ciphers)
        if options.alpn:
            context.set_alpn_protocols(list(options.alpn))
        if self._ca:
            context.load_verify_locations(cadata=self._ca)
            context.verify_mode = ssl.CERT_REQUIRED if options.client_required else ssl.CERT_OPTIONAL
        return context

    def _make_front(self) -> Front:
        front = Front(ssl.PROTOCOL_TLS_SERVER)
        self._bare(front)
        front.sslobject_class = Speaker
        front.sni_callback = front.choose
        return front

    def _install(self) -> None:
        """Have the front find what is in force: the first certificate that bears a name serves it."""
        exact: dict[str, ssl.SSLContext] = {}
        below: dict[str, ssl.SSLContext] = {}
        for followed in self._followed:
            loaded = followed.loaded
            for name in loaded.certificate.names:
                if name.startswith("*."):
                    below.setdefault(name[2:], loaded.context)
                else:
                    exact.setdefault(name, loaded.context)
        default = self._followed[0].loaded.context if self._followed and not self.options.strict_sni else None
        self.front.names = Names(default, exact, below)


async def watch(present: Callable[[], Sequence[Certificates]]) -> None:
    """Follow the files of those that there are at each look, for ever."""
    while True:
        await asyncio.sleep(LOOK)
        for certificates in present():
            await certificates.follow()


def _refuse_expired(loaded: Loaded, before: Loaded) -> None:
    now = time.time()
    if loaded.certificate.not_after <= now < before.certificate.not_after:
        raise CertificateError(f"{loaded.pair.place}.cert: {loaded.pair.cert} has expired {_date(loaded)}")


def _warn(loaded: Loaded) -> None:
    now, certificate = time.time(), loaded.certificate
    if certificate.not_after <= now:
        _log.warning("%s.cert: %s has expired %s", loaded.pair.place, loaded.pair.cert, _date(loaded))
    elif certificate.not_before > now:
        _log.warning("%s.cert: %s is not valid yet", loaded.pair.place, loaded.pair.cert)


def _described(loaded: Loaded) -> str:
    names = ", ".join(loaded.certificate.names[:3])
    return f"{loaded.pair.cert}: for {names or 'nobody'}, good until {_date(loaded)}"


def _date(loaded: Loaded) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(loaded.certificate.not_after))
