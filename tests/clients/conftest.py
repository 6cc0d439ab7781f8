"""A site of three instances, pointsman before it, and the clients that are programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients.browser import Browser
from tests.servers.debian import DebianProgram, debian_program
from tests.servers.instances import Site
from tests.servers.pointsman import Pointsman
from tests.servers.program import until
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("site-1", "site-2", "site-3")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), *NAMES) as site:
        yield site


@pytest.fixture(scope="session")
def shared_proxy(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pointsman]:
    services = {"web": {"discovery": {"static": site.addresses()}, "balancer": "round_robin"}}
    with Pointsman(tmp_path_factory.mktemp("proxy"), services) as proxy:
        yield proxy


@pytest.fixture
def proxy(shared_proxy: Pointsman) -> Iterator[Pointsman]:
    """One pointsman for all tests; each must leave it with nothing under way and no response broken."""
    broken = shared_proxy.metric('pointsman_responses_broken_total{service="web"}')
    yield shared_proxy
    until(lambda: shared_proxy.service("web")["in_flight"] == 0, "nothing is under way any more")
    assert shared_proxy.metric('pointsman_responses_broken_total{service="web"}') == broken


@pytest.fixture(scope="session")
def curl(request: pytest.FixtureRequest) -> DebianProgram:
    return had_or_skipped(request.config, "curl", lambda: debian_program("curl"))


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium = had_or_skipped(request.config, "Chromium", lambda: debian_program("chromium"))
    with Browser(chromium, tmp_path_factory.mktemp("browser")) as browser:
        yield browser
