"""A pointsman that runs with a snippet of README.md.

Nothing of the snippet is changed but addresses: those to listen on become free ones, those of instances become those of
instances that the test runs, and all others (registries, networks) are what the test says that they are here. Ports
that stand by themselves are in its table too, and so are variables of the environment. Relative paths lie in the test's
folder.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from yarl import URL

from tests.proxy.running import running
from tests.readme.instances import serving
from tests.servers.ports import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from multidict import CIMultiDictProxy

    from proxy.application import Application
    from tests.proxy.running import Running
    from tests.readme.instances import Instance
    from tests.readme.snippets import Snippet

_ADDRESS = re.compile(r"(\w+://|unix:).*|.*:\d+", re.ASCII)
_OURS = re.compile(r"https://acme-.*")  # addresses that may stay as they are


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    headers: CIMultiDictProxy[str]


class Stage:
    """A pointsman that runs with a snippet; `instances` by their addresses in README.md, `table` from those to ours."""

    def __init__(self, pointsman: Running, instances: dict[str, Instance], table: dict[str, str], folder: Path) -> None:
        self.pointsman = pointsman
        self.instances = instances
        self.table = table
        self.folder = folder

    @property
    def application(self) -> Application:
        return self.pointsman.application

    def port(self, listener: int = 0) -> int:
        return self.application.listeners[listener].ports[0]

    async def ask(
        self, path: str = "/", *, method: str = "GET", listener: int = 0, host: str = "", me: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None, **options: Any,
    ) -> Answer:  # fmt: skip
        """Ask, as a client at the address `me`, on a connection of its own; by TLS if there is a context for it."""
        named = {"Host": host} if host else {}
        url = URL(f"{'https' if tls else 'http'}://127.0.0.1:{self.port(listener)}{path}", encoded=True)
        if tls:
            options |= {"ssl": tls, "server_hostname": host}
        connector = aiohttp.TCPConnector(local_addr=(me, 0))
        async with (
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                method, url, headers={**named, **(headers or {})}, allow_redirects=False, **options
            ) as response,
        ):
            return Answer(response.status, await response.text(), response.headers)

    async def answers(self, count: int, path: str = "/", **options: Any) -> list[str]:
        """Ask so many times, one after the other; return who answered."""
        return [(await self.ask(path, **options)).text for _ in range(count)]

    async def metric(self, line: str) -> float:
        """The value of a series, named as it stands in the exposition; 0 if there is none."""
        _, text = await self.pointsman.admin("/metrics")
        found = re.search(rf"(?m)^{re.escape(line)} (\S+)$", text)
        return float(found[1]) if found else 0.0


class Staged(Protocol):
    """Starts a pointsman with the test's snippet: `staged` below, with its first arguments given."""

    def __call__(
        self, *, at: Mapping[str, str] = ..., beside: Mapping[str, Any] = ..., tls: ssl.SSLContext | None = None
    ) -> AbstractAsyncContextManager[Stage]: ...


@contextlib.asynccontextmanager
async def staged(
    snippet: Snippet,
    folder: Path,
    *,
    at: Mapping[str, str] = {},
    beside: Mapping[str, Any] = {},
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Stage]:
    """Run a pointsman with this snippet.

    `at` is what addresses are here, `beside` are keys that a test needs beside the snippet's own, at the top or in a
    mapping there, and `tls` is what instances speak.
    """
    whole = snippet.configuration()
    for key, value in beside.items():
        whole[key] = {**whole.get(key, {}), **value} if isinstance(value, dict) else value
    table = dict(at)
    instances: dict[str, Instance] = {}
    async with contextlib.AsyncExitStack() as stack:
        for name in static_addresses(whole):
            if name not in table:
                instances[name] = await stack.enter_async_context(serving(name, folder, tls))
                table[name] = instances[name].address
        for name in binds(whole):
            table.setdefault(name, _free(name, folder))
        pointsman = await stack.enter_async_context(running(rewritten(whole, table), folder))
        yield Stage(pointsman, instances, table, folder)


def static_addresses(config: Mapping[str, Any]) -> list[str]:
    """The instances of all static lists."""
    found: dict[str, None] = {}
    for keys in config["services"].values():
        sources = keys["discovery"] if isinstance(keys["discovery"], list) else [keys["discovery"]]
        for one in (one for source in sources for one in source.get("static", [])):
            found[one if isinstance(one, str) else one["address"]] = None
    return list(found)


def binds(config: Mapping[str, Any]) -> list[str]:
    """Every address that is listened on."""
    places = [*config["listeners"], *(config[key] for key in ("admin", "registry") if key in config)]
    return [place["bind"] for place in places]


def rewritten(value: Any, table: Mapping[str, str]) -> Any:
    """Put what an address is here in the place of each."""
    if isinstance(value, dict):
        return {key: rewritten(each, table) for key, each in value.items()}
    if isinstance(value, list):
        return [rewritten(each, table) for each in value]
    if isinstance(value, str):
        known = value in table or value in table.values() or _OURS.fullmatch(value)
        assert known or not _ADDRESS.fullmatch(value), f"what is {value} here?"
        return table.get(value, value)
    return int(table.get(str(value), value)) if type(value) is int else value


def _free(bind: str, folder: Path) -> str:
    """An address of the same kind that nobody has."""
    if bind.startswith("unix:"):
        return f"unix:{folder / bind.rpartition('/')[2]}"
    return f"{'[::1]' if bind.startswith('[') else '127.0.0.1'}:{free_port()}"
