"""Try once whether an address answers: the one act behind our probes and behind the embedded registry's checks."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from discovery import body_match
from discovery.dialing import DialConnector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from discovery.body_match import BodyMatch
    from discovery.dialing import Dial

# What speaks against this machine, not against the address: no descriptors, no memory.
OURS = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
BODY_SHOWN = 200  # bytes of a failing answer's body that are kept for people to read


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try found; `detail` is for people: `HTTP 503: draining`, `connection refused`.

    `ours` says that it could not be made for want of descriptors or memory: nothing is known of the address.
    """

    passed: bool
    detail: str
    ours: bool = False


async def tcp(dial: Dial, timeout: float) -> Outcome:
    """Pass when a connection is accepted, and TLS agreed on where it is to be, within `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            _, writer = await dial.streams()
    except TimeoutError:
        return Outcome(False, f"no connection within {timeout:g} s")
    except (OSError, UnicodeError) as error:
        return unconnected(error)
    writer.close()
    return Outcome(True, "connected")


async def http(
    session: aiohttp.ClientSession,
    url: str,
    timeout: float,
    expected: Callable[[int], bool],
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: BodyMatch | None = None,
) -> Outcome:
    """Pass when `url` answers within `timeout` seconds with a status for which `expected` is true, and such a `body`.

    Redirects are answers, not followed: what they lead to is another instance's business.
    """
    try:
        async with (
            asyncio.timeout(timeout),
            session.request(method, URL(url, encoded=True), headers=headers, allow_redirects=False) as response,
        ):
            answer = f"HTTP {response.status}"
            if not expected(response.status):
                return Outcome(False, _with_words(answer, await response.content.read(BODY_SHOWN)))
            if body is None:
                return Outcome(True, answer)
            read = await _beginning(response.content, body_match.MOST)
            if body(read):
                return Outcome(True, answer)
            return Outcome(False, _with_words(f"{answer}, and its body lacks {body}", read[:BODY_SHOWN]))
    except TimeoutError:
        return Outcome(False, f"no answer within {timeout:g} s")
    except aiohttp.ClientConnectorError as error:
        return unconnected(error.os_error)
    except (aiohttp.ClientError, ValueError) as error:
        return Outcome(False, f"{type(error).__name__}: {error}")


async def _beginning(content: aiohttp.StreamReader, most: int) -> bytes:
    """Read a body up to its end, or so many bytes of it."""
    read = b""
    while len(read) < most and (piece := await content.read(most - len(read))):
        read += piece
    return read


def _with_words(text: str, body: bytes) -> str:
    words = body.decode("utf-8", "replace").strip()
    return f"{text}: {words}" if words else text


def unconnected(error: OSError | UnicodeError) -> Outcome:
    """Say that a connection failed, and of what."""
    if isinstance(error, ssl.SSLError | UnicodeError):
        return Outcome(False, f"connection failed: {error}")
    # asyncio puts its own words, with the address in them, where the system's should be.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return Outcome(False, f"connection failed: {reason}", error.errno in OURS)


def open_session(dial: Dial | None = None) -> aiohttp.ClientSession:
    """Make a session fit for checks: each try connects anew, and nothing of one answer colours the next.

    With a `dial` all of them lead there, whatever their URL says.
    """
    return aiohttp.ClientSession(
        connector=DialConnector(dial)
        if dial is not None
        else aiohttp.TCPConnector(force_close=True, limit=0, ttl_dns_cache=10),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        max_line_size=8190,
        max_field_size=8190,
    )
