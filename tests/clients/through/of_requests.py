"""requests: its tests ask an httpbin, which runs already."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from through import URL, Record

LEFT_OUT = {
    "tests/test_lowlevel.py::test_use_proxy_from_environment": "asks a proxy of its own, which answers by itself",
    "tests/test_requests.py::TestRequests::test_proxy_authorization_preserved_on_request":
        "expects Proxy-Authorization to arrive, which a proxy keeps to itself",
}  # fmt: skip


@pytest.fixture(scope="session")
def httpbin() -> SimpleNamespace:
    return SimpleNamespace(url=URL)


def asks_elsewhere(item: Any) -> str:
    if "httpbin_secure" in item.fixturenames:
        return "asks over TLS"
    if "httpbin" not in item.fixturenames:
        return "asks no httpbin"
    return ""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Record(asks_elsewhere, LEFT_OUT))
