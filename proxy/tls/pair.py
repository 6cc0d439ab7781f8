"""A certificate and its key in their files: loaded together, or not at all."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.tls.served import first_of, served_by

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.tls.served import Served

SIZE_LIMIT = 2**20  # bytes of a file; a certificate with its chain has some 5,000

# What tells that a file is another one than before, also behind symbolic links: changed in place, moved there, or made
# readable. None: it cannot be looked at.
Stamp = tuple[int, int, int, int] | None


class CertificateError(Exception):
    """Something cannot be used for TLS; the text begins with the path of its key in the configuration."""


class _EncryptedKeyError(Exception):
    """A key wants a password; OpenSSL would ask for it on the terminal."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a certificate and its key are; `place` is the path of that in the configuration."""

    cert: Path
    key: Path
    place: str = field(compare=False)

    def stamp(self) -> tuple[Stamp, Stamp]:
        """Look at both files."""
        return stamp_of(self.cert), stamp_of(self.key)

    def load(self, context: ssl.SSLContext) -> bytes:
        """Load both into a context, and return what the certificate's file holds. Raises CertificateError."""
        pem = read(self.cert, f"{self.place}.cert")
        read(self.key, f"{self.place}.key")
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        except _EncryptedKeyError:
            raise CertificateError(
                f"{self.place}.key: {self.key} wants a password; write the key without one (openssl pkey -in KEY)"
            ) from None
        except (ssl.SSLError, OSError) as error:
            raise CertificateError(self._why_not(error, pem)) from None
        return pem

    def serve(self, context: ssl.SSLContext) -> Served:
        """Load both into a server's context, and say what it serves. Raises CertificateError."""
        pem = self.load(context)
        try:
            return served_by(context, pem)
        except ValueError as error:
            raise CertificateError(f"{self.place}.cert: {self.cert} cannot be read: {error}") from None

    def _why_not(self, error: OSError, pem: bytes) -> str:
        reason = getattr(error, "reason", None) or ""
        # The last one is a key of another kind, such as RSA's for a certificate on P-256.
        if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            return f"{self.place}.key: {self.key} is not the key of the certificate in {self.cert}"
        if reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
            weak = reason.lower().replace("ee_", "").replace("ca_md", "digest").replace("_", " ")
            return f"{self.place}.cert: OpenSSL does not take {self.cert}: {weak}"
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=first_of(pem))
        except (ssl.SSLError, ValueError):
            return f"{self.place}.cert: {self.cert} holds no certificate in PEM"
        if b"PRIVATE KEY-----" not in self.key.read_bytes():
            return f"{self.place}.key: {self.key} holds no private key in PEM"
        return f"{self.place}: {self.cert} and {self.key} cannot be loaded: {reason or error}"


def stamp_of(path: Path) -> Stamp:
    """Look at what a path leads to."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size


def read(path: Path, place: str) -> bytes:
    """Read a file of PEM. Raises CertificateError."""
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise CertificateError(f"{place}: {path} cannot be read: {error.strerror or error}") from None
    if len(data) > SIZE_LIMIT:
        raise CertificateError(f"{place}: {path} has more than {SIZE_LIMIT} bytes")
    return data


def read_authorities(path: Path, place: str) -> str:
    """Read the certificates of those who vouch for others, as load_verify_locations has them. Raises CertificateError.

    What stands between them is left out, which may be in any encoding.
    """
    text = read(path, place).decode("ascii", "ignore")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise CertificateError(f"{place}: {path} holds no certificates in PEM") from None
    return text


def _no_password() -> str:
    raise _EncryptedKeyError
