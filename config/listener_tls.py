"""The keys of TLS on a listener: certificates, what is spoken, and what is wanted of clients."""

import ssl
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from config.acme import ListenerAcme
from config.declaring import AfterValidator, Field, PlainValidator, WithJsonSchema
from config.frozen import Model
from config.units import Bool, PathText, show

Version = Literal["1.2", "1.3"]

# Mozilla's "intermediate" of 2025 without finite-field Diffie-Hellman: an ephemeral key exchange and an AEAD each.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)


def parse_version(value: object) -> Version:
    """Read a version of TLS, also one that YAML took for a number."""
    text = str(value) if isinstance(value, float) else value
    if text not in ("1.2", "1.3"):
        raise ValueError(f'must be "1.2" or "1.3", not {show(value)}')
    return text


def _known_ciphers(ciphers: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(ciphers)
    except (ssl.SSLError, ValueError):
        raise ValueError(
            "must be a list of ciphers that OpenSSL knows, such as ECDHE+AESGCM:ECDHE+CHACHA20, "
            f"not {show(ciphers)}; openssl ciphers LIST shows what a list stands for"
        ) from None
    return ciphers


def _client_ca_where_asked(given: Mapping[str, Any]) -> str | None:
    """Want what a client's certificate is judged by, where one is asked for or told of."""
    for key in ("client_auth", "forward_certificate"):
        if given.get(key) and "client_ca" not in given:
            return f"has {key} without client_ca: add the file of those who issue your clients' certificates"
    return None


def _a_certificate(given: Mapping[str, Any]) -> str | None:
    """Want something to serve with."""
    if not given.get("certificates") and not given.get("acme"):
        return "must have certificates, or acme"
    return None


class CertificateFiles(Model):
    """A certificate and its key."""

    cert: PathText = Field(
        description="The file with the certificate, and behind it those of its issuers (PEM). A relative path starts "
        "at this file's folder."
    )
    key: PathText | None = Field(
        default=None, description="The file with its private key (PEM), without a password. Left out: it is in cert."
    )


class ListenerTls(Model):
    """TLS to the clients of a listener."""

    certificates: tuple[CertificateFiles, ...] = Field(
        default=(),
        description="The certificates. A client gets the one that bears the name it asks for (SNI), exactly or by a "
        "wildcard; the first one is for all others. They are loaded anew when their files change.",
    )
    min_version: Annotated[
        Version,
        PlainValidator(parse_version),
        WithJsonSchema({"enum": ["1.2", "1.3", 1.2, 1.3]}),
    ] = Field(default="1.2", description='The oldest version of TLS that is spoken: "1.2" or "1.3".')
    ciphers: Annotated[str, AfterValidator(_known_ciphers)] = Field(
        default=CIPHERS,
        description="The ciphers of TLS 1.2, as OpenSSL lists them; ours comes first that the client knows too. Those "
        "of TLS 1.3 are OpenSSL's.",
    )
    strict_sni: Bool = Field(
        default=False,
        description="true: a client that asks for a name that no certificate bears, or for none, is refused. false: it "
        "gets the first certificate.",
    )
    client_ca: PathText | None = Field(
        default=None,
        description="The file with the certificates of those who issue the clients' (PEM). Left out: clients are "
        "asked for none.",
    )
    client_auth: Literal["required", "optional"] | None = Field(
        default=None,
        description="required: a client without a valid certificate is refused; optional: one without any is not. "
        "Left out: required, where there is a client_ca.",
    )
    forward_certificate: Bool = Field(
        default=False,
        description="true: instances get the client's whole certificate too, in the header Client-Cert (RFC 9440).",
    )
    acme: ListenerAcme | None = Field(
        default=None,
        description="Certificates from the authority under acme at the top of the file, beside those above.",
    )
    rules = (_client_ca_where_asked, _a_certificate)
