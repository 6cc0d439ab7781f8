"""A Consul agent as watches share it: its connections, what a good answer is, and what is wrong with a bad one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self
from weakref import WeakValueDictionary

import aiohttp
import consul.aio
import consul.base
from yarl import URL

from config.units import show
from discovery.consul.follower import Follower
from discovery.endings import CUT_SHORT
from discovery.instance import first_line
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

SLACK = 10.0  # seconds that an answer may take beyond what Consul itself waits
CONNECT_TIMEOUT = 5.0  # seconds
ERROR_READ = 1000  # bytes of a refusal in which its first line is looked for
BODY_LIMIT = 64 * 2**20  # bytes; some forty thousand instances with their checks

_CONTENTS: dict[type, str] = {list: "a list", dict: "a mapping"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: what was asked for, and the index to ask for what follows it.

    `age` is for how many seconds the agent's cache has not been able to look whether this is still true; 0 where no
    cache was asked. `is_filtered` is true when Consul has left out what the token may not see.
    """

    index: int
    content: Any
    age: float = 0.0
    is_filtered: bool = False


class SharedAgent:
    """The agent at an address (`http://127.0.0.1:8500`), and the one pool of connections for all who watch there.

    It is used in an `async with` block, by as many as like: connections are opened with the first and closed with the
    last. A blocking query holds a connection for as long as it waits, so those who make them claim one first; the
    services of others are followed together.
    """

    _known: ClassVar[WeakValueDictionary[str, SharedAgent]] = WeakValueDictionary()

    def __init__(self, address: str) -> None:
        self._address = URL(address)
        self._shown = f"Consul at {self._address.with_user(None)}"  # without a password that the URL may hold
        self._client: _Client | None = None
        self._users = 0
        self._claimed = 0
        self.newest: dict[str, int] = {}  # of each datacenter, the highest index that a service's answer had
        self._followers: dict[tuple[str | None, str], Follower] = {}

    @classmethod
    def at(cls, address: str) -> SharedAgent:
        """Return the agent at an address, the same one for all who ask while one of them holds it."""
        agent = cls._known.get(address)
        if agent is None:
            agent = cls._known[address] = cls(address)
        return agent

    async def __aenter__(self) -> Self:
        if self._client is None:
            self._client = _Client(self._address)
        self._users += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self._users -= 1
        client = self._client
        if not self._users and client is not None:
            self._client = None
            await client.http.close()

    @property
    def address(self) -> str:
        """Where it is, as a URL."""
        return str(self._address)

    def claim(self, most: int) -> bool:
        """Claim a connection for blocking queries; false when `most` are claimed already."""
        if self._claimed >= most:
            return False
        self._claimed += 1
        return True

    def release(self) -> None:
        """Give back what was claimed."""
        self._claimed -= 1

    def saw(self, datacenter: str, index: int) -> None:
        """Take note of the index of a service's answer."""
        if index > self.newest.get(datacenter, 0):
            self.newest[datacenter] = index

    def follower(self, token: str | None, datacenter: str, wait: float) -> Follower:
        """Return whoever follows services for those who could not claim a connection."""
        self._followers = {key: one for key, one in self._followers.items() if not one.is_idle}
        return self._followers.setdefault((token, datacenter), Follower(self, token, datacenter, wait))

    async def ask(
        self,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        token: str | None = None,
        *,
        index: int = 0,
        wait: float = 0.0,
        content: type = list,
        known: int = 0,
        decode: Callable[[bytes], object] = json.loads,
    ) -> Answer:
        """Return what Consul answers; with an `index` not before something changed, or `wait` seconds went by.

        The content of an answer whose index is `known` is not looked at, and None. `decode` raises ValueError.
        Raises RegistryError when it cannot be asked, refuses, or answers anything but JSON of the `content` wanted.
        """
        client = self._client
        assert client is not None, "an agent is asked inside its block"
        asked = list(query)
        patience = SLACK
        if index:
            asked += [("index", str(index)), ("wait", f"{wait * 1000:.0f}ms")]
            # Consul adds up to a sixteenth, at random, so that watches that began together do not return together.
            patience += wait * 17 / 16
        try:
            answer: Answer = await client.http.get(
                lambda response: _read(response, content, known, decode), path, asked, client.prepare_headers(token),
                connections_timeout=patience,
            )  # fmt: skip
        except aiohttp.ConnectionTimeoutError as error:
            raise RegistryError(f"{self._shown}: no connection within {CONNECT_TIMEOUT:.0f} s") from error
        except TimeoutError as error:
            raise RegistryError(f"{self._shown}: no answer within {patience:.0f} s") from error
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            complaint = " ".join(str(error).split()) or type(error).__name__
            raise RegistryError(f"{self._shown}: {complaint}") from error
        return answer

    def refuse(self, complaint: str) -> RegistryError:
        """Make the error that says what is wrong with this agent's answer."""
        return RegistryError(f"{self._shown}: {complaint}")


def read_token(token: str | None, file: Path | None) -> str | None:
    """Return the token to ask with: the one given, or what the file holds now. Raises RegistryError."""
    if file is None:
        return token
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise RegistryError(f"the token file {file} cannot be read: {error}") from error


def _read(response: consul.base.Response, content: type, known: int, decode: Callable[[bytes], object]) -> Answer:
    """Read an answer; raise ValueError, with what to do about it, when it is no good one."""
    if response.code != 200:
        complaint = first_line(response.body[:ERROR_READ].decode("utf-8", "replace")) or "no reason given"
        if response.code in (401, 403):
            complaint += "; the token must exist and grant node:read and service:read"
        raise ValueError(f"HTTP {response.code}: {complaint}")
    index = response.headers.get("X-Consul-Index", "")
    if not (index.isascii() and index.isdecimal() and len(index) <= 20):
        raise ValueError(f"the header X-Consul-Index must be a number, not {show(index)}; is this Consul's HTTP API?")
    if known and int(index) == known:
        return Answer(known, None)
    try:
        found = decode(response.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the answer is no JSON: {error}") from error
    if not isinstance(found, content):
        raise ValueError(f"the answer must be {_CONTENTS[content]}, not {show(found)}")
    is_filtered = response.headers.get("X-Consul-Results-Filtered-By-ACLs") == "true"
    if not found and is_filtered:
        # Consul answers 200 with what the token may see. Taken at its word, it would drop every instance.
        raise ValueError("the token may not read this service; grant it node:read and service:read")
    age = response.headers.get("Age", "")
    # Asked with 0, Consul does not wait for a change, and the watch would be a loop at full speed.
    return Answer(max(int(index), 1), found, float(age) if age.isascii() and age.isdecimal() else 0.0, is_filtered)


class _Client(consul.aio.Consul):  # type: ignore[misc]  # py-consul has no types
    """py-consul's asyncio client with a session of ours.

    Its own session is built with arguments that aiohttp deprecates, ends every request after five minutes, and its
    callbacks hide the response headers. It must be made inside a running loop.
    """

    def __init__(self, address: URL) -> None:
        self._address = address
        super().__init__(address.host, address.port, None, address.scheme, verify=True)
        self.token = None  # py-consul would prefer the environment's CONSUL_HTTP_TOKEN to what was configured

    def http_connect(self, host: str, port: int, scheme: str, verify: Any = True, cert: Any = None) -> _HTTPClient:
        return _HTTPClient(self._address)


class _HTTPClient(consul.aio.HTTPClient):  # type: ignore[misc]  # py-consul has no types
    def __init__(self, address: URL) -> None:
        consul.base.HTTPClient.__init__(self, address.host, address.port, address.scheme)  # not the parent's session
        self.base_uri = str(address).rstrip("/")  # may hold a path, and brackets around an IPv6 address
        # aiohttp's own bound of 100 connections would let a query wait for the end of others, unseen.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, enable_cleanup_closed=CUT_SHORT),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

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
