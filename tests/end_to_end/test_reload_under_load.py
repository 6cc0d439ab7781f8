"""The configuration is changed again and again under load, certificates are rotated, and no request fails for it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import trustme

from tests.servers.instances import Site
from tests.servers.pointsman import Pointsman
from tests.servers.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NAMES = ("reload-1", "reload-2", "reload-3")
BALANCERS = ("round_robin", "random", "least_request", "peak_ewma", "weighted_round_robin", "maglev", "ring_hash")
UNWEIGHTED = ("round_robin", "random")  # which heed no weights, so that slow start would be a mistake
HOSTS = ("shop.test", "blog.test")
CA = trustme.CA()
PAUSE = 0.02  # seconds between two requests of a client
_PATIENCE = 20.0  # seconds that an answer may take


@dataclass
class Record:
    """What was sent of each kind, and why some of it failed."""

    sent: Counter[str] = field(default_factory=Counter)
    failed: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    keys: Counter[str] = field(default_factory=Counter)  # what the reloads have changed
    rotated: int = 0

    @property
    def failures(self) -> int:
        return sum(reasons.total() for reasons in self.failed.values())


class Changes:
    """Configurations that differ at random, in all that clients must not notice."""

    def __init__(self, folder: Path, config: dict[str, Any], instances: Site, chance: random.Random) -> None:
        self._folder = folder
        self._config = config
        self._addresses = instances.addresses()
        self._chance = chance
        self.plain, self.secure, self.raw, self.opened, self.moving, self.other = free_ports(6)
        for host in HOSTS:
            self.rotate(host)

    def rotate(self, host: str) -> None:
        """Write another certificate and its key over those of a host."""
        issued = CA.issue_cert(host)
        for suffix, pem in (("pem", issued.cert_chain_pems[0]), ("key", issued.private_key_pem)):
            new = self._folder / f"{host}.new"
            new.write_bytes(pem.bytes())
            new.rename(self._folder / f"{host}.{suffix}")

    def next(self) -> dict[str, Any]:
        some, chance = self._some, self._chance
        names = [name for name in ("web", "shop", "new") if some()] or ["web"]
        services = {name: self._service() for name in names}
        split = {"services": {name: chance.randint(1, 9) for name in names}, "fall_over": some(), **some(sticky={})}
        return {
            **self._config,
            "listeners": self._listeners(names),
            "routes": self._routes(names),
            "services": services,
            "splits": {"all": split},
            "forwarded": chance.choice(["x_forwarded", "both", "rfc7239"]),
            "request_id": chance.choice(["keep", "make"]),
            "timeouts": {"keepalive": chance.choice(["60s", "75s"]), "body_idle": chance.choice(["20s", "30s"])},
            "limits": {"headers": chance.choice(["16KiB", "32KiB"]), "connections": chance.choice([0, 1000])},
            **some(access_log={"path": "access.log", "format": chance.choice(["json", "combined"])}),
        }

    def _some(self, **keys: Any) -> Any:
        """Toss a coin; with keys, return them or none."""
        heads = self._chance.random() < 0.5
        return (keys if heads else {}) if keys else heads

    def _service(self) -> dict[str, Any]:
        some, chance = self._some, self._chance
        probe = {"http": "/healthz", "interval": chance.choice(["500ms", "1s"]), "fall": chance.choice([2, 3])}
        balancer = chance.choice(BALANCERS)
        return {
            "discovery": {"static": chance.sample(self._addresses, chance.randint(1, len(self._addresses)))},
            "balancer": balancer,
            "limits": {"in_flight": chance.choice([0, 500]), "queue": 500},
            "timeouts": {"response_head": chance.choice(["10s", "20s"])},
            "retries": {"attempts": chance.choice([1, 2])},
            **some(health={"probe": probe}),
            **some(sticky={}),
            **(some(slow_start={"window": "2s"}) if balancer not in UNWEIGHTED else {}),
            **some(request_headers={"set": {"X-Service": "{service}"}}),
        }

    def _routes(self, names: list[str]) -> list[dict[str, Any]]:
        some, chance = self._some, self._chance
        one = chance.choice(names)
        return [
            *([{"path_exact": "/gone", "answer": {"status": 404}}] if some() else []),
            *([{"host": "shop.test", "methods": ["GET"], "service": one}] if some() else []),
            {
                **({"split": "all"} if some() else {"service": one}),
                **some(rate_limit={"requests": chance.choice([10**5, 10**6]), "per": "1s"}),
                **some(forward_auth={"service": one, "path": "/healthz"}),
                **some(mirror={"service": one, "share": "20%"}),
                **some(deny=["192.0.2.0/24"]),
                **some(response_headers={"set": {"X-Route": "1"}}),
            },
        ]

    def _listeners(self, names: list[str]) -> list[dict[str, Any]]:
        some, chance = self._some, self._chance
        pairs = [{"cert": f"{host}.pem", "key": f"{host}.key"} for host in chance.sample(HOSTS, len(HOSTS))]
        tls = {"certificates": pairs, "min_version": chance.choice(["1.2", "1.3"])}
        goal = {"service": chance.choice(names), **some(routes=[{"sni": "shop.test", "service": chance.choice(names)}])}
        listeners = [
            {
                "bind": f"127.0.0.1:{self.plain}",
                **some(request_headers={"set": {"X-Edge": "{host}"}}),
                **some(rate_limit={"requests": 10**6, "per": "1s"}),
                **some(allow=["127.0.0.0/8"]),
            },
            {"bind": f"127.0.0.1:{self.secure}", "tls": tls, **some(response_headers={"add": {"X-Tls": "1"}})},
            {"bind": f"127.0.0.1:{self.raw}", "tcp": {"service": chance.choice(names)}, **some(deny=["192.0.2.1"])},
            {"bind": f"127.0.0.1:{self.opened}", "tcp": goal, "tls": tls},
            {"bind": f"{chance.choice(['127.0.0.1', ''])}:{self.moving}"},
            *([{"bind": f"127.0.0.1:{self.other}"}] if some() else []),
        ]
        chance.shuffle(listeners)
        return listeners


class Clients:
    """Clients of all kinds, each of which asks, is answered, pauses, and asks again until it is told to end."""

    def __init__(self, changes: Changes, record: Record) -> None:
        self._record = record
        self._end = asyncio.Event()
        self._tls = ssl.create_default_context(cadata=CA.cert_pem.bytes().decode())
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE))
        self._session._retry_connection = False
        self._ports = changes
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        ports = self._ports
        plain, secure = f"http://127.0.0.1:{ports.plain}", f"https://127.0.0.1:{ports.secure}"
        moving = f"http://127.0.0.1:{ports.moving}"
        for host in HOSTS:
            for _ in range(2):
                self._ask("GET", self._http("GET", plain, host))
                self._ask("POST", self._http("POST", plain, host))
                self._ask("GET by TLS", self._http("GET", secure, host, tls=True))
                self._ask("GET by TLS, a connection each", self._http("GET", secure, host, tls=True, anew=True))
                self._ask("GET where the address changes", self._http("GET", moving, host, anew=True))
                self._keep("WebSocket", self._websocket, plain, host, False)
                self._keep("WebSocket by TLS", self._websocket, secure, host, True)
                self._keep("raw TCP", self._raw, ports.raw, host, False)
                self._keep("raw TCP by TLS", self._raw, ports.opened, host, True)
                self._ask("raw TCP, a connection each", partial(self._raw_once, ports.raw, host, False))
                self._ask("raw TCP by TLS, a connection each", partial(self._raw_once, ports.opened, host, True))

    async def finish(self) -> None:
        self._end.set()
        await asyncio.gather(*self._tasks)
        await self._session.close()

    def _ask(self, kind: str, once: Callable[[], Awaitable[None]]) -> None:
        async def forever() -> None:
            while not self._end.is_set():
                await self._count(kind, once())
                await asyncio.sleep(PAUSE)

        self._tasks.append(asyncio.create_task(forever()))

    def _keep(self, kind: str, connected: Callable[..., Awaitable[None]], *where: Any) -> None:
        """Have a client that stays connected; each thing it says counts."""

        async def forever() -> None:
            while not self._end.is_set():
                try:
                    await connected(kind, *where)
                except (aiohttp.ClientError, OSError, TimeoutError, EOFError, AssertionError) as error:
                    self._failed(kind, error)
                    await asyncio.sleep(PAUSE)

        self._tasks.append(asyncio.create_task(forever()))

    async def _count(self, kind: str, work: Awaitable[None]) -> None:
        self._record.sent[kind] += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                await work
        except (aiohttp.ClientError, OSError, TimeoutError, EOFError, AssertionError) as error:
            self._failed(kind, error)

    def _failed(self, kind: str, error: BaseException) -> None:
        self._record.failed[kind][f"{type(error).__name__}: {error}"[:200]] += 1

    def _http(
        self, method: str, url: str, host: str, *, tls: bool = False, anew: bool = False
    ) -> Callable[[], Awaitable[None]]:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, force_close=anew), timeout=self._session.timeout
        )
        session._retry_connection = False
        self._tasks.append(asyncio.create_task(self._close_at_the_end(session)))
        body, path = (b"x" * 2000, "/slow?seconds=0.03") if method == "POST" else (None, "/headers")

        async def once() -> None:
            async with session.request(
                method, url + path, data=body, headers={"Host": host},
                ssl=self._tls if tls else True, server_hostname=host if tls else None,
            ) as response:  # fmt: skip
                text = await response.text()
                assert response.status == 200, f"{response.status}: {text[:100]}"
                assert response.headers["X-Instance"] in NAMES

        return once

    async def _close_at_the_end(self, session: aiohttp.ClientSession) -> None:
        await self._end.wait()
        await asyncio.sleep(1)
        await session.close()

    async def _websocket(self, kind: str, url: str, host: str, tls: bool) -> None:
        async with self._session.ws_connect(
            f"{url}/ws?key={kind}", headers={"Host": host},
            ssl=self._tls if tls else True, server_hostname=host if tls else None,
        ) as socket:  # fmt: skip
            for number in range(1000):
                if self._end.is_set():
                    return
                self._record.sent[kind] += 1
                await socket.send_str(f"number {number}")
                told = await socket.receive(_PATIENCE)
                assert told.data == f"number {number}", f"{told.type.name}: {told.data}"
                await asyncio.sleep(PAUSE)

    async def _raw(self, kind: str, port: int, host: str, tls: bool, most: int = 1000) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=self._tls if tls else None, server_hostname=host if tls else None
        )
        try:
            for _ in range(most):
                if self._end.is_set() and most > 1:
                    return
                if most > 1:
                    self._record.sent[kind] += 1
                writer.write(b"GET /headers HTTP/1.1\r\nHost: raw.test\r\n\r\n")
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
                assert head.startswith(b"HTTP/1.1 200 "), head
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                if most > 1:
                    await asyncio.sleep(PAUSE)
        finally:
            writer.close()

    async def _raw_once(self, port: int, host: str, tls: bool) -> None:
        await self._raw("", port, host, tls, most=1)


async def change(changes: Changes, file: Path, admin: str, times: int, chance: random.Random, record: Record) -> None:
    async with aiohttp.ClientSession() as session:
        for number in range(times):
            if number % 3 == 0:
                changes.rotate(chance.choice(HOSTS))
                record.rotated += 1
            new = file.with_suffix(".new")
            new.write_text(json.dumps(changes.next()))
            new.rename(file)
            async with session.post(f"{admin}/-/reload") as response:
                told = await response.json()
                assert response.status == 200, f"{number}: {told}"
            for text in told["changed"]:
                record.keys[text.rpartition(": ")[2]] += 1
            await asyncio.sleep(0.05)


def reloaded_under_load(folder: Path, times: int, seed: int, **more: Any) -> Record:
    """Reload so often, with `more` keys, while clients are at work; return what became of what they sent."""
    chance, record = random.Random(seed), Record()

    async def work(proxy: Pointsman, changes: Changes) -> None:
        clients = Clients(changes, record)
        clients.start()
        try:
            await asyncio.sleep(0.3)
            await change(
                changes, folder / "pointsman.yaml", f"http://127.0.0.1:{proxy.admin_port}", times, chance, record
            )
            await asyncio.sleep(0.3)
        finally:
            await clients.finish()

    with Site(folder, *NAMES) as instances:
        web = {"discovery": {"static": instances.addresses()}}
        more = {"reload": {"watch": False}, "drain_timeout": "10s", **more}
        with Pointsman(folder, {"web": web}, **more) as proxy:
            file = folder / "pointsman.yaml"
            changes = Changes(folder, json.loads(file.read_text()), instances, chance)
            first = changes.next()
            file.write_text(json.dumps(first))
            asyncio.run(change(changes, file, f"http://127.0.0.1:{proxy.admin_port}", 1, chance, Record()))
            asyncio.run(work(proxy, changes))
            assert proxy.metric('pointsman_config_reloads_total{result="refused"}') == 0
    return record


def show(times: int, record: Record) -> None:
    print(f"\n{times} reloads, {record.rotated} certificates rotated; changed: ", end="")
    print(", ".join(f"{key} {count}" for key, count in sorted(record.keys.items())))
    print("\n| sent by | sent | failed | why |\n|---|---|---|---|")
    for kind, sent in record.sent.items():
        failed = record.failed[kind]
        why = "; ".join(f"{count} x {reason}" for reason, count in failed.items()) or "-"
        print(f"| {kind} | {sent:,} | {failed.total()} | {why} |", flush=True)


@pytest.mark.parametrize(("workers", "times"), [(1, 50), (2, 12)])
def test_no_request_fails_while_the_configuration_is_changed(tmp_path: Path, workers: int, times: int) -> None:
    record = reloaded_under_load(tmp_path, times, seed=1, workers=workers)
    show(times, record)
    assert all(sent > times for sent in record.sent.values())
    assert len(record.sent) == 11
    assert not record.failures


def main() -> int:
    times, seed = int(os.environ.get("SOAK_RELOADS", "200")), random.randrange(10_000)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="reloads-") as folder:
        record = reloaded_under_load(Path(folder), times, seed)
    show(times, record)
    return 1 if record.failures else 0


if __name__ == "__main__":
    sys.exit(main())
