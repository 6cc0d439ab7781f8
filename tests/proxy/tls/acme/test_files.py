"""The folder of certificates: whole, private, and shared."""

import stat
import subprocess
import sys

import pytest

from proxy.tls.acme import making
from proxy.tls.acme.files import Folder
from proxy.tls.acme.pace import HOUR

DOMAIN = "shop.example.com"


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "acme")
    made.prepare(DOMAIN)
    return made


def test_a_placeholder_stands_in_until_there_is_a_certificate(folder):
    standing = folder.standing(DOMAIN)
    assert standing is not None
    assert standing.placeholder
    before = folder.pair(DOMAIN)[0].read_bytes()
    folder.prepare(DOMAIN)
    assert folder.pair(DOMAIN)[0].read_bytes() == before


def test_nobody_else_may_look_in(folder):
    folder.account_key()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for path in folder.path.glob("*.*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_files_that_do_not_belong_together_are_no_certificate(folder):
    folder.pair(DOMAIN)[1].write_bytes(making.key_pem(making.new_key()))
    assert folder.standing(DOMAIN) is None
    folder.prepare(DOMAIN)
    assert folder.standing(DOMAIN) is not None


@pytest.mark.parametrize(
    "spoilt", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_spoilt_file_is_no_certificate(folder, spoilt):
    folder.pair(DOMAIN)[0].write_bytes(spoilt)
    assert folder.standing(DOMAIN) is None


def test_a_certificate_of_another_host_is_none(folder):
    chain, key = (path.read_bytes() for path in folder.pair(DOMAIN))
    folder.keep("other.example.com", chain, key)
    assert folder.standing("other.example.com") is None


def test_the_key_of_the_account_is_kept(folder):
    assert folder.account_key().private_numbers() == folder.account_key().private_numbers()


@pytest.mark.parametrize("token", ["", "..", "../account.key", "a/b", "a.b", "a" * 257, "\ufffd", "a\n"])
def test_a_token_is_no_path(folder, token):
    folder.account_key()
    assert folder.proof(token) is None
    with pytest.raises(ValueError, match="malformed"):
        folder.prove(token, b"x")


def test_proofs_are_shown_until_they_are_forgotten(folder):
    folder.prove("abc", b"abc.def")
    assert Folder(folder.path).proof("abc") == b"abc.def"
    folder.forget_proofs()
    assert folder.proof("abc") is None


def test_orders_are_remembered_for_an_hour(folder):
    folder.ordered(DOMAIN, 1000.0)
    folder.ordered("other.example.com", 2000.0)
    assert Folder(folder.path).orders(DOMAIN) == [1000.0]
    folder.ordered(DOMAIN, 1001.0 + HOUR)
    assert folder.orders(DOMAIN) == [1001.0 + HOUR]
    (folder.path / "orders.json").write_text("[]")
    assert folder.orders(DOMAIN) == []


def test_one_process_orders_at_a_time(folder):
    asking = "import sys; from pathlib import Path; from proxy.tls.acme.files import Folder\n"
    asking += "with Folder(Path(sys.argv[1])).locked() as ours: print(ours)"
    command = [sys.executable, "-c", asking, str(folder.path)]
    with folder.locked() as ours:
        assert ours
        assert subprocess.run(command, capture_output=True, check=True, timeout=20).stdout == b"False\n"
    assert subprocess.run(command, capture_output=True, check=True, timeout=20).stdout == b"True\n"
