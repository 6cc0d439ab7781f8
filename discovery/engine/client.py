"""One Docker Engine's API over its unix socket, TCP or TLS.

https://docs.docker.com/reference/api/engine/ ; what is read has been there since version 1.24.
"""

from __future__ import annotations

import asyncio
import errno
import json
import re
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from config.units import show
from discovery.endings import CUT_SHORT
from discovery.engine.answers import EngineError
from discovery.instance import first_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

SOCKET = "unix:///var/run/docker.sock"
TIMEOUT = 5.0  # seconds
ANSWER_LIMIT = 64 * 2**20  # bytes of an answer
EVENT_LIMIT = 2**20  # bytes of one event; all labels of a container are in it
ERROR_READ = 10_000  # bytes of a refusal
CONNECTIONS = 16  # to one engine, the stream of events among them
KEEPALIVE = 10.0  # seconds that an unused connection is kept

# Docker Engine 29 speaks no version before 1.44, the one of Debian 12 none after 1.41: so the version has to be agreed.
OLDEST, NEWEST = (1, 24), (1, 51)

_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})")


class NotFoundError(EngineError):
    """The engine does not know what it was asked for."""


class SlowError(EngineError):
    """The engine did not answer in time."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Where an engine is: `unix:///path`, `tcp://host:port` (or `http://`), or `https://host:port` for TLS.

    With TLS, the authorities of `ca_file` vouch for the server, or the system's if there is none; `cert_file` and
    `key_file` are shown to it. They are read whenever the connection is begun anew. An answer may take `timeout`
    seconds. Watches of equal engines share one stream of events.
    """

    address: str = SOCKET
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    timeout: float = TIMEOUT

    @property
    def path(self) -> str:
        """The path of the unix socket; empty when the engine is reached by TCP."""
        return self.address.removeprefix("unix://") if self.address.startswith("unix://") else ""

    @property
    def host(self) -> str:
        """The machine that the engine runs on, as seen from here."""
        return "127.0.0.1" if self.path else URL(self.address).host or "127.0.0.1"

    def __str__(self) -> str:
        return f"Docker at {self.address if self.path else URL(self.address).with_user(None)}"


def agree(newest: str) -> str:
    """Return the version to speak with an engine that speaks no newer one than `newest`; raise EngineError if none."""
    found = _VERSION.fullmatch(newest)
    if found is None:
        raise EngineError(f"it says that its API is of version {show(newest)}; is this Docker's API?")
    version = min((int(found[1]), int(found[2])), NEWEST)
    if version < OLDEST:
        raise EngineError(
            f"its API is of version {newest}, and pointsman needs {_dotted(OLDEST)} or newer; Docker 1.12 has it"
        )
    return _dotted(version)


class Client:
    """Ask an engine, while an `async with` block lasts. The methods raise EngineError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._timeout = engine.timeout
        self._base = URL("http://docker") if engine.path else URL(engine.address.replace("tcp://", "http://", 1))
        self._prefix = ""
        self._ahead: float | None = None  # of the loop's clock
        # Who waits for a connection must not spend the time that the answer may take: with thousands of containers
        # to be looked at, it would be gone before the question is sent.
        self._turns = asyncio.Semaphore(CONNECTIONS - 1)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"Accept": "application/json", "User-Agent": "pointsman"},
        )
        try:
            await self._agree()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def now(self) -> float | None:
        """Return seconds since 1970 by the engine's clock, to a second; None if it does not tell."""
        return None if self._ahead is None else asyncio.get_running_loop().time() + self._ahead

    async def ask(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the answer to `GET path`; raise NotFoundError where that is what the engine says."""
        return _parsed(await self._read(self._prefix + path, query))

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[dict[str, Any] | None, None]:
        """Yield None when the stream is open, and then its objects until the engine ends it."""
        with self._telling():
            async with asyncio.timeout(self._timeout):
                response = await self._get(self._prefix + path, query)
                if response.status != 200:
                    await _refuse(response)
            async with response:
                yield None
                rest = bytearray()
                async for chunk in response.content.iter_any():
                    rest += chunk
                    if b"\n" in chunk:
                        *lines, rest = rest.split(b"\n")
                        for line in lines:
                            if line.strip():
                                yield _event(line)
                    if len(rest) > EVENT_LIMIT:
                        raise EngineError(f"an event is larger than {EVENT_LIMIT // 2**20} MiB")

    async def _agree(self) -> None:
        """Find out the version that both speak, and the engine's time."""
        with self._telling():
            async with asyncio.timeout(self._timeout), await self._get("/_ping", None) as response:
                newest = response.headers.get("Api-Version", "")
                date = parsedate_tz(response.headers.get("Date", ""))
                if response.status not in (200, 403, 404, 405):
                    await _refuse(response)
        if not newest:  # something between us and the engine keeps it to itself
            answer = _parsed(await self._read("/version", None))
            found = answer.get("ApiVersion") if isinstance(answer, dict) else None
            if not isinstance(found, str):
                raise EngineError("the answer to /version names no ApiVersion; is this Docker's API?")
            newest = found
        self._prefix = f"/v{agree(newest)}"
        if date is not None:
            self._ahead = mktime_tz(date) - asyncio.get_running_loop().time()

    async def _read(self, path: str, query: Mapping[str, str] | None) -> bytes:
        body = bytearray()
        with self._telling():
            async with self._turns, asyncio.timeout(self._timeout), await self._get(path, query) as response:
                if response.status != 200:
                    await _refuse(response)
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > ANSWER_LIMIT:
                        raise EngineError(f"the answer is larger than {ANSWER_LIMIT // 2**20} MiB")
        return bytes(body)

    async def _get(self, path: str, query: Mapping[str, str] | None) -> aiohttp.ClientResponse:
        if self._session.closed:  # by the watch that owned the stream of events
            raise EngineError("the stream of events ended")
        url = self._base.with_path(path).with_query(query)
        return await self._session.get(url, allow_redirects=False)

    def _connector(self) -> aiohttp.BaseConnector:
        engine = self._engine
        if engine.path:
            return aiohttp.UnixConnector(engine.path, limit=CONNECTIONS, keepalive_timeout=KEEPALIVE)
        context: ssl.SSLContext | bool = True
        if self._base.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=engine.ca_file)
                if engine.cert_file is not None:
                    context.load_cert_chain(engine.cert_file, engine.key_file)
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                raise EngineError(f"the certificates cannot be used: {first_line(str(error))}") from error
        return aiohttp.TCPConnector(
            limit=CONNECTIONS, keepalive_timeout=KEEPALIVE, ssl=context, enable_cleanup_closed=CUT_SHORT
        )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Make errors of the network ours, and say what to do about those of the socket."""
        try:
            yield
        except TimeoutError as error:
            raise SlowError(f"no answer within {self._timeout:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise EngineError(self._unconnected(error)) from error
        except aiohttp.ClientPayloadError as error:
            raise EngineError("the connection broke off") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise EngineError(first_line(str(error)) or type(error).__name__) from error

    def _unconnected(self, error: aiohttp.ClientConnectorError) -> str:
        number = error.os_error.errno
        if self._engine.path and number in (errno.EACCES, errno.EPERM):
            return (
                "permission denied on the socket; give pointsman a read-only proxy of it, or put its user into the "
                "group that owns the socket, which is as good as root"
            )
        if self._engine.path and number == errno.ENOENT:
            return "there is no such socket; is Docker running, and is this the right path?"
        return first_line(str(error)) or type(error).__name__


async def _refuse(response: aiohttp.ClientResponse) -> None:
    """Raise the error that a refusal tells of."""
    body = await response.content.read(ERROR_READ)
    response.close()
    try:
        answer = _parsed(body)
    except EngineError:
        answer = None
    told = first_line(answer.get("message")) if isinstance(answer, dict) else ""
    said = f"HTTP {response.status}: {told or first_line(body.decode('utf-8', 'replace')) or 'no reason given'}"
    if response.status == 404:
        raise NotFoundError(said)
    if response.status in (401, 403):
        said += "; what stands before the engine must let GET requests of /events and of what is listed through"
    elif "client version" in said:
        said += f"; pointsman speaks versions {_dotted(OLDEST)} to {_dotted(NEWEST)} of Docker's API"
    elif "swarm manager" in said or "part of a swarm" in said:
        said += "; name the engine of a manager node"
    raise EngineError(said)


def _event(line: bytearray) -> dict[str, Any]:
    event = _parsed(bytes(line))
    if not isinstance(event, dict):
        raise EngineError(f"an event must be an object, not {show(event)}")
    return event


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"the answer is no JSON: {first_line(str(error))}; is this Docker's API?") from error


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
