"""What of its certificate a server has to know: for whom it is, and how long it is good."""

from __future__ import annotations

import base64
import re
import ssl
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from proxy.tls.certificate import Certificate

_MOST = 10_000  # certificates that are remembered, with a kilobyte each

_known: dict[bytes, Served] = {}  # by the digest of the file

_BLOCK = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----(.*?)-----END ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Served:
    """A certificate that a context serves; times in seconds since 1970."""

    der: bytes
    names: tuple[str, ...]  # DNS names, in lower case; the common name where there are no names of any kind
    not_before: float
    not_after: float

    def read(self) -> Certificate:
        """Read all that it says, for whoever wants to see it. Raises ValueError.

        That takes `cryptography`: 0.1 s the first time, and 8 MiB.
        """
        from proxy.tls.certificate import read_der

        return read_der(self.der)


def first_of(pem: bytes) -> bytes:
    """Return the first certificate of a PEM file, whatever it holds. Raises ValueError."""
    block = _BLOCK.search(pem)
    if block is None:
        raise ValueError("no certificate in PEM")
    return base64.b64decode(block[1])


def served_by(context: ssl.SSLContext, pem: bytes) -> Served:
    """Say what a server's context serves, of which `pem` is the file. Raises ValueError.

    A client of our own shakes hands with it, in memory, and tells what it sees: 1 to 10 ms, most of it for the key, and
    no memory that clients would not take anyway. A reload, which makes all contexts anew, finds that remembered.
    """
    digest = sha256(pem).digest()
    found = _known.get(digest)
    if found is None:
        found = _look_at(context, pem)
        if len(_known) >= _MOST:
            _known.clear()
        # Unless the file was written anew between two looks at it.
        if base64.b64encode(found.der) in b"".join(pem.split()):
            _known[digest] = found
    return found


def _look_at(context: ssl.SSLContext, pem: bytes) -> Served:
    """Say what it serves; of one that only clients with settings of their own speak (Brainpool), what the file says."""
    wanted, context.verify_mode = context.verify_mode, ssl.CERT_NONE  # ours has no certificate to show
    try:
        return _seen_by_a_client_of(context)
    except (ssl.SSLError, ValueError):
        from proxy.tls.certificate import read_der

        found = read_der(der := first_of(pem))
        return Served(der, found.names, found.not_before, found.not_after)
    finally:
        context.verify_mode = wanted


def _seen_by_a_client_of(server: ssl.SSLContext) -> Served:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")  # whatever the server is set to
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there)
    answering = server.wrap_bio(there, back, server_side=True)
    for end in (asking, answering, asking, answering, asking):  # TLS 1.2 takes two round trips
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    der = asking.getpeercert(binary_form=True)
    client.verify_mode = ssl.CERT_REQUIRED  # the module takes apart only what is verified, and asks for that late
    found = cast("dict[str, Any]", asking.getpeercert())
    if not der or not found:
        raise ValueError("no certificate came")
    names = found.get("subjectAltName")
    if names is None:
        common = [value for part in found["subject"] for kind, value in part if kind == "commonName"]
        wanted = common[-1:]
    else:
        wanted = [name for kind, name in names if kind == "DNS"]
    return Served(
        der,
        tuple(dict.fromkeys(name.lower() for name in wanted)),
        ssl.cert_time_to_seconds(found["notBefore"]),
        ssl.cert_time_to_seconds(found["notAfter"]),
    )
