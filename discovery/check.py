"""Try once whether an address answers: the one act behind our probes and behind the embedded registry's checks."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery import body_match
from discovery.answer import Answer, MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from discovery.body_match import BodyMatch
    from discovery.dialing import Dial

# What speaks against this machine, not against the address: no descriptors, no memory.
OURS = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
BODY_SHOWN = 200  # bytes of a failing answer's body that are kept for people to read
_PIECE = 16 * 1024  # bytes that are read at a time


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
    dial: Dial,
    authority: str,
    target: str,
    timeout: float,
    expected: Callable[[int], bool],
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: BodyMatch | None = None,
) -> Outcome:
    """Pass when `target` is answered within `timeout` seconds with an `expected` status, and such a `body`.

    `authority` is the Host, unless `headers` name another. Each try connects anew. Redirects are answers, not followed:
    what they lead to is another instance's business.
    """
    answer = Answer(bodiless=method == "HEAD")
    try:
        request = _request(method, target, authority, headers or {})
        async with asyncio.timeout(timeout):
            reader, writer = await dial.streams()
            try:
                writer.write(request)
                return await _answered(reader, answer, expected, body)
            except ConnectionError as error:
                return Outcome(False, f"the connection broke before the answer was whole: {error}")
            finally:
                writer.close()
    except TimeoutError:
        return Outcome(False, f"no answer within {timeout:g} s")
    except MalformedError as error:
        return Outcome(False, f"a malformed answer: {error}")
    except (OSError, UnicodeError) as error:
        return unconnected(error)
    except ValueError as error:
        return Outcome(False, str(error))


async def _answered(
    reader: asyncio.StreamReader, answer: Answer, expected: Callable[[int], bool], body: BodyMatch | None
) -> Outcome:
    """Read as much of an answer as it takes to judge it."""
    if not await _read(reader, lambda: bool(answer.status), answer):
        return Outcome(False, "the connection was closed before it answered")
    text, passes = f"HTTP {answer.status}", expected(answer.status)
    if passes and body is None:
        return Outcome(True, text)
    most = body_match.MOST if passes else BODY_SHOWN
    if not await _read(reader, lambda: answer.whole or len(answer.content) >= most, answer):
        return Outcome(False, f"{text}, and the connection was closed before the answer was whole")
    content = bytes(answer.content[:most])
    if body is None or not passes:
        return Outcome(False, _with_words(text, content))
    if body(content):
        return Outcome(True, text)
    return Outcome(False, _with_words(f"{text}, and its body lacks {body}", content[:BODY_SHOWN]))


async def _read(reader: asyncio.StreamReader, enough: Callable[[], bool], answer: Answer) -> bool:
    """Read until there is enough of an answer; false when the connection ends before. Raises MalformedError."""
    while not enough():
        data = await reader.read(_PIECE)
        if not data:
            return answer.ended() and enough()
        answer.received(data)
    return True


def _request(method: str, target: str, authority: str, headers: Mapping[str, str]) -> bytes:
    """Write a request without a body. Raises ValueError for what would be more than one line of it."""
    ours = {"Host": authority, "Accept": "*/*", "Connection": "close"}
    if method == "POST":
        ours["Content-Length"] = "0"
    theirs = {name.lower() for name in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in ours.items() if name.lower() not in theirs]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    for line in lines:
        if any(character in line for character in "\r\n\0"):
            raise ValueError(f"a line of the request would be broken: {line!r}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


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
