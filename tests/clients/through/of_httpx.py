"""httpx: its tests start a server of their own, under uvicorn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from through import PORT, URL, Record
from uvicorn.config import Config

if TYPE_CHECKING:
    from collections.abc import Generator

LEFT_OUT = {
    "tests/test_main.py::test_download": "fails without us: it uses what click has deprecated",
    "tests/test_main.py::test_verbose": "expects port 8000",
    "tests/test_main.py::test_auth": "expects port 8000",
    "tests/test_main.py": "expects no field but those that uvicorn sends, and there is our Via",
    "tests/test_timeouts.py::test_write_timeout[trio]": "fails without us: it leaves a generator unfinished",
    "tests/test_utils.py::test_logging": "expects port 8000",
}
_configure = Config.__init__


def _configure_port(self: Any, *arguments: Any, **options: Any) -> None:
    _configure(self, *arguments, port=PORT, **options)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    value = yield
    if fixturedef.argname == "server":
        type(value).url = property(lambda server: httpx.URL(URL))
    return value


def asks_elsewhere(item: Any) -> str:
    return "" if "server" in item.fixturenames else "asks no server"


def pytest_configure(config: pytest.Config) -> None:
    Config.__init__ = _configure_port
    config.pluginmanager.register(Record(asks_elsewhere, LEFT_OUT))
