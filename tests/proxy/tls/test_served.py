"""What a certificate is read as without cryptography, which reads it here as the measure."""

from __future__ import annotations

import datetime as dt
import ssl
import subprocess
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from proxy.tls import certificate, served
from proxy.tls.certificate import Certificate, read_der
from proxy.tls.pair import CertificateError, Pair
from proxy.tls.served import first_of, served_by
from tests.proxy.test_tls import secured
from tests.servers.pointsman import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

KEYS: dict[str, Callable[[], CertificateIssuerPrivateKeyTypes]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),  # which clients do not speak by themselves
}
BEGIN = dt.datetime(2020, 2, 29, 23, 59, 59, tzinfo=dt.UTC)
END = dt.datetime(2051, 1, 1, tzinfo=dt.UTC)  # written in another way than years before 2050
ALTERNATIVES = [
    x509.DNSName("Shop.example"),
    x509.DNSName("*.shop.example"),
    x509.DNSName("shop.example"),
    x509.IPAddress(ip_address("2001:db8::1")),
    x509.UniformResourceIdentifier("spiffe://shop/web"),
    x509.RFC822Name("shop@example.com"),
]


def written(
    folder: Path,
    *,
    key: str = "p256",
    common: tuple[str, ...] = ("shop",),
    alternatives: list[x509.GeneralName] | None = None,
    end: dt.datetime = END,
) -> Pair:
    private = KEYS[key]()
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "shop@example.com"),
            *(x509.NameAttribute(x509.NameOID.COMMON_NAME, one) for one in common),
        ]
    )
    builder = x509.CertificateBuilder(name, name, private.public_key(), 4711, BEGIN, end)
    if alternatives is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    for number in (4, 5):
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{number}"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=False)
    plain = isinstance(private, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    certificate = builder.sign(private, None if plain else hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file = folder / "shop.pem"
    file.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + pem
    )
    return Pair(file, file, "tls.certificates[0]")


def refuse(der: bytes) -> Certificate:
    pytest.fail("cryptography was asked")


def same(pair: Pair, context: ssl.SSLContext | None = None, *, by_cryptography: bool = False) -> None:
    """Compare; but for `by_cryptography`, it is to be our client who tells."""
    measure = read_der(first_of(pair.cert.read_bytes()))
    with pytest.MonkeyPatch.context() as patch:
        if not by_cryptography:
            patch.setattr(certificate, "read_der", refuse)
        found = pair.serve(context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    assert found.names == measure.names
    assert (found.not_before, found.not_after) == (measure.not_before, measure.not_after)
    assert found.read() == measure


@pytest.mark.parametrize("key", KEYS)
def test_every_kind_of_key(tmp_path: Path, key: str) -> None:
    same(written(tmp_path, key=key, alternatives=ALTERNATIVES), by_cryptography=key == "brainpool")


@pytest.mark.parametrize("common", [(), ("shop",), ("Shop.example", "other.example"), ("grüße",)])
@pytest.mark.parametrize("alternatives", [None, ALTERNATIVES, [x509.IPAddress(ip_address("10.0.0.1"))]])
def test_whose_it_is(tmp_path: Path, common: tuple[str, ...], alternatives: list[x509.GeneralName] | None) -> None:
    same(written(tmp_path, common=common, alternatives=alternatives))


def test_it_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = written(tmp_path)
    first = served_by(context := ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair.load(context))
    monkeypatch.setattr(served, "_look_at", lambda *_: pytest.fail("it is known"))
    assert served_by(context, pair.load(context)) is first
    monkeypatch.undo()
    pair = written(tmp_path)
    assert served_by(context, pair.load(context)).der != first.der, "another one in the same file"


def test_a_file_that_changes_between_two_looks_is_not_remembered_for_what_it_was(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    before = written(tmp_path).cert.read_bytes()
    written(tmp_path).load(context)
    now = served_by(context, before)
    Pair(tmp_path / "before.pem", tmp_path / "before.pem", "tls").cert.write_bytes(before)
    same(Pair(tmp_path / "before.pem", tmp_path / "before.pem", "tls"))
    assert now.der != served_by(context, before).der


def test_no_more_are_remembered_than_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[bytes, served.Served] = {}
    monkeypatch.setattr(served, "_MOST", 2)
    monkeypatch.setattr(served, "_known", known)
    for _ in range(5):
        same(written(tmp_path))
        assert 1 <= len(known) <= 2


def test_one_that_has_expired(tmp_path: Path) -> None:
    same(written(tmp_path, end=BEGIN + dt.timedelta(days=1)))


def test_the_first_of_a_chain(tmp_path: Path) -> None:
    (tmp_path / "issuer").mkdir()
    issuer = written(tmp_path / "issuer", common=("issuer",))
    pair = written(tmp_path)
    with pair.cert.open("ab") as file:
        file.write(issuer.cert.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])
    same(pair)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_context_with_settings_of_its_own(tmp_path: Path, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    context.set_alpn_protocols(["http/1.1"])
    pair = written(tmp_path, alternatives=ALTERNATIVES)
    context.load_verify_locations(cadata=pair.cert.read_text().partition("-----END PRIVATE KEY-----\n")[2])
    context.verify_mode = ssl.CERT_REQUIRED
    same(pair, context)
    assert context.verify_mode == ssl.CERT_REQUIRED, "clients are asked as before"


# Parts of a certificate as they are written, and what OpenSSL takes in their place, and cryptography does not.
STRANGE = {
    "an extension twice": (bytes.fromhex("06032a0304"), bytes.fromhex("06032a0305")),
    "a version there is not": (bytes.fromhex("a003020102"), bytes.fromhex("a003020105")),
}


def strange(folder: Path, what: str) -> Pair:
    pair = written(folder, alternatives=ALTERNATIVES)
    head, begin, pem = pair.cert.read_text().partition("-----BEGIN CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(begin + pem)
    before, after = STRANGE[what]
    assert der.count(before) == 1
    pair.cert.write_text(head + ssl.DER_cert_to_PEM_cert(der.replace(before, after)))
    return pair


@pytest.mark.parametrize("what", STRANGE)
def test_one_that_cryptography_cannot_read_is_served_all_the_same(tmp_path: Path, what: str) -> None:
    pair = strange(tmp_path, what)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found = served_by(context, pair.load(context))
    assert found.names == ("shop.example", "*.shop.example")
    with pytest.raises(ValueError, match=r"."):
        found.read()


@pytest.mark.parametrize("what", STRANGE)
async def test_the_admin_address_shows_what_can_be_read(tmp_path: Path, what: str) -> None:
    strange(tmp_path, what)
    async with secured(tmp_path, {"certificates": [{"cert": "shop.pem"}]}) as proxy:
        status, shown = await proxy.admin("/api/v1/certificates")
    [certificate] = shown["certificates"]
    assert status == 200
    assert certificate["names"] == ["shop.example", "*.shop.example"]
    assert certificate["not_after"] == "2051-01-01T00:00:00Z"
    assert certificate["subject"] is None


def test_cryptography_is_not_needed(tmp_path: Path) -> None:
    pair = written(tmp_path, alternatives=ALTERNATIVES)
    program = (
        "import ssl, sys\n"
        "from pathlib import Path\n"
        "from proxy.tls.certificates import Certificates, TlsOptions\n"
        "from proxy.tls.pair import Pair\n"
        "file = Path(sys.argv[1])\n"
        "[(loaded, _)] = Certificates(TlsOptions((Pair(file, file, 'tls'),))).in_force\n"
        "print(*loaded.certificate.names, 'cryptography' in sys.modules)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(pair.cert)], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.split() == ["shop.example", "*.shop.example", "False"]


def unreadable(folder: Path) -> Pair:
    """One with a name in no encoding."""
    pair = written(folder, alternatives=ALTERNATIVES)
    head, begin, pem = pair.cert.read_text().partition("-----BEGIN CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(begin + pem).replace(b"Shop.example", b"Sh\xf6p.example")
    pair.cert.write_text(head + ssl.DER_cert_to_PEM_cert(der))
    return pair


def test_one_that_nobody_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"^tls.certificates\[0\].cert: .*shop.pem cannot be read: "):
        unreadable(tmp_path).serve(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def test_validate_finds_it_too(tmp_path: Path) -> None:
    unreadable(tmp_path)
    file = tmp_path / "pointsman.yaml"
    file.write_text(
        'listeners: [{bind: "127.0.0.1:0", tls: {certificates: [{cert: shop.pem}]}}]\n'
        'routes: [{service: web}]\nservices: {web: {discovery: {static: ["127.0.0.1:9"]}}}\n'
    )
    said = subprocess.run([COMMAND, "validate", "-c", str(file)], capture_output=True, text=True, timeout=60)
    assert said.returncode == 2
    assert "listeners[0].tls.certificates[0].cert: " in said.stdout + said.stderr
    assert "cannot be read" in said.stdout + said.stderr


@pytest.mark.parametrize("label", ["CERTIFICATE", "X509 CERTIFICATE"])
def test_the_key_is_blamed_where_it_is_the_key(tmp_path: Path, label: str) -> None:
    pair = strange(tmp_path, "an extension twice")
    text = pair.cert.read_text().replace("CERTIFICATE-----", f"{label}-----")
    (tmp_path / "cert.pem").write_text(text[text.index("-----BEGIN " + label) :])
    (tmp_path / "other.key").write_text("nothing\n")
    with pytest.raises(CertificateError, match=r"^tls.key: .*other.key holds no private key in PEM$"):
        Pair(tmp_path / "cert.pem", tmp_path / "other.key", "tls").load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def test_what_is_no_certificate(tmp_path: Path) -> None:
    pair = written(tmp_path)
    text = pair.cert.read_text()
    pair.cert.write_text(text.replace("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nMIJ"))
    with pytest.raises(CertificateError, match=r"^tls.certificates\[0\].cert: .* holds no certificate in PEM$"):
        pair.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
