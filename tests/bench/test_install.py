import pytest

from bench.contenders import OURS
from bench.install import PACKAGES, ProgramMissingError, debian_programs, install_command, programs


def test_programs_come_from_debians_packages():
    assert install_command([PACKAGES["nginx"], PACKAGES["wrk"]]) == [
        *["apt-get", "install", "-y", "-q", "--no-install-recommends"],
        *["nginx-light", "wrk"],
    ]


def test_what_is_there_is_not_installed(tmp_path, monkeypatch):
    (tmp_path / "haproxy").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))  # which holds no apt-get
    assert debian_programs({"haproxy": "haproxy"}) == {"haproxy": str(tmp_path / "haproxy")}
    assert programs(["haproxy", OURS])["haproxy"] == str(tmp_path / "haproxy")


def test_what_cannot_be_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissingError, match="no-such-program: not found, and no apt-get"):
        debian_programs({"no-such-program": "no-such-package"})
