"""What `pointsman validate` says of the files that a configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme
from click.testing import CliRunner

from config.errors import ConfigError
from config.load import load
from proxy.assemble.checks import CHECKS
from proxy.assemble.files import check_files
from proxy.cli import main

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
listeners:
  - bind: 127.0.0.1:8443
    tls:
      certificates:
        - {cert: shop.pem, key: shop.key}
        - cert: whole.pem
      client_ca: ca.pem
routes:
  - {path: /in, service: web, basic_auth: {file: users}}
  - {service: web}
services:
  web:
    discovery: {static: ["127.0.0.1:9001"]}
    tls: {ca: ca.pem, cert: ours.pem, key: ours.key}
acme: {terms_agreed: true, domains: [a.example.com], ca: authority.pem}
"""
CA = trustme.CA()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("shop", "ours"):
        issued = CA.issue_cert(f"{name}.test")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    CA.issue_cert("whole.test").private_key_and_cert_chain_pem.write_to_path(tmp_path / "whole.pem")
    (tmp_path / "ca.pem").write_bytes("# Vydává Žluťoučký kůň\n".encode("cp1250") + CA.cert_pem.bytes())
    (tmp_path / "authority.pem").write_bytes(CA.cert_pem.bytes())
    (tmp_path / "users").write_text("ann:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n")
    (tmp_path / "pointsman.yaml").write_text(CONFIG)
    return tmp_path


def told(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(folder / "pointsman.yaml", environ={}, checks=CHECKS, last=check_files)
    return [line.replace(f"{folder}/", "") for line in str(raised.value).splitlines()]


def test_good_files_are_fine_whatever_stands_between_the_certificates(folder: Path) -> None:
    load(folder / "pointsman.yaml", environ={}, checks=CHECKS, last=check_files)


def test_files_that_are_not_there_are_named_each_with_its_line(folder: Path) -> None:
    for file in folder.iterdir():
        if file.name != "pointsman.yaml":
            file.unlink()
    where = [
        (6, "listeners[0].tls.certificates[0].cert", "shop.pem"),
        (6, "listeners[0].tls.certificates[0].key", "shop.key"),
        (7, "listeners[0].tls.certificates[1].cert", "whole.pem"),
        (8, "listeners[0].tls.client_ca", "ca.pem"),
        (10, "routes[0].basic_auth.file", "users"),
        (15, "services.web.tls.ca", "ca.pem"),
        (15, "services.web.tls.cert", "ours.pem"),
        (15, "services.web.tls.key", "ours.key"),
        (16, "acme.ca", "authority.pem"),
    ]
    assert told(folder) == [
        f"pointsman.yaml:{line}: {key}: {name} cannot be read: No such file or directory" for line, key, name in where
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "shop.key",
            CA.issue_cert("x").private_key_pem.bytes(),
            "pointsman.yaml:6: listeners[0].tls.certificates[0].key: shop.key is not the key of the certificate in ",
        ),
        (
            "shop.pem",
            b"x",
            "pointsman.yaml:6: listeners[0].tls.certificates[0].cert: shop.pem holds no certificate in PEM",
        ),
        (
            "whole.pem",
            CA.issue_cert("x").cert_chain_pems[0].bytes(),
            "pointsman.yaml:7: listeners[0].tls.certificates[1].key: whole.pem holds no private key in PEM",
        ),
        ("ca.pem", b"", "pointsman.yaml:8: listeners[0].tls.client_ca: ca.pem holds no certificates in PEM"),
        ("ours.key", b"x", "pointsman.yaml:15: services.web.tls.key: ours.key holds no private key in PEM"),
        ("users", b"ann\n", "pointsman.yaml:10: routes[0].basic_auth.file: users"),
    ],
)
def test_files_that_cannot_be_used_are_told_as_what_they_are(
    folder: Path, name: str, content: bytes, says: str
) -> None:
    (folder / name).write_bytes(content)
    assert told(folder)[0].startswith(says)


def test_the_command_tells_it(folder: Path) -> None:
    (folder / "shop.key").unlink()
    done = CliRunner().invoke(main, ["validate", "-c", str(folder / "pointsman.yaml")])
    assert (done.exit_code, "shop.key cannot be read: No such file or directory\n" in done.output) == (2, True)
