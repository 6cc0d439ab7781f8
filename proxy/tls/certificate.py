"""A certificate as far as we want to know it: whose it is, how long it is good, how it is told from others."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes

_UNWRITTEN = re.compile(r"[^ -~]")  # what RFC 4514 has written, and cryptography does not, as \XX

# What cryptography raises beside ValueError for what OpenSSL takes.
_UNREADABLE = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says; times in seconds since 1970."""

    subject: str  # RFC 4514, in ASCII: what is not is escaped
    issuer: str
    serial: str  # hexadecimal
    fingerprint: str  # SHA-256 of the whole, hexadecimal
    names: tuple[str, ...]  # DNS names, in lower case; the common name where there are no names of any kind
    alternatives: tuple[tuple[str, str], ...]  # all its names of the kinds DNS, IP, URI and email, with their kind
    not_before: float
    not_after: float


def read_der(der: bytes) -> Certificate:
    """Read a certificate as TLS sends it. Raises ValueError."""
    try:
        return _read(x509.load_der_x509_certificate(der))
    except _UNREADABLE as error:
        raise ValueError(str(error)) from None


def _read(found: x509.Certificate) -> Certificate:
    try:
        others = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = others.get_values_for_type(x509.DNSName)
        alternatives = [
            *(("DNS", name) for name in names),
            *(("IP", str(address)) for address in others.get_values_for_type(x509.IPAddress)),
            *(("URI", uri) for uri in others.get_values_for_type(x509.UniformResourceIdentifier)),
            *(("email", address) for address in others.get_values_for_type(x509.RFC822Name)),
        ]
    except x509.ExtensionNotFound:
        common = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names, alternatives = [str(common[-1].value)] if common else [], []
    return Certificate(
        subject=_ascii(found.subject.rfc4514_string()),
        issuer=_ascii(found.issuer.rfc4514_string()),
        serial=f"{found.serial_number:x}",
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
        names=tuple(dict.fromkeys(name.lower() for name in names)),
        alternatives=tuple(alternatives),
        not_before=found.not_valid_before_utc.timestamp(),
        not_after=found.not_valid_after_utc.timestamp(),
    )


def _ascii(name: str) -> str:
    """Escape what is no visible ASCII (RFC 4514 2.4): nobody can end a header field with a name."""
    return _UNWRITTEN.sub(lambda found: "".join(f"\\{byte:02X}" for byte in found[0].encode()), name)
