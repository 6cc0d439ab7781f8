"""The same tags lead the same requests to the same instances, with the same paths, as with a real Traefik."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.proxy.running import running
from tests.proxy.test_catalogs import echo
from tests.servers import traefik
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from tests.servers.consul import ConsulAgent

# What each service says of its router, which has its name.
ROUTERS = {
    "exact": ["rule=Host(`a.io`) && Path(`/exact`)"],
    "prefix": ["rule=Host(`a.io`) && PathPrefix(`/api`)"],
    "longer": ["rule=Host(`a.io`) && PathPrefix(`/api/v1`)"],
    "host": ["rule=Host(`a.io`)"],
    "no-host": ["rule=PathPrefix(`/very/long/path/without/host`)"],
    "first": ["rule=PathPrefix(`/first`)", "priority=1000"],
    "either": ["rule=Host(`b.io`) && (PathPrefix(`/x`) || Path(`/y`))"],
    "strip": ["rule=Host(`c.io`) && PathPrefix(`/s`)", "middlewares=m"],
    "last": ["rule=Host(`c.io`) && PathPrefix(`/s/last`)", "priority=1"],
    "Case": ["Rule=host(`D.io`)"],
}
STRIP = "traefik.http.middlewares.m.stripprefix.prefixes=/s"
HOSTS = ["a.io", "A.io:80", "b.io", "c.io", "d.io", "z.io"]
PATHS = [
    "/", "/exact", "/exact/", "/exact/x", "/api", "/apis", "/api/v1", "/api/v10", "/very/long/path/without/host/x",
    "/first", "/firsts", "/x", "/xx", "/y", "/y/", "/s", "/s/", "/s/t", "/sx", "/s/last", "/s?q=1",
]  # fmt: skip


async def asked(session: aiohttp.ClientSession, url: str, host: str, path: str) -> str:
    async with session.get(url + path, headers={"Host": host}) as response:
        return await response.text() if response.status == 200 else str(response.status)


@pytest.fixture
def traefik_program(request: pytest.FixtureRequest) -> Path:
    return had_or_skipped(request.config, "Traefik", traefik.program)


async def test_the_same_answers(traefik_program: Path, own_consul: ConsulAgent, tmp_path: Path):
    async with AsyncExitStack() as stack:
        for name, options in ROUTERS.items():
            address = await stack.enter_async_context(echo(name))
            tags = ["traefik.enable=true", *(f"traefik.http.routers.{name}.{option}" for option in options), STRIP]
            host, _, port = address.rpartition(":")
            own_consul.register({"Name": name, "ID": name, "Address": host, "Port": int(port), "Tags": tags})
        theirs = traefik.Traefik(traefik_program, tmp_path, own_consul)
        await asyncio.to_thread(theirs.start)
        stack.callback(theirs.kill)
        catalog = {"consul": {"address": own_consul.address}, "tags": ["traefik"]}
        ours = await stack.enter_async_context(running({"services": {}, "catalogs": [catalog]}))
        urls = (ours.url, f"http://127.0.0.1:{theirs.port}")
        async with asyncio.timeout(20):
            for url, (host, path) in itertools.product(urls, [("d.io", "/"), ("c.io", "/s"), ("a.io", "/")]):
                while await asked(ours.session, url, host, path) == "404":
                    pass
        for host, path in itertools.product(HOSTS, PATHS):
            here, there = [await asked(ours.session, url, host, path) for url in urls]
            assert here == there, (host, path)
