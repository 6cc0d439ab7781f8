"""Instances listed in a JSON document at a URL, looked at again and again. Its format is file_format's concern.

The requests are those of Prometheus' http_sd (https://prometheus.io/docs/prometheus/latest/http_sd/), and conditional
besides: a document that did not change is not sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from config.units import show
from discovery.file_format import parse
from discovery.instance import Snapshot, first_line
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from discovery.instance import Instance

# Some ten thousand instances, each with a few labels of its own. A server that never stops sending is cut off there,
# before it fills our memory; who has more instances should not poll for them.
SIZE_LIMIT = 2**20  # bytes
REDIRECTS = 3
ERROR_READ = 1000  # bytes of a refusal in which its first line is looked for

_REDIRECTS = (301, 302, 303, 307, 308)


class HttpRegistry:
    """The instances that the JSON document at `url` lists.

    It is asked for every `interval` seconds; `timeout` is how many seconds one look may take, redirects and all.
    `token`, or the content of `token_file`, is sent as `Authorization: Bearer`; the file is read whenever a watch
    begins. `headers` are sent too. A redirect to another origin is followed without either.
    """

    def __init__(
        self,
        url: str,
        *,
        interval: float = 10.0,
        timeout: float = 5.0,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        token_file: Path | None = None,
    ) -> None:
        self._url = URL(url, encoded=True)
        self._shown = str(self._url.with_user(None).with_query(None))  # a query may hold a key
        self._interval = interval
        self._timeout = timeout
        self._headers = dict(headers or {})
        self._token = token
        self._token_file = token_file

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each look, whether the document changed or not."""
        loop = asyncio.get_running_loop()
        secret = self._secret_headers()
        unless: Mapping[str, str] = {}
        version = ""
        instances: tuple[Instance, ...] = ()
        unreadable: tuple[str, ...] = ()
        continuous = False
        async with _open_session(self._interval) as session:
            while True:
                began = loop.time()
                document = await self._look(session, secret, unless)
                if document is not None:
                    unless = document.unless
                    if version != (version := hashlib.sha256(document.content).hexdigest()[:12]):
                        instances, unreadable = await asyncio.to_thread(self._parse, document.content)
                yield Snapshot(service, instances, version, continuous, unreadable)
                continuous = True
                await asyncio.sleep(began + self._interval - loop.time())

    def _secret_headers(self) -> dict[str, str]:
        """Return the headers that are for nobody but the origin of the URL."""
        token = self._token
        if self._token_file is not None:
            try:
                token = self._token_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise RegistryError(f"the token file {self._token_file} cannot be read: {error}") from error
        return {**self._headers, "Authorization": f"Bearer {token}"} if token is not None else self._headers

    async def _look(
        self, session: aiohttp.ClientSession, secret: Mapping[str, str], unless: Mapping[str, str]
    ) -> _Document | None:
        """Return the document, or None when it is still what it was."""
        try:
            async with asyncio.timeout(self._timeout):
                return await _get(session, self._url, secret, unless)
        except TimeoutError as error:
            raise RegistryError(f"{self._shown}: no answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            complaint = " ".join(str(error).split()) or type(error).__name__
            raise RegistryError(f"{self._shown}: {complaint}") from error

    def _parse(self, content: bytes) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
        try:
            return parse(content, is_json=True)
        except ValueError as error:
            raise RegistryError(f"{self._shown}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Document:
    """A document, and the headers to ask with for it unless it is still the same."""

    content: bytes
    unless: Mapping[str, str]


def _open_session(interval: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # a kilobyte of deflate may hold a megabyte
        timeout=aiohttp.ClientTimeout(total=None),
        headers={
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "pointsman",
            "X-Prometheus-Refresh-Interval-Seconds": f"{interval:f}".rstrip("0").rstrip("."),
        },
    )


async def _get(
    session: aiohttp.ClientSession, url: URL, secret: Mapping[str, str], unless: Mapping[str, str]
) -> _Document | None:
    """Ask for the document, through redirects; raise ValueError, with what is wrong, when there is none.

    aiohttp would follow redirects itself, but take `secret` to wherever they lead.
    """
    headers = {**secret, **unless}
    for _ in range(REDIRECTS + 1):
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status not in _REDIRECTS:
                return await _read(response, is_conditional=bool(unless))
            target = _target(url, response.headers.get("Location", ""))
        if target.origin() != url.origin():
            headers = dict(unless)
        url = target
    raise ValueError(f"more than {REDIRECTS} redirects")


def _target(url: URL, location: str) -> URL:
    """Return where a redirect leads; raise ValueError if it is not to be followed."""
    try:
        target = url.join(URL(location)) if location else None
    except ValueError:
        target = None
    if target is None or target.scheme not in ("http", "https") or not target.host:
        raise ValueError(f"a redirect that leads nowhere: its Location is {show(location)}")
    if url.scheme == "https" and target.scheme == "http":
        raise ValueError("a redirect from https to http, which is not followed: anybody on the way could answer there")
    return target


async def _read(response: aiohttp.ClientResponse, is_conditional: bool) -> _Document | None:
    if response.status == 304 and is_conditional:
        return None
    if response.status != 200:
        said = (await response.content.read(ERROR_READ)).decode("utf-8", "replace")
        complaint = first_line(said) or first_line(response.reason) or "no reason given"
        if response.status in (401, 403):
            complaint += "; the token or the headers must give access"
        raise ValueError(f"HTTP {response.status}: {complaint}")
    coding = response.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        raise ValueError(f"the document comes with the coding {show(coding)}, which was not asked for")
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > SIZE_LIMIT:
            raise ValueError(f"the document is larger than {SIZE_LIMIT // 2**20} MiB")
    return _Document(bytes(content), conditions(response.headers))


def conditions(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the request headers that ask for a document unless it is still the one that came with `headers`.

    There are none for one that changed in the very second of the answer. Last-Modified counts seconds, and so do ETags
    that are made of it, nginx's among them: a second change within that second would never be seen (RFC 9110, section
    8.8.2.2).
    """
    entity_tag, changed, now = headers.get("ETag"), headers.get("Last-Modified"), headers.get("Date")
    if changed is not None and now is not None and not _seconds(changed) < _seconds(now):
        return {}
    found = {"If-None-Match": entity_tag} if entity_tag else {}
    if changed is not None and now is not None:
        found["If-Modified-Since"] = changed
    return found


def _seconds(date: str) -> float:
    """Return a date as seconds of any one clock, and as infinity or not a number where it makes no sense."""
    try:
        parts = parsedate_tz(date)
        return float("nan") if parts is None else mktime_tz(parts)
    except (ValueError, OverflowError):
        return float("nan")
