"""Services in Consul, watched by blocking queries: Consul answers when something changes, not when we ask.

`/v1/health/service/:name` is asked without `passing`: an instance that fails its checks, or is in maintenance, stays in
the snapshot and is marked so, for it is known to exist; one that was deregistered is gone. How an entry is read is the
concern of entries.

The rules of blocking queries: https://developer.hashicorp.com/consul/api-docs/features/blocking
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import consul.aio
import consul.base
from yarl import URL

from config.units import show
from discovery.consul.agent import Agent
from discovery.consul.entries import read_entries
from discovery.consul.listing import list_services
from discovery.instance import Snapshot, first_line
from discovery.rate import TokenBucket
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from discovery.catalog import Listed

WAIT = 60.0  # seconds after which Consul answers a blocking query though nothing changed; a sign of life
SLACK = 10.0  # seconds that an answer may take beyond what Consul itself waits
CONNECT_TIMEOUT = 5.0  # seconds
ERROR_READ = 1000  # bytes of a refusal in which its first line is looked for
BODY_LIMIT = 64 * 2**20  # bytes; some forty thousand instances with their checks

# Consul's documentation recommends a burst of two and then one read in fifteen seconds. We trade some load for speed: a
# single change is seen at once, a busy service twenty times a second. It stays bounded, for changes that come
# between two reads share one answer.
BURST = 10
RATE = 20.0  # reads a second


class ConsulRegistry:
    """The services that the Consul agent at `address` (`http://127.0.0.1:8500`) knows.

    `token`, or the content of `token_file`, is the ACL token, which needs `node:read` and `service:read`; the file is
    read whenever a watch begins. Only the instances of a service that have all `tags` and meet `filter`, an expression
    over Consul's selectors (`Service.Meta.version == "2"`), are seen. An empty `datacenter` is the agent's own.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        datacenter: str = "",
        tags: Iterable[str] = (),
        filter: str = "",
        wait: float = WAIT,
    ) -> None:
        self._address = URL(address)
        self._shown = f"Consul at {self._address.with_user(None)}"  # without a password that the URL may hold
        self._token = token
        self._token_file = token_file
        self._wait = wait
        self._query = [("tag", tag) for tag in tags]
        if datacenter:
            self._query.append(("dc", datacenter))
        if filter:
            self._query.append(("filter", filter))

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot for each answer of Consul, which gives one at least every `wait` seconds and a sixteenth."""
        bucket = TokenBucket(RATE, BURST)
        loop = asyncio.get_running_loop()
        index = 0
        continuous = False
        async with _Client(self._address, self._read_token()) as client:
            while True:
                await asyncio.sleep(bucket.take(loop.time()))
                answer = await self._ask(client, service, index)
                if answer.index < index:
                    # Consul came back without its data, or with older data: what we know of its past is worth nothing.
                    index, continuous = 0, False
                    continue
                instances, unreadable = read_entries(answer.entries)
                yield Snapshot(service, instances, str(answer.index), continuous, unreadable)
                index, continuous = answer.index, True

    async def services(self, below: str) -> tuple[Listed, ...]:
        """List the services of the datacenter; `below` has no meaning here. Raises RegistryError."""
        agent = Agent(str(self._address), self._token or "", self._token_file)
        return await list_services(agent, dict(self._query).get("dc", ""))

    def _read_token(self) -> str | None:
        if self._token_file is None:
            return self._token
        try:
            return self._token_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise RegistryError(f"the token file {self._token_file} cannot be read: {error}") from error

    async def _ask(self, client: _Client, service: str, index: int) -> _Answer:
        query = list(self._query)
        patience = SLACK
        if index:
            query += [("index", str(index)), ("wait", f"{self._wait * 1000:.0f}ms")]
            # Consul adds up to a sixteenth, at random, so that watches that began together do not return together.
            patience += self._wait * 17 / 16
        try:
            answer: _Answer = await client.http.get(
                _read, f"/v1/health/service/{service}", query, client.prepare_headers(), connections_timeout=patience
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise RegistryError(f"{self._shown}: no connection within {CONNECT_TIMEOUT:.0f} s") from error
        except TimeoutError as error:
            raise RegistryError(f"{self._shown}: no answer within {patience:.0f} s") from error
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            complaint = " ".join(str(error).split()) or type(error).__name__
            raise RegistryError(f"{self._shown}: {complaint}") from error
        return answer


@dataclass(frozen=True, slots=True)
class _Answer:
    """A good answer: the state of the service, and the index to ask for what follows it."""

    index: int
    entries: list[object]


def _read(response: consul.base.Response) -> _Answer:
    """Read an answer; raise ValueError, with what to do about it, when it is no good one."""
    if response.code != 200:
        complaint = first_line(response.body[:ERROR_READ].decode("utf-8", "replace")) or "no reason given"
        if response.code in (401, 403):
            complaint += "; the token must exist and grant node:read and service:read"
        raise ValueError(f"HTTP {response.code}: {complaint}")
    index = response.headers.get("X-Consul-Index", "")
    if not (index.isascii() and index.isdecimal() and len(index) <= 20):
        raise ValueError(f"the header X-Consul-Index must be a number, not {show(index)}; is this Consul's HTTP API?")
    try:
        entries = json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the answer is no JSON: {error}") from error
    if not isinstance(entries, list):
        raise ValueError(f"the answer must be a list, not {show(entries)}")
    if not entries and response.headers.get("X-Consul-Results-Filtered-By-ACLs") == "true":
        # Consul answers 200 with what the token may see. Taken at its word, it would drop every instance.
        raise ValueError("the token may not read this service; grant it node:read and service:read")
    # Asked with 0, Consul does not wait for a change, and the watch would be a loop at full speed.
    return _Answer(max(int(index), 1), entries)


class _Client(consul.aio.Consul):  # type: ignore[misc]  # py-consul has no types
    """py-consul's asyncio client with a session of ours.

    Its own session is built with arguments that aiohttp deprecates, ends every request after five minutes, and its
    callbacks hide the response headers. It must be made inside a running loop.
    """

    def __init__(self, address: URL, token: str | None) -> None:
        self._address = address
        super().__init__(address.host, address.port, token, address.scheme, verify=True)
        self.token = token  # py-consul would prefer the environment's CONSUL_HTTP_TOKEN to what was configured

    def http_connect(self, host: str, port: int, scheme: str, verify: Any = True, cert: Any = None) -> _HTTPClient:
        return _HTTPClient(self._address)


class _HTTPClient(consul.aio.HTTPClient):  # type: ignore[misc]  # py-consul has no types
    def __init__(self, address: URL) -> None:
        consul.base.HTTPClient.__init__(self, address.host, address.port, address.scheme)  # not the parent's session
        self.base_uri = str(address).rstrip("/")  # may hold a path, and brackets around an IPv6 address
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def _request(
        self,
        callback: Callable[[consul.base.Response], Any],
        method: str,
        uri: str,
        headers: Mapping[str, str] | None,
        data: Any = None,
        connections_timeout: float | None = None,
        raw: bool = False,
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=connections_timeout, connect=CONNECT_TIMEOUT)
        request = self._session.request(
            method, URL(uri, encoded=True), headers=headers, data=data, timeout=timeout, allow_redirects=False
        )
        body = bytearray()
        async with request as response:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise ValueError(f"the answer is larger than {BODY_LIMIT // 2**20} MiB")
        return callback(consul.base.Response(response.status, response.headers, bytes(body)))
