"""What is known of a client by TLS, once for its connection, and what instances are told of its certificate."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    import ssl

    from proxy.tls.certificate import Certificate

LONGEST = 4096  # bytes of one field; a certificate can hold far more names than a server takes in a head
_UNSAFE = re.compile(r"[^!-~]|[,%]")  # of a name among others: separators, and what is no visible ASCII


@dataclass(frozen=True, slots=True)
class Secured:
    """What a handshake came to. `fields` are those that instances get, each with its line's end."""

    version: str = ""  # TLSv1.3
    cipher: str = ""  # TLS_AES_256_GCM_SHA384
    subject: str = ""  # of the client's certificate, RFC 4514; empty: none
    fields: bytes = b""


def secured_by(speaker: ssl.SSLObject, *, asked: bool, whole: bool) -> Secured:
    """Say what a handshake came to; `asked` when clients are asked for certificates, `whole` to pass them on whole."""
    cipher = speaker.cipher()
    version, name = speaker.version() or "", cipher[0] if cipher else ""
    if not asked:
        return Secured(version, name)
    der = speaker.getpeercert(binary_form=True)
    if not der:
        return Secured(version, name, fields=b"X-Client-Cert-Verified: NONE\r\n")
    from proxy.tls.certificate import read_der  # and with it 8 MiB of cryptography

    try:
        certificate = read_der(der)
    except ValueError:  # OpenSSL is less strict: it has verified what cannot be read here
        fingerprint = hashlib.sha256(der).hexdigest()
        lines = f"X-Client-Cert-Verified: SUCCESS\r\nX-Client-Cert-Fingerprint: {fingerprint}\r\n"
        return Secured(version, name, fields=lines.encode())
    return Secured(version, name, certificate.subject, fields_of(certificate, der if whole else b""))


def fields_of(certificate: Certificate, der: bytes) -> bytes:
    """Write what instances are told of a certificate; with `der`, the whole too (RFC 9440 2.2)."""
    others = [f"{kind}:{_UNSAFE.sub(_quoted, name)}" for kind, name in certificate.alternatives]
    fields = [
        ("Verified", "SUCCESS"),
        ("Subject", certificate.subject),
        ("Issuer", certificate.issuer),
        ("Serial", certificate.serial),
        ("Fingerprint", certificate.fingerprint),
        ("San", ", ".join(others)),
    ]
    lines = [f"X-Client-Cert-{name}: {value}\r\n".encode() for name, value in fields if value and len(value) <= LONGEST]
    if der:
        lines.append(b"Client-Cert: :%b:\r\n" % base64.b64encode(der))
    return b"".join(lines)


def _quoted(found: re.Match[str]) -> str:
    return quote(found[0], safe="")
