"""Keys, requests for certificates, and the placeholders that stand in until the first certificate has come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.tls.acme.pace import Standing

_PLACEHOLDER = "pointsman placeholder"  # the issuer's name, by which one is told from a certificate
_PLACEHOLDER_LIFE = timedelta(days=7)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key on P-256, which all clients and authorities take."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a key."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a key of ours. Raises ValueError."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key on an elliptic curve")
    return key


def request_pem(domain: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write the request for a certificate (CSR) of a domain. It has no common name, which may have 64 letters only."""
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


def placeholder_pem(domain: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a certificate that nobody vouches for."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _PLACEHOLDER)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _PLACEHOLDER_LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def standing_of(chain: bytes, key: bytes, domain: str) -> Standing | None:
    """Say how a certificate stands; None when it and the key cannot serve the domain.

    Two files are not written at once: after a crash between them they may not belong together.
    """
    try:
        found = x509.load_pem_x509_certificate(chain)
        if found.public_key() != read_key(key).public_key():
            return None
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if domain not in [name.lower() for name in names.get_values_for_type(x509.DNSName)]:
            return None
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return None
    common = found.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return Standing(
        found.not_valid_before_utc.timestamp(),
        found.not_valid_after_utc.timestamp(),
        placeholder=bool(common) and common[0].value == _PLACEHOLDER,
    )
